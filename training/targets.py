"""The targets of each model: the figure its source reports, the minimum, and the goal."""

from dataclasses import dataclass

from inkling.recognition.card import ModelCard

TOLERANCE = 0.001  # largest allowed difference of a measured accuracy from the card's
CALIBRATION = 0.015  # the largest calibration error of a model without a target of its own

ACCURACY, ANIMALS, ANIMALS_MEAN = "accuracy", "six animals", "six animals, mean over classes"
SURE, RIGHT_WHEN_SURE, ERROR = "called sure", "right when sure", "calibration error"


@dataclass(frozen=True)
class Target:
    """The target for one figure of one model, as a share of the test pictures.

    A calibration error has to be at most `least`, and any other figure at least.
    """

    model: str
    task: str
    what: str
    source: str  # figure reported by the source, verbatim
    least: float
    aim: float
    figure: str = ACCURACY

    def is_met(self, share: float, wanted: float | None = None) -> bool:
        """Whether a measured figure is as good as `wanted`, which is `least` if it is not given."""
        wanted = self.least if wanted is None else wanted
        return share <= wanted if self.figure == ERROR else share >= wanted

    @property
    def bound(self) -> str:
        """What the figure must be, such as "at most 3.00%" or "99.20%"."""
        return ("at most " if self.figure == ERROR else "") + percent(self.least)


@dataclass(frozen=True)
class Miss:
    """What a model reaches of a target that it is known to miss, rounded. A later version may not be worse.

    The reason is a sentence for those who read the table.
    """

    reached: float
    reason: str


TARGETS = (
    Target("things", "things", "EfficientNet-Lite2, as published", "77.6%", 0.82, 0.83),
    Target("things", "things", RIGHT_WHEN_SURE, "-", 0.98, 0.99, RIGHT_WHEN_SURE),
    Target("things", "things", SURE, "-", 0.4, 0.5, SURE),
    Target("things", "things", ERROR, "-", 0.03, 0.015, ERROR),
    Target("cats-dogs-efficientnet", "cats-dogs", "a head on the features of things", "-", 0.992, 0.995),
    Target("cats-dogs-mobilenet", "cats-dogs", "MobileNetV2, pretrained, fine-tuned", "-", 0.987, 0.992),
    Target("cats-dogs-vgg16", "cats-dogs", "VGG16's convolutions, a new head", "91.3%", 0.978, 0.985),
    Target("cats-dogs-cnn", "cats-dogs", "own network from scratch", "83.5%", 0.95, 0.97),
    Target("objects-cnn", "objects", "CIFAR-10 network", "87%", 0.945, 0.955),
    Target("doodles-cnn", "doodles", "60 things", "-", 0.91, 0.92),
    Target("doodles-cnn", "doodles", ANIMALS, "90.3%", 0.95, 0.96, ANIMALS),
    Target("doodles-cnn", "doodles", ANIMALS_MEAN, "-", 0.89, 0.94, ANIMALS_MEAN),
    Target("doodles-cnn", "doodles", ERROR, "-", 0.015, 0.01, ERROR),
    Target("digits-cnn", "digits", "convolutional network", "98-99%", 0.9966, 0.998),
    Target("digits-hog", "digits", "HOG, scaled, best classical classifier", "-", 0.9948, 0.996),
    Target("digits-logistic", "digits", "logistic regression on 784 pixels", "92-94%", 0.9263, 0.93),
)

# (model, figure) -> how far it gets. Delete an entry when its target is met: a test asks for that.
MISSED = {
    ("things", ERROR): Miss(0.0352, "on 650 photos even a perfectly calibrated network would measure 3.4% on average."),
    ("objects-cnn", ACCURACY): Miss(
        0.9415, "it would have to read 21 more of 6,000 pictures; with 1.8 times as many parameters it read 17 of them."
    ),
    ("digits-hog", ACCURACY): Miss(
        0.9947, "it has read one digit of 10,000 less since it learned from ones with a long upstroke."
    ),
    ("doodles-cnn", ACCURACY): Miss(
        0.9006, "about one label in ten of Quick, Draw! is a scribble or not what it says."
    ),
    ("doodles-cnn", ERROR): Miss(0.0234, "its temperature was fitted on half-finished drawings, too."),
    ("doodles-cnn", ANIMALS): Miss(0.9399, "giraffes and camels are rare among the training drawings."),
}


def largest_error(model: str) -> float:
    """The largest calibration error that a model may have: its target, or how far it is known to get."""
    if known := MISSED.get((model, ERROR)):
        return known.reached
    return next((target.least for target in TARGETS if (target.model, target.figure) == (model, ERROR)), CALIBRATION)


def stated(card: ModelCard) -> dict[str, float]:
    """A card's figures by the names used in `Target.figure`."""
    metrics = card.metrics
    if metrics is None:
        return {}
    return {
        ACCURACY: metrics.accuracy,
        SURE: metrics.sure_share,
        RIGHT_WHEN_SURE: metrics.sure_accuracy,
        ERROR: metrics.calibration_error,
        **metrics.groups,
    }


def percent(share: float) -> str:
    return f"{share:.2%}"
