"""The README's figures of the models are those of their cards."""

import re
import statistics

import pytest

from inkling.config import ROOT
from inkling.recognition.catalog import read_catalog

CARDS = {name: model.card for name, model in read_catalog(ROOT / "models").models.items()}


def rows(heading):
    """The cells of the first table below a heading, its own heading left out."""
    text = (ROOT / "README.md").read_text("utf-8").split(f"{heading}\n", 1)[1]
    table = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)[0].splitlines()[2:]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in table]


def test_every_model_stands_with_the_figures_of_its_card():
    stated = {name: (task, pictures.split()[0], *figures) for name, task, pictures, *figures in rows("## Models")}
    assert stated == {
        name: (
            card.task,
            f"{card.metrics.test_size:,}",
            f"{card.metrics.accuracy:.2%}",
            f"{card.metrics.calibration_error:.2%}",
            f"{card.metrics.sure_share:.1%}",
            f"{card.metrics.sure_accuracy:.2%}",
            f"{card.parameters:,}",
        )
        for name, card in CARDS.items()
    }


def test_every_kind_of_stranger_stands_with_the_figures_of_the_card():
    names = {"photos of other things (CIFAR-10)": "objects"}
    stated = {
        (model, names.get(kind, kind)): figures
        for model, kind, *figures in rows("### Does it notice what it does not know?")
    }
    assert stated == {
        (name, kind): [f"{share:.3f}", f"{card.metrics.not_sure[kind]:.1%}"]
        for name, card in CARDS.items()
        for kind, share in card.metrics.strangers.items()
    }


@pytest.mark.parametrize("name", [name for name, card in CARDS.items() if len(card.trials) > 1])
def test_the_mean_of_several_seeds_stands_too(name):
    text = (ROOT / "README.md").read_text("utf-8")
    shares = [trial.accuracy for trial in CARDS[name].trials]
    assert f"| `{name}` | {statistics.mean(shares):.2%} ± {statistics.stdev(shares):.2%} |" in text
