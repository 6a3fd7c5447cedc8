"""Opens the file store of a URL; its module is loaded then. See `bluestar_store.plugins`."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from bluestar_store.errors import ConfigurationError
from bluestar_store.files.paths import InvalidPathError, checked_path
from bluestar_store.files.protocol import FileStore
from bluestar_store.keys import shown
from bluestar_store.plugins import FILES, members
from bluestar_store.redaction.tracebacks import without_locals
from bluestar_store.settings import Settings

FORMS = "s3://bucket/prefix, az://container/prefix, file:///folder or memory://"


@dataclass(frozen=True)
class FilesUrl:
    """A file store's URL, taken apart: `scheme://host/path`, without credentials, `?` and `#`.

    `path` is decoded and begins with a slash, or is empty. `region` and `endpoint_url` are those of the settings.
    """

    text: str
    scheme: str
    host: str
    path: str
    region: str | None = None
    endpoint_url: str | None = None

    @property
    def prefix(self) -> str:
        """The path without the slashes around it: one that files can begin with. Raises ConfigurationError."""
        prefix = self.path.strip("/")
        if prefix:
            try:
                checked_path(prefix)
            except InvalidPathError as error:
                raise ConfigurationError(f"BLUESTAR_FILES_URL: {error}") from None
        return prefix

    def required_host(self) -> str:
        """The bucket, container or server. Raises ConfigurationError for a URL without one."""
        if not self.host:
            raise self.form_error()
        return self.host

    def form_error(self) -> ConfigurationError:
        """The error for a URL that does not have the form of its scheme."""
        return ConfigurationError(f"BLUESTAR_FILES_URL: {self.text!r} is none of {FORMS}")


@without_locals
def open_files(url: str, *, region: str | None = None, endpoint_url: str | None = None) -> FileStore:
    """The file store of a URL. Nothing is sent before the first call. Raises ConfigurationError.

    `region` is for s3:// alone, `endpoint_url` for s3:// and az://. Without a region the AWS SDK's own order decides.
    A scheme besides the library's is that of a file store of an installed package.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ConfigurationError(f"BLUESTAR_FILES_URL cannot be read; it looks like {FORMS}") from None
    if "@" in parts.netloc:
        raise ConfigurationError("BLUESTAR_FILES_URL has a user or password; credentials come from the environment")
    if parts.query or parts.fragment:
        raise ConfigurationError("BLUESTAR_FILES_URL has a ? or a #; write them as %3F and %23")
    if "://" not in url:
        raise ConfigurationError(f"BLUESTAR_FILES_URL: {shown(url)} is none of {FORMS}")
    found = FilesUrl(url, parts.scheme, parts.netloc, unquote(parts.path), region, endpoint_url)
    store: FileStore = FILES.open(parts.scheme, members(FileStore), found)
    return store


def files_of(settings: Settings) -> FileStore:
    """The file store that the settings name. Raises ConfigurationError, most of all when they name none."""
    if settings.files_url is None:
        raise ConfigurationError("no file store: set BLUESTAR_FILES_URL (or --files-url), such as s3://bucket/prefix")
    return open_files(settings.files_url, region=settings.aws_region, endpoint_url=settings.files_endpoint_url)


def open_memory(url: FilesUrl) -> FileStore:
    """Files in this process's memory: `memory://`."""
    from bluestar_store.files.memory import MemoryFileStore

    if url.host or url.path:
        raise url.form_error()
    return MemoryFileStore()


def open_folder(url: FilesUrl) -> FileStore:
    """Files in a folder: `file:///folder`."""
    from bluestar_store.files.local import LocalFileStore

    if url.host not in ("", "localhost") or not url.path.startswith("/") or "\0" in url.path:
        raise url.form_error()
    return LocalFileStore(url.path)


def open_s3(url: FilesUrl) -> FileStore:
    """Files in a bucket of S3: `s3://bucket/prefix`."""
    from bluestar_store.files.s3 import S3FileStore

    return S3FileStore(url.required_host(), url.region, url.endpoint_url, prefix=url.prefix)


def open_azure(url: FilesUrl) -> FileStore:
    """Files in a container of Azure Blob Storage: `az://container/prefix`."""
    host, prefix = url.required_host(), url.prefix
    try:
        from bluestar_store.files.azure import AzureFileStore
    except ModuleNotFoundError as error:
        if not str(error.name).startswith("azure"):
            raise
        raise ConfigurationError("az:// needs the Azure SDK: pip install 'bluestar-store[azure]'") from None
    return AzureFileStore(host, url.endpoint_url, prefix=prefix)
