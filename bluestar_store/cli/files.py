"""`bluestar-store files`: the files of the file store, as a shell has them."""

from __future__ import annotations

import mimetypes
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, BinaryIO

import typer

from bluestar_store.cli.asking import Yes, ask
from bluestar_store.cli.errors import BadUsage, escaped
from bluestar_store.cli.options import AsJson, file_session, group_options
from bluestar_store.cli.output import Grid, progress
from bluestar_store.cli.records import Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from bluestar_store.files import FileInfo, FileStore, FileWriter

app = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, help="List, bring, fetch, move and delete files of the file store."
)
app.callback()(group_options)

CHUNK_BYTES = 1024 * 1024
STANDARD = Path("-")

FilePath = Annotated[
    str, typer.Argument(metavar="PATH", show_default=False, help="In the file store, such as in/ACME/hours.csv.")
]
Source = Annotated[str, typer.Argument(metavar="SRC", show_default=False, help="In the file store.")]
Target = Annotated[
    str,
    typer.Argument(metavar="DST", show_default=False, help="In the file store; ending in /: by the same name there."),
]
Force = Annotated[bool, typer.Option("--force", "-f", help="Over a file that is there already.")]


@app.command("ls")
def ls(
    ctx: typer.Context,
    prefix: Annotated[
        str, typer.Argument(metavar="[PREFIX]", show_default=False, help="What the paths begin with, such as in/.")
    ] = "",
    long: Annotated[bool, typer.Option("--long", "-l", help="Show sizes, times and types too.")] = False,
    as_json: AsJson = False,
) -> None:
    """List files, at any depth, in order of their paths."""
    with file_session(ctx, as_json) as (files, out):
        paths = files.list_files(prefix)
        if not long:
            out.show([{"path": path} for path in paths], *paths)
            return
        with progress("Looking", len(paths)) as advance:
            rows = list(_looked_at(files, paths, advance))
        columns = {"Bytes": "size_bytes", "Modified": "modified", "Type": "content_type", "Path": "path"}
        out.show(rows, Grid.of("", rows, columns))


@app.command("stat")
def stat(ctx: typer.Context, path: FilePath, as_json: AsJson = False) -> None:
    """Show what is known of a file without reading it."""
    with file_session(ctx, as_json) as (files, out):
        found = asdict(files.stat(path))
        out.show(found, Grid.card("", found))


@app.command("get")
def get(
    ctx: typer.Context,
    path: FilePath,
    file: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", show_default=False, help="Here: a file or folder; - for standard output."),
    ] = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Fetch a file. It is here whole, or not at all."""
    with file_session(ctx, as_json) as (files, out):
        if file == STANDARD:
            _to_standard_output(files, path, as_json=out.as_json)
            return
        target = _local_target(file or Path(), path)
        size = files.stat(path).size_bytes
        with _naming_the_option(), files.open(path) as source, _written(target.absolute(), force) as local:
            size = _carried(f"Fetching {target.name}", source, local, size)
        out.show({"path": path, "file": str(target), "size_bytes": size}, f"Fetched {path} to {target}: {size} bytes.")


def _local_target(target: Path, path: str) -> Path:
    """Where a file goes here: a name in a folder that exists. BadUsage for a place that is no file's."""
    if target.is_dir():
        return target / path.rpartition("/")[2]
    if not target.absolute().parent.is_dir():
        raise BadUsage(f"{escaped(str(target.parent))}: there is no such folder")
    if target.exists() and not target.is_file():
        raise BadUsage(f"{escaped(str(target))} is no file")
    return target


def _written(target: Path, force: bool) -> AbstractContextManager[IO[bytes] | FileWriter]:
    """A file here that is whole at the end of the block, or as it was."""
    from bluestar_store.disk import POSIX
    from bluestar_store.files.local import LocalFileStore

    if not POSIX:
        return _renamed(target, force)
    return LocalFileStore(target.parent).open(target.name, "wb", if_absent=not force)


@contextmanager
def _renamed(target: Path, force: bool) -> Iterator[IO[bytes]]:
    """The same on Windows, where a file store cannot be a folder."""
    from tempfile import NamedTemporaryFile

    from bluestar_store.errors import AlreadyExistsError

    with NamedTemporaryFile(dir=target.parent, delete=False) as file:
        try:
            yield file
            file.close()
            if not force and target.exists():
                raise AlreadyExistsError(f"{target.name} is there already")
            os.replace(file.name, target)
        except BaseException:
            file.close()
            os.unlink(file.name)
            raise


@app.command("cat")
def cat(ctx: typer.Context, path: FilePath, as_json: AsJson = False) -> None:
    """Write a file to standard output."""
    with file_session(ctx, as_json) as (files, out):
        _to_standard_output(files, path, as_json=out.as_json)


@app.command("put")
def put(
    ctx: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", show_default=False, help="A file here; - for standard input."),
    ],
    path: Annotated[
        str,
        typer.Argument(
            metavar="PATH", show_default=False, help="In the file store; ending in /: by the same name there."
        ),
    ],
    content_type: Annotated[
        str | None,
        typer.Option("--type", metavar="TYPE", show_default=False, help="Such as text/csv; else by PATH's ending."),
    ] = None,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Bring a file. It is there whole, or not at all."""
    with file_session(ctx, as_json) as (files, out):
        from bluestar_store.files.streams import BINARY

        if file == STANDARD and path.endswith("/"):
            raise BadUsage("standard input has no name: give PATH one")
        path = _inside(path, file.name)
        kind = content_type or mimetypes.guess_type(path)[0] or BINARY
        with (
            _naming_the_option(),
            _opened(file) as source,
            files.open(path, "wb", kind, if_absent=not force) as target,
        ):
            total = None if file == STANDARD else file.stat().st_size
            size = _carried(f"Bringing {path.rpartition('/')[2]}", source, target, total)
        out.show({"path": path, "content_type": kind, "size_bytes": size}, f"Brought {path}: {size} bytes.")


@app.command("cp")
def cp(ctx: typer.Context, src: Source, dst: Target, force: Force = False, as_json: AsJson = False) -> None:
    """Copy a file within the file store."""
    _to_another_path(ctx, src, dst, force, as_json, move=False)


@app.command("mv")
def mv(ctx: typer.Context, src: Source, dst: Target, force: Force = False, as_json: AsJson = False) -> None:
    """Give a file another path. Broken off, it is at the old path, the new one, or both."""
    _to_another_path(ctx, src, dst, force, as_json, move=True)


@app.command("rm")
def rm(
    ctx: typer.Context,
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH...", show_default=False, help="In the file store; all must be there.")
    ],
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Delete files."""
    with file_session(ctx, as_json) as (files, out):
        found = [files.stat(path) for path in dict.fromkeys(paths)]
        lines = [f"{one.path}: {one.size_bytes} bytes" for one in found]
        ask(out, f"Delete {'this file' if len(found) == 1 else f'these {len(found)} files'}?", lines, yes=yes)
        for one in found:
            files.delete(one.path)
        out.show({"deleted": [one.path for one in found]}, f"Deleted: {len(found)}.")


@app.command("link")
def link(
    ctx: typer.Context,
    path: FilePath,
    expires: Annotated[
        int, typer.Option("--expires", metavar="SECONDS", min=1, help="How long it works, 7 days at most.")
    ] = 3600,
    as_json: AsJson = False,
) -> None:
    """Print a URL by which anybody can read a file for a time."""
    with file_session(ctx, as_json) as (files, out):
        url = files.link(path, expires)
        out.show({"path": path, "url": url, "expires_seconds": expires}, url)


def _opened(file: Path) -> AbstractContextManager[BinaryIO]:
    from bluestar_store.disk import open_plain

    if file == STANDARD:
        return nullcontext(sys.stdin.buffer)
    try:
        return open_plain(file)
    except OSError as error:
        raise BadUsage(f"{escaped(str(file))}: {error.strerror} (- is standard input)") from None


def _inside(path: str, name: str) -> str:
    """The path; of a folder (it ends in /) the path of that name there."""
    return path + name if path.endswith("/") else path


def _to_another_path(ctx: typer.Context, src: str, dst: str, force: bool, as_json: bool, *, move: bool) -> None:
    with file_session(ctx, as_json) as (files, out):
        from bluestar_store.errors import AlreadyExistsError

        dst = _inside(dst, src.rpartition("/")[2])
        with _naming_the_option():
            files.stat(src)  # what is missing is told first
            if not force and dst != src and files.exists(dst):
                raise AlreadyExistsError(f"{dst} is there already")
        call, doing, done = (files.move, "Moving", "Moved") if move else (files.copy, "Copying", "Copied")
        with progress(doing):
            call(src, dst)
        out.show({"src": src, "dst": dst}, f"{done} {src} to {dst}.")


@contextmanager
def _naming_the_option() -> Iterator[None]:
    """Say how to replace a file that is there already."""
    from bluestar_store.errors import AlreadyExistsError

    try:
        yield
    except AlreadyExistsError as error:
        raise AlreadyExistsError(f"{error}; --force replaces it") from None


def _looked_at(files: FileStore, paths: list[str], advance: Callable[[int], None]) -> Iterator[Record]:
    """What is known of each file that is still there."""
    from bluestar_store.errors import FileMissingError
    from bluestar_store.threads import Pool

    def look(path: str) -> FileInfo | None:
        try:
            return files.stat(path)
        except FileMissingError:
            return None

    with Pool(8, "bluestar-files") as pool:
        for found in pool.map(look, paths):
            advance(1)
            if found is not None:
                yield asdict(found)


def _to_standard_output(files: FileStore, path: str, *, as_json: bool) -> None:
    if as_json:
        raise BadUsage("--json does not go with a file on standard output")
    size = files.stat(path).size_bytes
    with files.open(path) as source:
        _carried(f"Fetching {path.rpartition('/')[2]}", source, sys.stdout.buffer, size)
    sys.stdout.buffer.flush()


def _carried(what: str, source: BinaryIO, target: IO[bytes] | FileWriter, total: int | None) -> int:
    """Copy all of it, with a bar; returns the bytes."""
    size = 0
    with progress(what, total, in_bytes=True) as advance:
        while chunk := source.read(CHUNK_BYTES):
            target.write(chunk)
            size += len(chunk)
            advance(len(chunk))
    return size
