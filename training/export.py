"""Writes a trained network as a model folder that can be served, in one step."""

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

from inkling.recognition import inputs
from inkling.recognition.card import InputSpec, Layer, ModelCard, Training, Trial, sha256
from inkling.recognition.catalog import Model, check_file
from inkling.recognition.runtimes import base, openvino
from training import data, evaluate, familiar, heads, mirror, strangers
from training.data import Dataset, Split
from training.fit import Fitted, arrange
from training.half import halve, pack, round_weights
from training.prefixes import half_drawn
from training.recipe import Recipe
from training.teachable import add_features

PARITY = 1e-3  # largest allowed difference of a probability between Keras and ONNX; TensorFlow alone varies by 1e-4
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
    """Writes `root/<recipe.name>`: the network as `.keras` and ONNX, its figures and its card.

    The metrics are measured from the ONNX file on the test pictures. Temperature, threshold and limit of familiarity
    are fitted on the held-out pictures. If anything fails, the existing folder stays unchanged.

    Args:
        command: the command that trains this model again.
        trials: results of all seeds, if several were trained.
        training: the card's record of an earlier training, for a model that was not trained now.

    Raises:
        ValueError: Keras and ONNX give different answers.
    """
    root.mkdir(parents=True, exist_ok=True)
    with replacing(root / recipe.name) as draft:
        backbone = heads.backbone_of(recipe, root) if recipe.backbone else None
        if backbone:
            network = heads.write(fitted.model, draft, backbone, dataset.test, recipe.mirror_below)
        else:
            network = write_network(fitted.model, dataset.test.x, recipe, draft, dataset.train)
        card = describe(recipe, dataset, fitted, network, draft, command, seed, trials)
        card = card.model_copy(update={"training": training or card.training})
        if backbone:
            card = heads.on_backbone(card, backbone)
        (draft / "card.json").write_text(as_json(card), "utf-8")
    return card


def again(model: Model, recipe: Recipe | None, dataset: Dataset) -> ModelCard:
    """Rewrites a model's folder from its own `model.keras` and measures it again.

    Args:
        recipe: the source of title and texts; the card's own are kept if it is None or describes another network.

    Raises:
        ValueError: the file is missing or does not match its checksum, or `save` refuses it.
    """
    card = model.card
    file = heads.KERAS_FILE if card.backbone else "model.keras"
    network = keras.saving.load_model(check_file(model, file), compile=False, safe_mode=True)
    once = mirror.plain(network)
    fitted = Fitted(familiar.plain(once), card.history, card.training.epochs, card.training.seconds)
    if recipe and recipe.build(len(card.labels)).count_params() != fitted.model.count_params():
        recipe = None  # the recipe has changed since and describes another network
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
    """A recipe made from a card, for a model whose own recipe no longer exists."""
    said = {
        name: getattr(card, name)
        for name in ("name", "task", "title", "summary", "strengths", "limitations", "input", "mirror_below", "exact")
    }
    said["backbone"] = card.backbone and card.backbone.model
    return Recipe(**said, dataset=card.training.dataset, build=None, augment=None, epochs=card.training.epochs)


def write_network(
    model: keras.Model, test_x: np.ndarray, recipe: Recipe, folder: Path, train: Split | None = None
) -> base.Answering:
    """Writes `model.keras` (without the optimizer) and `model.onnx`; returns the latter, opened as in serving.

    Args:
        train: training pictures from which the second output, familiarity, is fitted; None leaves it out.

    Raises:
        ValueError: the two differ on test pictures; see `write_files`.
    """
    whole = bare(model, recipe.input)
    if train:
        whole = familiar.with_familiarity(whole, train, recipe.input, recipe.centred)
    if recipe.mirror:
        whole = mirror.mirrored(whole, recipe.nudge)
    picked = np.unique(np.linspace(0, len(test_x) - 1, PARITY_PICTURES).astype(int))
    x = inputs.scale(arrange(test_x[picked], recipe.input), recipe.input.scaling)
    return write_files(whole, x, folder, recipe.spare, recipe.mirror_below, recipe.teachable)


def bare(model: keras.Model, spec: InputSpec) -> keras.Model:
    """A copy with a fixed input size and without the optimizer."""
    copy = keras.models.clone_model(model, input_tensors=keras.Input((spec.height, spec.width, spec.channels)))
    copy.set_weights(model.get_weights())
    return keras.Model(copy.inputs, copy.outputs, name=model.name)


def write_files(
    model: keras.Model,
    x: np.ndarray,
    folder: Path,
    spare: int | None = None,
    mirror_below: float | None = None,
    teachable: bool = False,
) -> base.Answering:
    """Writes a model without an optimizer as `model.keras` and `model.onnx`; returns the latter, opened as in serving.

    Args:
        x: pictures on which the two are compared, float32 [n, height, width, channels], n > 1.
        spare: bits of float16's mantissa to clear before both files are compressed; None keeps float32.
        mirror_below: see `base.Answering`.
        teachable: see `Recipe`.

    Raises:
        ValueError: the two differ by more than `PARITY`.
    """
    if spare is not None:
        round_weights(model, spare)
    by_keras = base.Answering(lambda batch: keras.tree.flatten(model.predict(batch, batch_size=16, verbose=0)))
    wanted = by_keras.answer(x)  # Keras can only export a model that was called once
    model.save(folder / "model.keras")
    with warnings.catch_warnings(action="ignore"):  # tf2onnx warns about names that NumPy has deprecated
        model.export(folder / "model.onnx", format="onnx", verbose=False)
    if spare is not None:
        halve(folder / "model.onnx")
        pack(folder / "model.keras")
    if teachable:
        add_features(folder / "model.onnx")
    compiled = openvino.compile_onnx(folder / "model.onnx")
    served = base.Answering(compiled)
    # Two batch sizes, because the exported network must accept any.
    got = [served.answer(part) for part in (x[:1], x[1:])]
    gap = float(np.abs(np.concatenate([one.probabilities for one in got]) - wanted.probabilities).max())
    if wanted.familiarity is not None:
        familiarity = np.concatenate([one.familiarity for one in got])
        gap = max(gap, float(np.abs(familiarity - wanted.familiarity).max() / max(1, np.ptp(wanted.familiarity))))
    if not gap <= PARITY:  # also refuses NaN
        raise ValueError(f"ONNX must give what Keras gives, to {PARITY}. Received: a difference of {gap:.2g}")
    return base.Answering(compiled, mirror_below)


def describe(
    recipe: Recipe,
    dataset: Dataset,
    fitted: Fitted,
    network: base.Answering,
    folder: Path,
    command: str,
    seed: int,
    trials: tuple[Trial, ...] = (),
) -> ModelCard:
    """Measures a network, writes its figures to `folder`, and returns the card."""
    temperature, threshold, reached = decide(network, dataset, recipe)
    others = strangers.gather(recipe.task, recipe.input, min(strangers.COUNT, len(dataset.test.y)))
    metrics = evaluate.measure(
        network, dataset, recipe.input, temperature, threshold, recipe.groups, reached, others, folder / "mistakes.png"
    )
    evaluate.draw_confusion(np.array(metrics.confusion), dataset.labels, folder / "confusion.svg")
    history = {
        key: tuple(round(float(value), 5) for value in fitted.history[key]) for key in CURVES if key in fitted.history
    }
    if history:  # models that are solved directly have no history
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
        network=layers(fitted.model if recipe.backbone else bare(fitted.model, recipe.input)),
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
        mirror_below=recipe.mirror_below,
        exact=recipe.exact,
        files={path.name: sha256(path) for path in sorted(folder.iterdir())},
        attribution=f"{dataset.source} {recipe.credit}".strip(),
    )


def decide(network: base.Answering, dataset: Dataset, recipe: Recipe) -> tuple[float, float, float | None]:
    """Temperature, threshold and limit of familiarity (None without that output), fitted on held-out pictures.

    With `recipe.moments` the temperature is fitted on whole and half-finished drawings together, and the threshold is
    the highest that any of them needs.
    """
    x, y = dataset.held_out.x, dataset.held_out.y
    begun = [half_drawn(x, share, share, data.HELD_OUT_SEED) for share in recipe.moments]
    rows = [evaluate.answers(network, one, recipe.input) for one in (x, *begun)]
    every = np.concatenate([answer.probabilities for answer in rows])
    temperature = round(evaluate.fit_temperature(every, np.tile(y, len(rows))), 4)
    whole = rows[0].familiarity
    reached = None if whole is None else evaluate.choose_familiar(whole, recipe.strange)
    thresholds = []
    for answer in rows:
        known = evaluate.known(answer, reached)
        calibrated = base.tempered(answer.probabilities, temperature)
        thresholds.append(evaluate.choose_threshold(calibrated[known], y[known]))
    return temperature, max(thresholds), reached


def layers(model: keras.Model) -> tuple[Layer, ...]:
    """The table of layers; nested networks are flattened."""
    rows = []
    for one in model.layers:
        if isinstance(one, keras.Model):
            rows += (row for row in layers(one) if row.kind != "InputLayer")
        else:
            output = getattr(getattr(one, "output", None), "shape", ())  # a layer used twice has no single output
            rows.append(Layer(name=one.name, kind=type(one).__name__, output=output, parameters=one.count_params()))
    return tuple(rows)


def as_json(card: ModelCard) -> str:
    """The card as JSON with each innermost list on one line, for readable diffs."""

    def one_line(match: re.Match) -> str:
        return re.sub(r"\n\s*", "", re.sub(r",\n\s*", ", ", match[0]))

    return re.sub(r"\[\n[^\[\]{}]*\]", one_line, card.model_dump_json(indent=1)) + "\n"


# ---- Atomic replacement ----


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Yields an empty folder that replaces `target` on success and is removed on failure.

    It lies beside `target` under a hidden name, which the catalog ignores, so that the swap is two renames.
    """
    draft, aside = (target.with_name(f".{target.name}.{state}") for state in ("draft", "old"))
    if aside.exists() and not target.exists():  # an earlier run was killed between the two renames
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
