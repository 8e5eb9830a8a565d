"""A trained network -> a folder of `models/` that can be served, whole or not at all."""

import platform
import re
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import keras
import numpy as np

from inkling.recognition import inputs, runtimes
from inkling.recognition.card import InputSpec, Layer, ModelCard, Training, Trial, sha256
from inkling.recognition.catalog import Model, check_file
from training import evaluate, familiar, mirror, strangers
from training.data import Dataset, Split
from training.fit import Fitted, arrange
from training.half import halve, pack, round_weights
from training.recipe import Recipe

PARITY = 1e-3  # the largest difference of a probability between Keras and ONNX; TensorFlow itself varies by 1e-4
PARITY_PICTURES = 64
CURVES = ("loss", "accuracy", "val_loss", "val_accuracy")


def save(
    recipe: Recipe,
    dataset: Dataset,
    fitted: Fitted,
    root: Path,
    command: str,
    seed: int,
    trials: tuple[Trial, ...] = (),
    training: Training | None = None,
) -> ModelCard:
    """Writes `root/<recipe.name>`: the network as `.keras` and ONNX, figures, and the card that says all.

    The card's figures are those of the ONNX file on the test pictures; temperature, threshold and what is familiar
    come from the held-out ones. Whatever fails, or Ctrl-C, leaves the folder that was there as it was.

    Args:
        command: what trains this model again.
        trials: all seeds, where several were trained.
        training: what the card says of it, where it was not just now.

    Raises:
        ValueError: Keras and ONNX do not give the same answers.
    """
    root.mkdir(parents=True, exist_ok=True)
    with replacing(root / recipe.name) as draft:
        network = write_network(fitted.model, dataset.test.x, recipe, draft, dataset.train)
        card = describe(recipe, dataset, fitted, network, draft, command, seed, trials)
        card = card.model_copy(update={"training": training or card.training})
        (draft / "card.json").write_text(as_json(card), "utf-8")
    return card


def again(model: Model, recipe: Recipe | None, dataset: Dataset) -> ModelCard:
    """Writes a model's folder anew from its own `model.keras`, measured again; how it was trained stays.

    Args:
        recipe: gives title, summary, strengths and limitations; those of the card stay without one of this network.

    Raises:
        ValueError: the file is missing or not the card's, or `save` refuses it.
    """
    card = model.card
    if recipe and recipe.build(len(card.labels)).count_params() != card.parameters:
        recipe = None  # it has changed since, and tells of another network
    network = keras.saving.load_model(check_file(model, "model.keras"), compile=False, safe_mode=True)
    once = mirror.plain(network)
    fitted = Fitted(familiar.plain(once), card.history, card.training.epochs, card.training.seconds)
    recipe = recipe or replace(recipe_of(card), mirror=once is not network, nudge=mirror.nudge_of(network))
    return save(
        replace(recipe, input=card.input),
        dataset,
        fitted,
        model.folder.parent,
        card.training.command,
        card.training.seed,
        card.trials,
        card.training,
    )


def recipe_of(card: ModelCard) -> Recipe:
    """What a card tells of a recipe that is gone."""
    said = {
        name: getattr(card, name)
        for name in ("name", "task", "title", "summary", "strengths", "limitations", "input", "exact")
    }
    return Recipe(**said, dataset=card.training.dataset, build=None, augment=None, epochs=card.training.epochs)


def write_network(
    model: keras.Model, test_x: np.ndarray, recipe: Recipe, folder: Path, train: Split | None = None
) -> runtimes.Answering:
    """Writes `model.keras` (without the optimizer) and `model.onnx`, and returns the latter as it is served.

    Args:
        train: gives the network its second output, familiarity.

    Raises:
        ValueError: the two differ on test pictures, as `write_files` says.
    """
    whole = bare(model, recipe.input)
    if train:
        whole = familiar.with_familiarity(whole, train, recipe.input, recipe.centred)
    if recipe.mirror:
        whole = mirror.mirrored(whole, recipe.nudge)
    picked = np.unique(np.linspace(0, len(test_x) - 1, PARITY_PICTURES).astype(int))
    x = inputs.scale(arrange(test_x[picked], recipe.input), recipe.input.scaling)
    return write_files(whole, x, folder, recipe.spare)


def bare(model: keras.Model, spec: InputSpec) -> keras.Model:
    """A copy for one size of picture, without the optimizer."""
    copy = keras.models.clone_model(model, input_tensors=keras.Input((spec.height, spec.width, spec.channels)))
    copy.set_weights(model.get_weights())
    return keras.Model(copy.inputs, copy.outputs, name=model.name)


def write_files(model: keras.Model, x: np.ndarray, folder: Path, spare: int | None = None) -> runtimes.Answering:
    """Writes a model without an optimizer as `model.keras` and `model.onnx`, and returns the latter as it is served.

    Args:
        x: pictures to compare the two on, float32 [n, height, width, channels], n > 1.
        spare: rounds the weights to float16 less so many bits, and packs both files; None leaves them.

    Raises:
        ValueError: the two differ by more than `PARITY`.
    """
    if spare is not None:
        round_weights(model, spare)
    by_keras = runtimes.Answering(lambda batch: keras.tree.flatten(model.predict(batch, batch_size=16, verbose=0)))
    wanted = by_keras.answer(x)  # export needs one call before
    model.save(folder / "model.keras")
    with warnings.catch_warnings(action="ignore"):  # tf2onnx's, about names that numpy drops
        model.export(folder / "model.onnx", format="onnx", verbose=False)
    if spare is not None:
        halve(folder / "model.onnx")
        pack(folder / "model.keras")
    served = runtimes.Answering(runtimes.compile_onnx(folder / "model.onnx"))
    # Two sizes of batch: the exported network must take any.
    got = [served.answer(part) for part in (x[:1], x[1:])]
    gap = float(np.abs(np.concatenate([one.probabilities for one in got]) - wanted.probabilities).max())
    if wanted.familiarity is not None:
        familiarity = np.concatenate([one.familiarity for one in got])
        gap = max(gap, float(np.abs(familiarity - wanted.familiarity).max() / max(1, np.ptp(wanted.familiarity))))
    if not gap <= PARITY:  # not-a-number is refused too
        raise ValueError(f"ONNX must give what Keras gives, to {PARITY}. Received: a difference of {gap:.2g}")
    return served


def describe(
    recipe: Recipe,
    dataset: Dataset,
    fitted: Fitted,
    network: runtimes.Answering,
    folder: Path,
    command: str,
    seed: int,
    trials: tuple[Trial, ...] = (),
) -> ModelCard:
    """Measures a network, draws its figures into `folder`, and returns the card of all files there."""
    temperature, threshold, reached = decide(network, dataset, recipe)
    others = strangers.gather(recipe.task, recipe.input, min(strangers.COUNT, len(dataset.test.y)))
    metrics = evaluate.measure(
        network, dataset, recipe.input, temperature, threshold, recipe.groups, reached, others, folder / "mistakes.png"
    )
    evaluate.draw_confusion(np.array(metrics.confusion), dataset.labels, folder / "confusion.svg")
    history = {
        key: tuple(round(float(value), 5) for value in fitted.history[key]) for key in CURVES if key in fitted.history
    }
    if history:  # what is solved at once has none
        evaluate.draw_curves(history, folder / "curves.svg")
    return ModelCard(
        name=recipe.name,
        task=recipe.task,
        title=recipe.title,
        summary=recipe.summary,
        strengths=recipe.strengths,
        limitations=recipe.limitations,
        labels=dataset.labels,
        input=recipe.input,
        network=layers(bare(fitted.model, recipe.input)),
        parameters=fitted.model.count_params(),
        training=Training(
            dataset=dataset.name,
            train_size=len(dataset.train.y),
            held_out_size=len(dataset.held_out.y),
            corrections=fitted.corrections,
            epochs=fitted.epochs,
            seconds=round(fitted.seconds, 1),
            seed=seed,
            command=command,
            versions={"python": platform.python_version()}
            | {name: version(name) for name in ("keras", "tensorflow", "scikit-learn", "openvino")},
        ),
        metrics=metrics,
        trials=trials,
        history=history,
        temperature=temperature,
        threshold=threshold,
        familiar=reached,
        exact=recipe.exact,
        files={path.name: sha256(path) for path in sorted(folder.iterdir())},
        attribution=dataset.source,
    )


def decide(network: runtimes.Answering, dataset: Dataset, recipe: Recipe) -> tuple[float, float, float | None]:
    """Temperature, threshold and the familiarity to reach (None without), from the held-out pictures alone."""
    y = dataset.held_out.y
    answer = evaluate.answers(network, dataset.held_out.x, recipe.input)
    temperature = round(evaluate.fit_temperature(answer.probabilities, y), 4)
    reached = None if answer.familiarity is None else evaluate.choose_familiar(answer.familiarity, recipe.strange)
    known = evaluate.known(answer, reached)
    calibrated = runtimes.tempered(answer.probabilities, temperature)
    return temperature, evaluate.choose_threshold(calibrated[known], y[known]), reached


def layers(model: keras.Model) -> tuple[Layer, ...]:
    """The network's table, from the input on; the layers of a network within it stand in its place."""
    rows = []
    for one in model.layers:
        if isinstance(one, keras.Model):
            rows += (row for row in layers(one) if row.kind != "InputLayer")
        else:
            output = getattr(getattr(one, "output", None), "shape", ())  # a layer that is used twice has no one output
            rows.append(Layer(name=one.name, kind=type(one).__name__, output=output, parameters=one.count_params()))
    return tuple(rows)


def as_json(card: ModelCard) -> str:
    """The card as text that reads and diffs well: innermost lists, as a matrix's rows, on one line."""

    def one_line(match: re.Match) -> str:
        return re.sub(r"\n\s*", "", re.sub(r",\n\s*", ", ", match[0]))

    return re.sub(r"\[\n[^\[\]{}]*\]", one_line, card.model_dump_json(indent=1)) + "\n"


# ---- Whole or not at all ----


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Gives an empty folder to fill that becomes `target` if all goes well, and vanishes if not.

    It lies beside `target`, under a name that the catalog passes over, so that only names change in the end.
    """
    draft, aside = (target.with_name(f".{target.name}.{state}") for state in ("draft", "old"))
    if aside.exists() and not target.exists():  # a run was killed between the two renames
        aside.rename(target)
    for leftover in (draft, aside):
        shutil.rmtree(leftover, ignore_errors=True)
    draft.mkdir()
    try:
        yield draft
        if target.exists():
            target.rename(aside)
        draft.rename(target)
    finally:
        if aside.exists() and not target.exists():
            aside.rename(target)
        for leftover in (draft, aside):
            shutil.rmtree(leftover, ignore_errors=True)
