"""Is Redis there? Only asked when a setting names one."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from pydantic import SecretStr

from bluestar_store.doctor.findings import Finding, Severity

TIMEOUT_SECONDS = 2


def check(url: SecretStr | None) -> Iterator[Finding]:
    """A finding when Redis does not answer. Shows its address, never its user and password."""
    if url is None:
        return
    fault = _fault(url.get_secret_value())
    if fault is not None:
        what, mend = fault
        # A warning: the store works without its second tier of cache, more slowly.
        yield Finding(Severity.WARNING, "redis", f"Redis at {address(url.get_secret_value())} {what}", mend)


def address(url: str) -> str:
    """The URL without user, password and options."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


def _fault(url: str) -> tuple[str, str] | None:
    """What is wrong, and what mends it. Redis's own texts are left out: they may repeat what was sent."""
    import redis
    from redis.backoff import NoBackoff
    from redis.exceptions import AuthenticationError, AuthorizationError, NoPermissionError, RedisError
    from redis.retry import Retry

    try:
        client = redis.Redis.from_url(
            url,
            socket_connect_timeout=TIMEOUT_SECONDS,
            socket_timeout=TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
    except (ValueError, TypeError):
        return "has a URL that cannot be read", "correct BLUESTAR_REDIS_URL: redis://host:6379/0"
    try:
        client.ping()
    except (AuthenticationError, AuthorizationError):
        return "refuses the user or password", "correct the user and password in BLUESTAR_REDIS_URL"
    except NoPermissionError:
        return "does not let this user PING", "allow the user its commands: ACL SETUSER ... +@read +@write +ping"
    except (RedisError, OSError) as error:
        return (
            f"does not answer ({type(error).__name__})",
            "start it, or correct BLUESTAR_REDIS_URL; unset, the store does without the second tier of its cache",
        )
    finally:
        client.close()
    return None
