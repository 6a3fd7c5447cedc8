"""The options before a command, and what a command works with: an open Store and the output."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Annotated

import typer

from bluestar_store.cli.errors import BadUsage, reporting, tell
from bluestar_store.cli.output import Output

if TYPE_CHECKING:
    from bluestar_store.files import FileStore
    from bluestar_store.settings import Settings
    from bluestar_store.store import Store

AsJson = Annotated[bool, typer.Option("--json", help="Print the data as JSON, numbers exact.")]
Long = Annotated[bool, typer.Option("--long", "-l", help="Show descriptions and sources too.")]
Plan = Annotated[str, typer.Argument(metavar="PLAN", help="A plan's identifier, such as ACME.", show_default=False)]
Frequency = Annotated[
    str, typer.Argument(metavar="FREQ", help="A pay frequency, such as BiWeeklyFri.", show_default=False)
]


@dataclass(frozen=True)
class GivenSettings:
    """Settings given by option, by the names of their fields; None leaves a setting to the environment."""

    persistence_mode: str | None = None
    file_persistence_dir: str | None = None
    table_prefix: str | None = None
    table_suffix: str | None = None
    table_layout: str | None = None
    aws_region: str | None = None
    dynamodb_endpoint_url: str | None = None
    files_url: str | None = None
    files_endpoint_url: str | None = None
    actor: str | None = None

    def settings(self) -> Settings:
        """The environment's settings with the given ones over them."""
        from bluestar_store.errors import ConfigurationError
        from bluestar_store.settings import PersistenceMode, Settings

        given = {field.name: value for field in fields(self) if (value := getattr(self, field.name)) is not None}
        try:
            settings = Settings(**given)
        except ConfigurationError as error:
            text = str(error)
            for name in given:
                text = text.replace(f"BLUESTAR_{name.upper()}:", f"{OPTIONS[name]}:")
            if text == str(error):
                raise
            raise BadUsage(text) from None
        for name, mode in (
            ("file_persistence_dir", PersistenceMode.FILE),
            ("dynamodb_endpoint_url", PersistenceMode.DYNAMO),
        ):
            if name in given and settings.persistence_mode is not mode:
                raise BadUsage(f"{OPTIONS[name]} is for --mode {mode}; the mode is {settings.persistence_mode}")
        return settings


OPTIONS = {
    "persistence_mode": "--mode",
    "file_persistence_dir": "--dir",
    "table_prefix": "--prefix",
    "table_suffix": "--suffix",
    "table_layout": "--layout",
    "aws_region": "--region",
    "dynamodb_endpoint_url": "--endpoint-url",
    "files_url": "--files-url",
    "files_endpoint_url": "--files-endpoint-url",
    "actor": "--actor",
}


@dataclass(frozen=True)
class Invocation:
    """What came before the command."""

    given: GivenSettings
    debug: bool = False
    as_json: bool = False


def show_version(wanted: bool) -> None:
    """Print the version and end."""
    if wanted:
        from bluestar_store import __version__

        typer.echo(f"bluestar-store {__version__}")
        raise typer.Exit


def global_options(
    ctx: typer.Context,
    mode: Annotated[
        str | None,
        typer.Option(
            metavar="dynamo|file|memory|...",
            help="Where items live; or the engine of an installed package.",
            show_default=False,
        ),
    ] = None,
    directory: Annotated[
        str | None, typer.Option("--dir", metavar="FOLDER", help="The folder of mode file.", show_default=False)
    ] = None,
    prefix: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Table names begin so: bluestar-, unless set.", show_default=False),
    ] = None,
    suffix: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Table names end so, such as -dev.", show_default=False)
    ] = None,
    layout: Annotated[
        str | None,
        typer.Option(metavar="per_table|single", help="A table for each subject, or all in one.", show_default=False),
    ] = None,
    region: Annotated[
        str | None, typer.Option(metavar="NAME", help="The AWS region, such as us-east-1.", show_default=False)
    ] = None,
    endpoint_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Another DynamoDB than AWS's own.", show_default=False)
    ] = None,
    files_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The file store, such as s3://bucket/prefix.", show_default=False),
    ] = None,
    files_endpoint_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Another S3 than AWS's own, or an Azure account.", show_default=False),
    ] = None,
    actor: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who writes: kept on every item.", show_default=False)
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=show_version, is_eager=True)
    ] = False,
) -> None:
    """The store of the BlueStar payroll agents: make its tables, seed and change its rules, look into it.

    Options given here, before the command, win over the environment (BLUESTAR_PERSISTENCE_MODE, BLUESTAR_TABLE_SUFFIX,
    ...). Data goes to stdout, progress and errors to stderr.

    Exit codes: 0 done, 1 an error, 2 bad usage, 3 differences found.
    """
    given = GivenSettings(
        persistence_mode=mode,
        file_persistence_dir=directory,
        table_prefix=prefix,
        table_suffix=suffix,
        table_layout=layout,
        aws_region=region,
        dynamodb_endpoint_url=endpoint_url,
        files_url=files_url,
        files_endpoint_url=files_endpoint_url,
        actor=actor,
    )
    ctx.obj = Invocation(given, debug)


def next_command(ctx: typer.Context, *words: str) -> str:
    """A command for the same store, as it can be pasted into a shell."""
    given: GivenSettings = ctx.obj.given
    options = [(OPTIONS[field.name], getattr(given, field.name)) for field in fields(given)]
    return shlex.join(["bluestar-store", *(text for pair in options if pair[1] is not None for text in pair), *words])


@contextmanager
def output(ctx: typer.Context, as_json: bool) -> Iterator[Output]:
    """The output of a command; what fails inside is reported and ends the program."""
    invocation: Invocation = ctx.obj
    with reporting(invocation.debug):
        yield Output(as_json or invocation.as_json)


@contextmanager
def opened_store(ctx: typer.Context, as_json: bool) -> Iterator[tuple[Store, Output]]:
    """An open Store and the output of a command; what fails inside is reported and ends the program."""
    with output(ctx, as_json) as out:
        from bluestar_store.settings import PersistenceMode
        from bluestar_store.store import Store

        settings = ctx.obj.given.settings()
        if settings.persistence_mode is PersistenceMode.MEMORY:
            tell("warning: mode memory is empty at the start of a command and forgotten at its end; see --mode file")
        with Store.open(settings) as store:
            yield store, out


@contextmanager
def file_session(ctx: typer.Context, as_json: bool) -> Iterator[tuple[FileStore, Output]]:
    """An open file store and the output of a command; what fails inside is reported and ends the program."""
    with output(ctx, as_json) as out:
        from bluestar_store.errors import ConfigurationError
        from bluestar_store.files import files_of

        given: GivenSettings = ctx.obj.given
        settings = given.settings()
        try:
            files = files_of(settings)
        except ConfigurationError as error:
            if given.files_url is None or "BLUESTAR_FILES_URL" not in str(error):
                raise
            raise BadUsage(str(error).replace("BLUESTAR_FILES_URL", OPTIONS["files_url"])) from None
        if settings.files_url == "memory://":
            tell("warning: memory:// is empty at the start of a command and forgotten at its end; see file:///folder")
        with closing(files):
            yield files, out


def group_options(ctx: typer.Context, as_json: AsJson = False) -> None:
    """The option that a group of commands has before its command."""
    ctx.obj = replace(ctx.obj, as_json=as_json)


def group(what: str) -> typer.Typer:
    """A group of commands about one kind of thing."""
    app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help=what)
    app.callback()(group_options)
    return app
