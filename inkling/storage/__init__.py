"""Storage: results and batches in a database, their pictures as blobs, retention, and backups.

Nobody outside this room sees a path or a query.
"""

from inkling.storage.errors import StoreError
from inkling.storage.retention import Housekeeper, Pruned, prune
from inkling.storage.store import (
    NONE_OF_THESE,
    Answer,
    Batch,
    Entry,
    NewResult,
    Result,
    Storage,
    unsaved_result,
)

__all__ = [
    "NONE_OF_THESE",
    "Answer",
    "Batch",
    "Entry",
    "Housekeeper",
    "NewResult",
    "Pruned",
    "Result",
    "Storage",
    "StoreError",
    "prune",
    "unsaved_result",
]
