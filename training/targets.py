"""The targets of each model: the figure its source reports, the minimum, and the goal."""

from dataclasses import dataclass

TOLERANCE = 0.001  # largest allowed difference of a measured accuracy from the card's
CALIBRATION = 0.015  # the largest calibration error of any model

ACCURACY, ANIMALS, ANIMALS_MEAN = "accuracy", "six animals", "six animals, mean over classes"


@dataclass(frozen=True)
class Target:
    """The target for one figure of one model, as a share of the test pictures."""

    model: str
    task: str
    what: str
    source: str  # figure reported by the source, verbatim
    least: float
    aim: float
    figure: str = ACCURACY


TARGETS = (
    Target("things", "things", "EfficientNet-Lite2, as published", "77.6%", 0.82, 0.83),
    Target("cats-dogs-efficientnet", "cats-dogs", "a head on the features of things", "-", 0.988, 0.992),
    Target("cats-dogs-mobilenet", "cats-dogs", "MobileNetV2, pretrained, fine-tuned", "-", 0.987, 0.992),
    Target("cats-dogs-vgg16", "cats-dogs", "VGG16's convolutions, a new head", "91.3%", 0.978, 0.985),
    Target("cats-dogs-cnn", "cats-dogs", "own network from scratch", "83.5%", 0.95, 0.97),
    Target("objects-cnn", "objects", "CIFAR-10 network", "87%", 0.935, 0.955),
    Target("doodles-cnn", "doodles", "60 things", "-", 0.855, 0.88),
    Target("doodles-cnn", "doodles", ANIMALS, "90.3%", 0.935, 0.96, ANIMALS),
    Target("doodles-cnn", "doodles", ANIMALS_MEAN, "-", 0.89, 0.94, ANIMALS_MEAN),
    Target("digits-cnn", "digits", "convolutional network", "98-99%", 0.9965, 0.998),
    Target("digits-hog", "digits", "HOG, scaled, best classical classifier", "-", 0.99, 0.994),
    Target("digits-logistic", "digits", "logistic regression on 784 pixels", "92-94%", 0.925, 0.93),
)
