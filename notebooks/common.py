"""Helpers of the notebooks: how many pictures to use, tables, and plots.

Importing this module changes to the project's folder, so that `inkling`, `training`, `data` and `models` are found.
"""

import logging
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
os.chdir(ROOT)
sys.path.insert(0, str(ROOT))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # hides TensorFlow's startup messages
logging.getLogger("tensorflow").addFilter(lambda record: record.levelno >= logging.ERROR)  # and its advice

import matplotlib.pyplot as plt  # noqa: E402
import numpy as np  # noqa: E402
from IPython.display import SVG, display  # noqa: E402

from inkling.config import Settings  # noqa: E402
from inkling.recognition.catalog import Model, read_catalog  # noqa: E402
from training.targets import TARGETS  # noqa: E402

MODELS = Settings.from_env().models
FEWEST = 10  # fewest answers behind a point of the reliability curve
History = dict[str, Sequence[float]]


def limit(default: int | None = None) -> int | None:
    """Returns how many pictures of each part of a data set to use: `NOTEBOOK_LIMIT`, or the default if it is empty."""
    given = os.environ.get("NOTEBOOK_LIMIT")
    if not given:
        return default
    if not given.isdecimal() or int(given) < 1:
        raise ValueError(f"NOTEBOOK_LIMIT must be a whole number from 1 on, or empty. Received: {given!r}")
    return min(int(given), default or int(given))


def epochs(default: int) -> int:
    """Returns the number of epochs to train: two if `NOTEBOOK_LIMIT` is set."""
    return 2 if limit() else default


def models(task: str) -> dict[str, Model]:
    """Returns the shipped models of a task by name, and prints which of its models are missing."""
    found = read_catalog(MODELS).models
    for name in dict.fromkeys(target.model for target in TARGETS if target.task == task):
        if name not in found:
            print(f"{name} is not here yet: python -m training train {name}")
    return {name: model for name, model in found.items() if model.card.task == task}


# ---- Tables and sentences ----


def percent(share: float) -> str:
    return f"{share:.1%}"


def table(*rows: Sequence[object]) -> None:
    """Prints columns as wide as their widest cell. The first row is the header."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        print("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def layers_of(rows: Sequence[object]) -> None:
    """Prints a network's layers from a card or from `training.export.layers`."""
    sizes = [" x ".join("any" if side is None else str(side) for side in row.output[1:]) for row in rows]
    table(
        ("layer", "output", "parameters"),
        *((row.kind, size, f"{row.parameters:,}") for row, size in zip(rows, sizes, strict=True)),
    )


def read_curves(history: History) -> None:
    """Prints what the curves of a training show."""
    train, validation = history["accuracy"][-1], history["val_accuracy"][-1]
    losses = history["val_loss"]
    best, last = int(np.argmin(losses)) + 1, len(losses)
    print(f"Accuracy after the last of {last} epochs: training {percent(train)}, validation {percent(validation)}.")
    gap = train - validation
    if gap > 0.03:
        print(f"Training is {100 * gap:.1f} points above validation: some of it was learned by heart (overfitting).")
    elif gap < -0.005:
        print(
            f"Validation is {-100 * gap:.1f} points above training: the training pictures are made harder than real "
            "ones (augmentation, and dropout where there is some), and there is no sign of learning by heart."
        )
    else:
        print("Training and validation are close: what was learned holds for new pictures.")
    if best >= 0.9 * last:
        print(f"The validation loss is lowest in epoch {best}: it fell to the end.")
    elif losses[-1] < 1.05 * min(losses):
        print(
            f"The validation loss is lowest in epoch {best}, and hardly changes after it: longer training of this "
            "kind gains nothing."
        )
    else:
        print(
            f"The validation loss is lowest in epoch {best} and rises after it, from {losses[best - 1]:.3f} to "
            f"{losses[-1]:.3f}: longer training of this kind makes its confidence worse, and may still make more "
            "answers right. Temperature scaling mends the confidence."
        )


def confused(matrix: Sequence[Sequence[int]], labels: Sequence[str], count: int = 8) -> None:
    """Prints the pairs of labels with the most errors in a confusion matrix [true][predicted]."""
    matrix = np.array(matrix)
    errors = matrix * (1 - np.eye(len(labels), dtype=int))
    order = np.argsort(-errors, axis=None, kind="stable")[:count]
    pairs = [pair for pair in zip(*np.unravel_index(order, errors.shape), strict=True) if errors[pair]]
    table(
        ("true", "taken for", "times", "of"), *((labels[i], labels[j], errors[i, j], matrix[i].sum()) for i, j in pairs)
    )


# ---- Plots ----


def pictures(
    x: Sequence[np.ndarray],
    titles: Sequence[str] = (),
    columns: int = 10,
    side: float = 1.0,
    cmap: str = "gray",
    whole: bool = True,
) -> None:
    """Shows pictures, [h, w] or [h, w, 3], in a grid.

    Args:
        side: width of one picture in inches.
        whole: maps 0 to 255 to the full gray scale. If False, each picture's own range is used.
    """
    columns = min(columns, len(x))
    rows = -(-len(x) // columns)
    height = side * max(picture.shape[0] / picture.shape[1] for picture in x)
    lines = 1 + titles[0].count("\n") if len(titles) else 0
    size = (columns * side, rows * (height + 0.22 * lines))
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    for ax in axes.flat:
        ax.axis("off")
    for i, (ax, picture) in enumerate(zip(axes.flat, x, strict=False)):
        ax.imshow(np.squeeze(picture), cmap=cmap, **({"vmin": 0, "vmax": 255} if whole else {}))
        if len(titles):
            ax.set_title(titles[i], fontsize=9)
    plt.show()


def bars(shares: dict[str, float], title: str, low: float = 0.0) -> None:
    """Shows shares by name as horizontal bars with their values, from `low` to 100%."""
    figure, ax = plt.subplots(figsize=(6, 0.6 + 0.3 * len(shares)), layout="constrained")
    drawn = ax.barh(list(shares), [100 * share for share in shares.values()])
    ax.bar_label(drawn, [percent(share) for share in shares.values()], padding=3)
    ax.invert_yaxis()
    ax.set(xlim=(100 * low, 100 + 12 * (1 - low)), xlabel="%", title=title)
    plt.show()


def curves(history: History) -> None:
    """Shows loss and accuracy per epoch, training against validation."""
    from training import evaluate

    show_svg(lambda path: evaluate.draw_curves(history, path))


def confusion(matrix: Sequence[Sequence[int]], labels: Sequence[str]) -> None:
    """Shows a confusion matrix [true][predicted]. Darker cells hold a larger share of their row."""
    from training import evaluate

    show_svg(lambda path: evaluate.draw_confusion(np.array(matrix), labels, path))


def show_svg(draw) -> None:
    """Shows the SVG that `draw` writes to a path."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "figure.svg"
        draw(path)
        display(SVG(filename=str(path)))


def reliability(before: tuple[np.ndarray, np.ndarray], after: tuple[np.ndarray, np.ndarray]) -> None:
    """Shows how often answers of each confidence are right, before and after calibration.

    Args:
        before, after: probabilities [n, labels] and true labels [n].
    """
    from training import evaluate

    figure, ax = plt.subplots(figsize=(4, 4), layout="constrained")
    ax.plot([0, 1], [0, 1], "--", color="0.6", label="as right as sure")
    for name, answers in (("before", before), ("after", after)):
        used = [one for one in evaluate.bins(*answers) if one.count >= FEWEST]
        ax.plot([one.confidence for one in used], [one.accuracy for one in used], "o-", label=name)
    ax.set(xlabel="confidence", ylabel="share of right answers", xlim=(0, 1), ylim=(0, 1))
    ax.legend()
    plt.show()
