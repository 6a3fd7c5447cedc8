"""From a URL to a file store."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from bluestar_store.errors import ConfigurationError
from bluestar_store.files.paths import InvalidPathError, checked_path
from bluestar_store.files.protocol import FileStore
from bluestar_store.redaction.tracebacks import without_locals
from bluestar_store.settings import Settings

FORMS = "s3://bucket/prefix, az://container/prefix, file:///folder or memory://"


@without_locals
def open_files(url: str, *, region: str | None = None, endpoint_url: str | None = None) -> FileStore:
    """The file store of a URL. Nothing is sent before the first call. Raises ConfigurationError.

    `region` is for s3:// alone, `endpoint_url` for s3:// and az://. Without a region the AWS SDK's own order decides.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ConfigurationError(f"BLUESTAR_FILES_URL cannot be read; it looks like {FORMS}") from None
    if "@" in parts.netloc:
        raise ConfigurationError("BLUESTAR_FILES_URL has a user or password; credentials come from the environment")
    if parts.query or parts.fragment:
        raise ConfigurationError("BLUESTAR_FILES_URL has a ? or a #; write them as %3F and %23")
    prefix = unquote(parts.path)
    match parts.scheme:
        case "memory" if not parts.netloc and not parts.path:
            from bluestar_store.files.memory import MemoryFileStore

            return MemoryFileStore()
        case "file" if parts.netloc in ("", "localhost") and prefix.startswith("/") and "\0" not in prefix:
            from bluestar_store.files.local import LocalFileStore

            return LocalFileStore(prefix)
        case "s3" if parts.netloc:
            from bluestar_store.files.s3 import S3FileStore

            return S3FileStore(parts.netloc, region, endpoint_url, prefix=_checked(prefix))
        case "az" if parts.netloc:
            try:
                from bluestar_store.files.azure import AzureFileStore
            except ModuleNotFoundError as error:
                if not str(error.name).startswith("azure"):
                    raise
                raise ConfigurationError("az:// needs the Azure SDK: pip install 'bluestar-store[azure]'") from None

            return AzureFileStore(parts.netloc, endpoint_url, prefix=_checked(prefix))
    raise ConfigurationError(f"BLUESTAR_FILES_URL: {url!r} is none of {FORMS}")


def files_of(settings: Settings) -> FileStore:
    """The file store that the settings name. Raises ConfigurationError, most of all when they name none."""
    if settings.files_url is None:
        raise ConfigurationError("no file store: set BLUESTAR_FILES_URL (or --files-url), such as s3://bucket/prefix")
    return open_files(settings.files_url, region=settings.aws_region, endpoint_url=settings.files_endpoint_url)


def _checked(prefix: str) -> str:
    """The prefix without the slashes around it."""
    prefix = prefix.strip("/")
    if prefix:
        try:
            checked_path(prefix)
        except InvalidPathError as error:
            raise ConfigurationError(f"BLUESTAR_FILES_URL: {error}") from None
    return prefix
