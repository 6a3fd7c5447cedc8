"""The version of the installed distribution, as `bluestar_store.__version__`."""

from importlib.metadata import PackageNotFoundError, version

__all__ = ["__version__"]

try:
    __version__: str = version("bluestar-store")
    """As PEP 440 has it. `0+unknown` where the package lies without its metadata, as in a stripped archive."""
except PackageNotFoundError:
    __version__ = "0+unknown"
