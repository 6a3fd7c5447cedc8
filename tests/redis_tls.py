"""A Redis that is reached only through TLS and as a user with a password, as managed services are."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests import servers
from tests.redis_servers import (
    RedisProcess,
    common_options,
    first_start,
    impatient_client,
    redis_program,
)
from tests.servers import HOST

USER, PASSWORD = "bluestar", "tls-user-password"
ADMIN_PASSWORD = "tls-admin-password"
#: How a server says that it was built without TLS.
NO_TLS = ("Bad directive", "Failed finding TLS support", "Failed to configure TLS")


@dataclass(frozen=True)
class RedisTls:
    """The server and what a client needs for it. The user may do everything, until `set_user` says otherwise."""

    process: RedisProcess
    ca_path: Path
    certificate_path: Path
    user: str = USER
    password: str = PASSWORD

    @property
    def url(self) -> str:
        """Enough to connect: it names the user, the password and the CA's file."""
        return self.process.url

    @property
    def url_without_ca(self) -> str:
        """The same for a client that trusts only what it is told otherwise: with the system's CAs it is refused."""
        return self.url.partition("?")[0]

    @property
    def url_without_user(self) -> str:
        """The right CA and no credentials."""
        return f"rediss://{HOST}:{self.process.port}/0?ssl_ca_certs={self.ca_path}"

    def set_user(self, *rules: str) -> None:
        """Change what the user may do from now on, in Redis's words: `set_user("-publish")`."""
        with self._admin() as admin:
            admin.execute_command("ACL", "SETUSER", self.user, *rules)

    def _admin(self) -> redis.Redis:
        return impatient_client(self.url.replace(f"{self.user}:{self.password}@", f"default:{ADMIN_PASSWORD}@"))


@contextmanager
def redis_tls(folder: Path) -> Iterator[RedisTls]:
    """A Redis with TLS alone, a certificate by a CA of its own and the user `bluestar`; others hear NOAUTH."""
    program = redis_program()
    ca_path, certificate_path, key_path = make_certificates(folder)

    def options(port: int) -> Sequence[str]:
        files = ["--tls-cert-file", str(certificate_path), "--tls-key-file", str(key_path)]
        files += ["--tls-ca-cert-file", str(ca_path), "--tls-auth-clients", "no"]
        users = ["--requirepass", ADMIN_PASSWORD, "--user", USER, "on", f">{PASSWORD}", "~*", "&*", "+@all"]
        return ["--port", "0", "--tls-port", str(port), *files, *users, *common_options(folder)]

    def make(port: int) -> RedisProcess:
        url = f"rediss://{USER}:{PASSWORD}@{HOST}:{port}/0?ssl_ca_certs={ca_path}"
        return RedisProcess([program], options(port), url=url, port=port, folder=folder)

    try:
        process = first_start(make)
    except servers.ServerError as error:
        if any(text in str(error) for text in NO_TLS):
            servers.unavailable("this redis-server was built without TLS")
        raise
    try:
        yield RedisTls(process, ca_path, certificate_path)
    finally:
        process.close()


def make_certificates(folder: Path) -> tuple[Path, Path, Path]:
    """A CA and a certificate of it for 127.0.0.1 and localhost: the paths of CA, certificate and its key."""
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    ca_name, name = (
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in ("bluestar test CA", "localhost")
    )
    now = datetime.now(UTC)

    def unsigned(subject: x509.Name, public_key: ec.EllipticCurvePublicKey, *, ca: bool) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(ca_name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )

    ca_usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(HOST))])
    ca_id = x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key())
    # Python 3.13 refuses certificates that do not say which key signed them.
    signed_by = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ca_id)
    authority = unsigned(ca_name, ca_key.public_key(), ca=True).add_extension(ca_usage, critical=True)
    authority = authority.add_extension(ca_id, critical=False)
    server = unsigned(name, key.public_key(), ca=False).add_extension(names, critical=False)
    server = server.add_extension(signed_by, critical=False)

    paths = folder / "ca.crt", folder / "redis.crt", folder / "redis.key"
    pem = serialization.Encoding.PEM
    paths[0].write_bytes(authority.sign(ca_key, hashes.SHA256()).public_bytes(pem))
    paths[1].write_bytes(server.sign(ca_key, hashes.SHA256()).public_bytes(pem))
    key_format, no_password = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    paths[2].write_bytes(key.private_bytes(pem, key_format, no_password))
    return paths
