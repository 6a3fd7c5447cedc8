"""Where files live: one Protocol, and stores on S3, Azure Blob, in a folder, in memory. `open_files(url)` opens one."""

from bluestar_store.files.opening import FilesUrl, files_of, open_files
from bluestar_store.files.paths import InvalidPathError
from bluestar_store.files.protocol import FileInfo, FileStore
from bluestar_store.files.streams import FileWriter

__all__ = ["FileInfo", "FileStore", "FileWriter", "FilesUrl", "InvalidPathError", "files_of", "open_files"]
