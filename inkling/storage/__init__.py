"""Storage: results and batches in a database, their pictures as blobs, retention, and backups.

Nobody outside this room sees a path or a query.
"""

from inkling.storage.errors import StoreError
from inkling.storage.retention import Housekeeper, Pruned, prune
from inkling.storage.store import (
    NONE_OF_THESE,
    UNDO_PERIOD,
    Answer,
    Batch,
    Entry,
    NewResult,
    Result,
    Storage,
    unsaved_result,
)
from inkling.storage.tokens import Credential, Quota, Tokens

__all__ = [
    "NONE_OF_THESE",
    "UNDO_PERIOD",
    "Answer",
    "Batch",
    "Credential",
    "Entry",
    "Housekeeper",
    "NewResult",
    "Pruned",
    "Quota",
    "Result",
    "Storage",
    "StoreError",
    "Tokens",
    "prune",
    "unsaved_result",
]
