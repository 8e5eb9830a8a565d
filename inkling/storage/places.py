"""Where pictures, examples and published models lie. The only place that knows what `INKLING_BLOBS` says."""

from typing import NamedTuple

from inkling.config import Settings
from inkling.storage.blobs import EXAMPLES, Blobs, FolderBlobs
from inkling.storage.published import BucketCopies, Copies, NoCopies, Versions
from inkling.storage.s3 import Bucket, S3Blobs


class Places(NamedTuple):
    """The places of one installation."""

    results: Blobs
    examples: Blobs  # a place of their own, which retention never visits
    versions: Versions
    copies: Copies


def places(settings: Settings) -> Places:
    """The places that the settings name: the data folder, or a bucket."""
    versions = Versions(settings.pictures / "taught")
    if not settings.blobs:
        examples = FolderBlobs(settings.pictures / EXAMPLES)
        return Places(FolderBlobs(settings.pictures), examples, versions, NoCopies())
    bucket = Bucket(settings.blobs)
    return Places(S3Blobs(bucket), S3Blobs(bucket, f"{EXAMPLES}/"), versions, BucketCopies(bucket, versions))
