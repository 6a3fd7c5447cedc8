"""What a command tells when it cannot do its work: one line on stderr and an exit code.

Exit codes: 0 done, 1 an error, 2 bad usage, 3 differences found; 130 and 141, as a shell reports them, for Ctrl-C
and for a reader of the output who went away.
"""

from __future__ import annotations

import os
import sys
import traceback
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn, TextIO

import typer

from bluestar_store.errors import BlueStarError, ImportRefusedError, SeedError

ERROR, USAGE, DIFFERENCES, INTERRUPTED, BROKEN_PIPE = 1, 2, 3, 130, 141

_UNSEEN = frozenset(("Cc", "Cs", "Cf", "Zl", "Zp"))
"""Unicode's categories of controls, surrogates, format characters (invisible ones, and those that turn the direction of
text) and separators of lines: on a terminal they would show something else than is there."""
_JOINER = "\N{ZERO WIDTH JOINER}"


class BadUsage(Exception):
    """An option whose value cannot be right."""


class Declined(Exception):
    """The user did not confirm what the command asked."""


@contextmanager
def reporting(debug: bool) -> Iterator[None]:
    """Turn whatever a command raises into its line and exit code, and warnings into one line each."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", UserWarning)
            warnings.showwarning = _show_warning
            yield
    except typer.Exit:
        raise
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except BrokenPipeError:
        # What is still buffered is written when Python ends, and must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(BROKEN_PIPE) from None
    except BadUsage as error:
        _fail(str(error), USAGE, debug)
    except Declined as error:
        _fail(str(error), ERROR, debug)
    except (SeedError, ImportRefusedError) as error:
        _fail("\n".join(map(escaped, error.lines)), ERROR, debug)
    except BlueStarError as error:
        _fail(escaped(str(error)), ERROR, debug)
    except Exception as error:
        # Without its text: nobody has seen to it that no bank number is in there.
        hint = "" if debug else "; `bluestar-store --debug ...` shows where"
        _fail(f"unexpected {type(error).__name__}{hint}", ERROR, debug)


def tell(text: str) -> None:
    """A line on stderr."""
    typer.echo(text, err=True)


def escaped(text: str) -> str:
    """The text on one line, with what would not be seen as escapes: a value must not move the cursor of a terminal."""
    if text.isprintable():
        return text
    return "".join(
        _escape(char) if _is_unseen(char, before) else char for before, char in zip(f" {text}", text, strict=False)
    )


def _is_unseen(char: str, before: str) -> bool:
    joins = char == _JOINER and unicodedata.category(before) == "So"  # two symbols become one that is seen
    return unicodedata.category(char) in _UNSEEN and not joins


def _escape(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode()


def _fail(text: str, code: int, debug: bool) -> NoReturn:
    if debug:
        traceback.print_exc()
    tell(f"error: {text}")
    raise typer.Exit(code)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    tell(f"warning: {escaped(str(message))}")
