"""Documents: a schemaless store of plain dicts, on DynamoDB or in a folder, alike in both (docs/documents.md)."""

from bluestar_store.documents.dynamo import PynamoStore
from bluestar_store.documents.file import FileStore
from bluestar_store.documents.opening import get_store
from bluestar_store.documents.protocol import DynamoStore
from bluestar_store.documents.store import DocumentStore, IdGenerator
from bluestar_store.documents.transfer import Imported, export_documents, import_documents
from bluestar_store.documents.values import Document

__all__ = [
    "Document",
    "DocumentStore",
    "DynamoStore",
    "FileStore",
    "IdGenerator",
    "Imported",
    "PynamoStore",
    "export_documents",
    "get_store",
    "import_documents",
]
