"""What `make site` does besides building: it fails where a public name is not explained, or on no page."""

from __future__ import annotations

import re
import sys
import zlib
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError

sys.path.insert(0, str(Path(__file__).parent))
import public_api

OUTSIDE = re.compile(r"\[([^]]+)\]\(\.\./([^)#]+)[^)]*\)")


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The page, with links to what is not in docs/ as text."""
    return OUTSIDE.sub(r"\1 (`\2`)", markdown)


def on_post_build(config: Any) -> None:
    """PluginError, which ends the build, for public names without a docstring, and for such as are on no page."""
    package = public_api.loaded()
    shown = inventory(Path(config["site_dir"]))
    problems = [f"{name} has no docstring" for name in public_api.undocumented(package)]
    for module in public_api.modules():
        for name, thing in public_api.public(package, module).items():
            if not shown & {name, thing and thing.path}:
                problems.append(f"{name} is on no page of docs/api")
    if problems:
        raise PluginError("\n".join(problems))


def inventory(site: Path) -> set[str]:
    """The names that the built pages explain: Sphinx's `objects.inv`, four lines of text and the rest compressed."""
    body = (site / "objects.inv").read_bytes().split(b"\n", 4)[4]
    return {line.split()[0] for line in zlib.decompress(body).decode().splitlines()}
