"""The whole of what `documents.DocumentStore` promises, as one class of tests."""

from __future__ import annotations

from bluestar_store.testing.documents_find import DocumentsFind
from bluestar_store.testing.documents_keys import DocumentsKeys
from bluestar_store.testing.documents_times import DocumentsTimes
from bluestar_store.testing.documents_transfer import DocumentsTransfer
from bluestar_store.testing.documents_values import DocumentsValues
from bluestar_store.testing.documents_writes import DocumentsWrites


class DocumentsSuite(DocumentsWrites, DocumentsKeys, DocumentsValues, DocumentsTimes, DocumentsFind, DocumentsTransfer):
    """Every rule. Subclass it, and give the fixtures `open_store` and `door`."""
