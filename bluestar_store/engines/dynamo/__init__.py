"""The engine on DynamoDB, over one botocore client."""

from typing import TYPE_CHECKING

from bluestar_store.lazy import lazily

if TYPE_CHECKING:
    from bluestar_store.engines.dynamo.engine import DynamoEngine

__getattr__, __dir__ = lazily(__name__, {"bluestar_store.engines.dynamo.engine": ("DynamoEngine",)})

__all__ = ["DynamoEngine"]
