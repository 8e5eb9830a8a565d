"""The picture that the lab's steps start from.

The lab saves nothing: a picture that a visitor chose goes to and fro between browser and server as a small copy, a
data URL in the page's form.
"""

from dataclasses import dataclass

import numpy as np

from inkling.lab import operations
from inkling.pictures.budget import Budget
from inkling.service import Canvas, Service, Upload

LARGEST_COPY = 200_000  # bytes of the copy in the form


@dataclass(frozen=True)
class Original:
    """A picture to work on.

    Attributes:
        picture: uint8 [height, width, 3], at most `operations.SIDE` a side.
        kind: "photo" or "drawing".
        copy: the data URL that the form sends back, of a visitor's own picture.
        result: the id of the saved result that the picture belongs to. Without copy and result it is the sample.
    """

    picture: np.ndarray
    kind: str = "photo"
    copy: str = ""
    result: str | None = None

    @property
    def url(self) -> str:
        """A data URL to show it by."""
        return self.copy or operations.data_url(self.picture, LARGEST_COPY)


def sample() -> Original:
    """The picture for those who have not chosen one."""
    return Original(operations.sample())


def of_source(source: Upload | Canvas, service: Service, budget: Budget) -> Original:
    """A picture that was just chosen or drawn.

    Steps work on the copy from the start: it may be a JPEG, and the picture must not change with the second step.

    Raises:
        Problem: the picture is not accepted.
    """
    image = source.read(service.settings, budget, operations.SIDE)
    most = min(LARGEST_COPY, service.settings.max_bytes)
    copy = operations.data_url(operations.working(image), most)
    # Reading our own small copy takes milliseconds, so it never fails for lack of time.
    return of_copy(copy, source.kind, service, Budget(service.settings.request_seconds))


def of_copy(url: str, kind: str, service: Service, budget: Budget) -> Original:
    """A picture that the form brought back.

    Raises:
        Problem: the copy is not a picture.
    """
    source = Canvas(url, kind)
    if len(url) > 2 * LARGEST_COPY:  # not made by the page: made smaller like any other picture
        return of_source(source, service, budget)
    image = source.read(service.settings, budget, operations.SIDE)
    return Original(operations.working(image), kind, url)
