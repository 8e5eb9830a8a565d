"""A picture that several models may be asked about."""

from dataclasses import replace

from PIL import Image

from inkling.pictures.encode import at_most
from inkling.recognition.card import InputSpec, ModelCard
from inkling.recognition.inputs import Picture, as_image
from inkling.recognition.predictor import Prepared, prepare


class Subject:
    """A picture, prepared at most once for each kind of input.

    A batch holds many subjects, so a subject does not hold a larger picture than necessary: see `reduce`.

    Args:
        image: upright, in RGB; or a drawing as strokes.
        drawn: whether it is known to be a drawing, because it comes from a canvas. Strokes always are.

    Attributes:
        is_ink: whether Auto takes it for a drawing.
        deciding: the milliseconds that this decision took.
        asked: the models that were asked, in their order, with the milliseconds that each network took.
    """

    def __init__(self, image: Picture, drawn: bool = False):
        self.drawn = drawn or not isinstance(image, Image.Image)
        self.is_ink = self.drawn
        self.deciding = 0.0
        self.asked: dict[str, float] = {}
        self._image: Picture | None = image
        self._prepared: dict[InputSpec, Prepared] = {}

    @property
    def image(self) -> Picture:
        """The picture.

        Raises:
            RuntimeError: it was released.
        """
        if self._image is None:
            raise RuntimeError("the picture was released")
        return self._image

    @property
    def preparing(self) -> float:
        """The milliseconds that everything before the networks took, without decoding."""
        return self.deciding + sum(prepared.milliseconds for prepared in self._prepared.values())

    def prepared(self, card: ModelCard, judge: ModelCard | None = None) -> Prepared:
        """The picture as a model's input.

        Args:
            judge: the model that tells whether the picture is familiar, see `predictor.prepare`.

        Raises:
            Problem: "blank", for a drawing without ink.
        """
        if card.input not in self._prepared:
            self._prepared[card.input] = prepare(self.image, card)
        if judge and self._prepared[card.input].judged is None:
            self._prepared[card.input] = replace(self._prepared[card.input], judged=self.prepared(judge))
        return self._prepared[card.input]

    def reduce(self, side: int) -> None:
        """Replaces a picture that is more than twice as long as `side` by one that is `side` pixels long.

        A smaller saving is not worth the time, and a JPEG was decoded at less than twice what is needed.
        """
        image = as_image(self.image)
        self._image = at_most(image, side) if max(image.size) > 2 * side else image

    def release(self) -> None:
        """Drops the picture. What was prepared from it stays."""
        self._image = None
