"""The Stores of the store suite's plug-ins, for what is awaited round them."""

from tests.stores.conftest import layout, local_connection, make_store

__all__ = ["layout", "local_connection", "make_store"]
