"""The command line of training: `python -m training prepare|train|evaluate|export|judge|import|compare`."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from inkling.recognition import catalog
from inkling.recognition.card import Metrics, ModelCard, Training
from inkling.recognition.catalog import Model
from training import data
from training.download import DownloadError
from training.targets import TOLERANCE

OK, FAILED, UNKNOWN, STOPPED = 0, 1, 2, 130

Rows = list[tuple[str, ...]]


class Unknown(Exception):
    """A name that does not exist; the message lists the names that do."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status: 0, 1 if it failed, 2 for a wrong name, 130 on Ctrl-C."""
    args = parser().parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before a command imports TensorFlow
    try:
        return args.run(args)
    except Unknown as error:
        return complain(error, UNKNOWN)
    except (DownloadError, ValueError) as error:
        return complain(error, FAILED)
    except KeyboardInterrupt:
        return complain(args.stopped.format(args=args), STOPPED)


def parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    about = "Prepare data, train models, measure them."
    top = argparse.ArgumentParser(prog="python -m training", description=about)
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    one = commands.add_parser("prepare", help="download a data set unless it is already there")
    one.add_argument("name", help=f"data set: {', '.join(data.DATASETS)}")
    one.set_defaults(run=prepare, stopped="Stopped: the next run goes on from here.")

    one = commands.add_parser("train", help="train a model and write its folder")
    one.add_argument("name", help="model, such as digits-cnn")
    one.add_argument("--epochs", type=positive, help="passes over the data (default: the recipe's)")
    one.add_argument("--limit", type=positive, help="pictures of each part of the data set (default: all)")
    one.add_argument("--seed", type=int, default=0, help="seed of weights, order and augmentation (default: 0)")
    one.add_argument(
        "--seeds",
        type=positive,
        default=1,
        help="seeds to train; the median on held-out data is kept (default: 1)",
    )
    one.add_argument("--weights", help="pretrained weights, if the recipe uses any: imagenet, or a file")
    start = one.add_mutually_exclusive_group()
    start.add_argument("--further", action="store_true", help="train the network in the model's folder, not a new one")
    start.add_argument(
        "--corrections",
        type=Path,
        metavar="DIR",
        help="train on corrections that `inkling corrections export DIR` wrote",
    )
    one.set_defaults(run=train, stopped="Stopped: {args.models}/{args.name} is as it was.")
    with_models(one)

    one = commands.add_parser("evaluate", help="measure a model again and compare the result with its card")
    one.add_argument("name", help="model, such as digits-cnn")
    one.add_argument("--limit", type=positive, help="measure this many pictures, without a verdict")
    one.add_argument("--precision", choices=("f32", "bf16"), default="f32", help="see INKLING_PRECISION (default: f32)")
    one.set_defaults(run=evaluate, stopped="Stopped.")
    with_models(one)

    one = commands.add_parser("export", help="rewrite a model's folder without training, and measure it again")
    one.add_argument("name", help="model, such as digits-cnn")
    one.set_defaults(run=export, stopped="Stopped: {args.models}/{args.name} is as it was.")
    with_models(one)

    one = commands.add_parser("judge", help="let a general model tell whether photos are familiar to another one")
    one.add_argument("name", help="model, such as cats-dogs-cnn")
    one.add_argument("--groups", required=True, help="the general model's groups that hold the labels, such as cat,dog")
    one.add_argument("--by", default="things", help="the general model (default: things)")
    one.add_argument("--strange", type=float, default=0.025, help="share of held-out photos below the limit (0.025)")
    one.add_argument("--parts-by", help="model that looks at parts of a picture (default: the model itself, if it can)")
    one.set_defaults(run=judge, stopped="Stopped: {args.models}/{args.name} is as it was.")
    with_models(one)

    one = commands.add_parser("compare", help="measure all models again and compare them with their cards and targets")
    one.add_argument("--limit", type=positive, help="measure this many pictures, without a verdict")
    one.set_defaults(run=compare, stopped="Stopped.")
    with_models(one)

    with_import(commands.add_parser("import", help="import any Keras classifier as a model"))
    return top


def with_import(one: argparse.ArgumentParser) -> None:
    one.add_argument("file", type=Path, help="a .keras or .h5 file of Keras 2 or 3, from a source that you trust")
    one.add_argument("--labels", required=True, help="labels in the order of the outputs: cat,dog or labels.txt")
    one.add_argument("--task", required=True, help="the task under which the model is listed, such as objects")
    one.add_argument("--input", required=True, choices=("photo", "ink"), help="what the model reads")
    one.add_argument("--name", help="name of the model's folder (default: the name of the file)")
    one.add_argument("--title", help="title shown on the pages (default: derived from the name)")
    one.add_argument(
        "--scaling",
        choices=("unit", "signed", "raw"),
        help="pixel range it was trained on: 0..1, -1..1 or 0..255 (default: read from its first layers, else 0..1)",
    )
    one.add_argument(
        "--preprocess",
        choices=("vgg16", "resnet", "torch"),
        help="the preprocess_input that it was trained with, instead of --scaling: vgg16 and resnet subtract a mean "
        "from blue, green and red; torch subtracts a mean and divides (default: as --scaling)",
    )
    one.add_argument("--layout", choices=("mnist", "quickdraw"), help="layout of ink (default: chosen by the task)")
    one.add_argument("--side", type=positive, help="side of the input in pixels, for a network that accepts any size")
    one.add_argument("--replace", action="store_true", help="overwrite a model that was trained here")
    one.set_defaults(run=adopt, stopped="Stopped: nothing was imported.")
    with_models(one)


def with_models(command: argparse.ArgumentParser) -> None:
    command.add_argument("--models", type=Path, default=Path("models"), help="folder of models (default: models)")


def positive(text: str) -> int:
    """Parses a positive whole number."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 on. Received: {text!r}")
    return int(text)


def complain(message: object, status: int) -> int:
    print(message, file=sys.stderr)
    return status


# ---- Commands ----


def prepare(args: argparse.Namespace) -> int:
    """Downloads a data set unless it is already there."""
    check_known(args.name, data.DATASETS, "data set")
    print(f"{args.name} is ready: {data.prepare(args.name)}")
    return OK


def train(args: argparse.Namespace) -> int:
    """Trains a model by its recipe, then replaces its folder in one step."""
    from training import corrections, export, registry, trials
    from training.recipe import Run

    recipes = registry.recipes()
    check_known(args.name, recipes, "model")
    recipe = recipes[args.name]
    dataset = data.load(recipe.dataset, limit=args.limit, seed=args.seed)
    lesson = corrections.Lesson(recipe, dataset)
    if args.further:
        lesson = corrections.further(recipe, dataset, args.models)
    if args.corrections:
        lesson = corrections.lesson(args.corrections, recipe, dataset, args.models, args.seed)
        print(f"Training on {lesson.count:,} corrections.", flush=True)
    print(f"Training {recipe.name} on {len(lesson.dataset.train.y):,} pictures of {dataset.name}.", flush=True)
    run = Run(args.epochs or lesson.recipe.epochs, args.seed, args.weights, args.models)
    trained = trials.train(lesson.recipe, lesson.dataset, run, args.seeds)
    kept = trials.median(trained)
    print("Exporting and measuring.", flush=True)
    recorded = tuple(one.trial for one in trained if one.trial)
    card = export.save(recipe, dataset, lesson.learned(kept.fitted), args.models, command_of(args), kept.seed, recorded)
    print_table(summary(card, args.models / card.name))
    return OK


def export(args: argparse.Namespace) -> int:
    """Rewrites a model's folder without training."""
    from training import pretrained, registry
    from training.export import again

    listed = catalog.read_catalog(args.models).models.get(args.name)  # its network may be missing or another one
    if listed and listed.card.pretrained:
        print_table(summary(pretrained.again(listed, load_for(listed.card)), listed.folder))
        return OK
    model = find_measured(args.name, args.models)
    recipe = registry.recipes().get(args.name)
    dataset = load_for(model.card)
    print("Exporting and measuring.", flush=True)
    card = again(model, recipe, dataset)
    print_table(summary(card, args.models / card.name))
    return OK


def evaluate(args: argparse.Namespace) -> int:
    """Measures a model's ONNX file; fails if its accuracy differs from the card's."""
    model = find_measured(args.name, args.models)
    from inkling.recognition.runtimes import openvino
    from training import registry, strangers
    from training.evaluate import measure

    if args.precision == "bf16" and not openvino.has_bfloat16():
        raise ValueError("this processor has no bfloat16")
    card = model.card
    dataset = load_for(card, args.limit)
    recipe = registry.recipes().get(card.name)
    others = strangers.gather(card.task, card.input, min(strangers.COUNT, len(dataset.test.y)))
    network = openvino.open_model(model, precision=args.precision)
    metrics = measure(
        network,
        dataset,
        card.input,
        card.temperature,
        card.threshold,
        recipe.groups if recipe else None,
        card.familiar,
        others,
    )
    stated = dict(figures(card.metrics))
    rows = [(name, value, stated.get(name, "")) for name, value in figures(metrics)]
    print_table([("", "measured", "card"), *rows])
    return OK if args.limit else verdict(metrics, card.metrics)


def judge(args: argparse.Namespace) -> int:
    """Fits the limit of a general model's groups, and measures with it."""
    from inkling.problems import Problem
    from training import judge as judging

    model = find_measured(args.name, args.models)
    groups = tuple(name.strip() for name in args.groups.split(","))
    try:
        card = judging.judged(model, load_for(model.card), groups, args.by, args.strange, args.parts_by)
    except Problem as problem:
        raise ValueError(problem.message) from problem
    print_table([*figures(card.metrics), ("familiar from", f"{card.familiar_by.limit:.4f}")])
    return OK


def verdict(measured: Metrics, stated: Metrics) -> int:
    """The exit status of a comparison with a card; prints the difference if there is one."""
    if measured.test_size != stated.test_size:
        sizes = f"{stated.test_size:,} pictures, not {measured.test_size:,}"
        return complain(f"The card was measured on {sizes}.", FAILED)
    # Metrics are rounded to 6 digits; an unrounded difference of exactly 0.1 points could exceed 0.1 points.
    if round(abs(measured.accuracy - stated.accuracy), 6) > TOLERANCE:
        return complain("The accuracy is not the card's.", FAILED)
    return OK


def compare(args: argparse.Namespace) -> int:
    """Measures all models; fails if one of them differs from its card."""
    from training.compare import table

    rows, misses, wrong = table(args.models, args.limit)
    print_table(rows)
    print(*misses, sep="\n")
    return complain("\n".join(wrong), FAILED) if wrong else OK


def adopt(args: argparse.Namespace) -> int:
    """Imports a Keras file as a model folder."""
    from training.quiet import quiet

    with quiet():
        from training.adopt import Wanted, adopt, labels_of

        given = {
            name: getattr(args, name) for name in ("task", "name", "title", "scaling", "layout", "side", "replace")
        }
        wanted = Wanted(labels_of(args.labels), kind=args.input, preprocess=args.preprocess, **given)
        card, notes = adopt(args.file, wanted, args.models)
    for note in notes:
        print(note)
    print_table(adopted(card, args.models / card.name))
    print("Restart Inkling, and it is there. Nobody measured it here; summary and attribution in its card are yours.")
    return OK


def check_known(name: str, known: Sequence[str], kind: str) -> None:
    if name not in known:
        raise Unknown(f"There is no {kind} {name!r}. Known are: {', '.join(known) or 'none'}.")


def find(name: str, models: Path) -> Model:
    """The model in a folder.

    Raises:
        Unknown: there is no such folder.
        ValueError: its card is broken.
    """
    found = catalog.read_catalog(models)
    if name in found.broken:
        raise ValueError(f"{models / name}: {found.broken[name]}")
    check_known(name, tuple(found.models), "model")
    return found.models[name]


def find_measured(name: str, models: Path) -> Model:
    """Like `find`, but raises ValueError for an imported model, because it has no test pictures."""
    model = find(name, models)
    if model.card.dataset is None:
        raise ValueError(f"{name} was imported: there are no test pictures here that it could be measured on")
    return model


def load_for(card: ModelCard, limit: int | None = None) -> data.Dataset:
    """The data set that a card names; raises ValueError if its labels differ."""
    seed = card.training.seed if card.training else 0
    dataset = data.load(card.dataset, limit=limit, seed=seed)
    if dataset.labels != card.labels:
        labels = ", ".join(dataset.labels)
        raise ValueError(f"{dataset.name} must have the labels of the card. Received: {labels}")
    return dataset


def command_of(args: argparse.Namespace) -> str:
    """The command that trains the same model again."""
    given = {name: getattr(args, name) for name in ("epochs", "limit", "weights", "corrections")}
    given["seeds"] = args.seeds if args.seeds > 1 else None
    options = "".join(f" --{name} {value}" for name, value in given.items() if value)
    return f"python -m training train {args.name} --seed {args.seed}{options}{' --further' if args.further else ''}"


# ---- Output ----


def figures(metrics: Metrics) -> Rows:
    """A card's metrics as printable (name, value) rows."""
    return [
        ("test pictures", f"{metrics.test_size:,}"),
        ("accuracy", percent(metrics.accuracy)),
        *((f"  among {name}", percent(share)) for name, share in metrics.groups.items()),
        ("calibration error, before", percent(metrics.calibration_error_before)),
        ("calibration error", percent(metrics.calibration_error)),
        ("sure of", percent(metrics.sure_share)),
        ("right when sure", percent(metrics.sure_accuracy)),
        *((f"{kind} told apart (AUROC)", f"{share:.3f}") for kind, share in metrics.strangers.items()),
        *((f"{kind}: not sure", percent(share)) for kind, share in metrics.not_sure.items()),
        *((f"{kind}: called sure", percent(share)) for kind, share in metrics.wrongly_sure.items()),
    ]


def summary(card: ModelCard, folder: Path) -> Rows:
    """The result of a training as (name, value) rows."""
    return [
        *figures(card.metrics),
        *seeds(card),
        ("temperature", f"{card.temperature:.3f}"),
        ("threshold", percent(card.threshold)),
        ("parameters", f"{card.parameters:,}"),
        *(trained(card.training) if card.training else []),
        ("folder", str(folder)),
    ]


def trained(training: Training) -> Rows:
    """What a training took, as (name, value) rows."""
    return [
        *([("corrections learned", f"{training.corrections:,}")] if training.corrections else []),
        ("trained for", f"{training.epochs} epochs, {training.seconds:,.0f} s"),
    ]


def seeds(card: ModelCard) -> Rows:
    """Test accuracy of each seed, with mean and spread; empty for a single seed."""
    from training.trials import spread

    if len(card.trials) < 2:
        return []
    mean, deviation = spread([trial.accuracy for trial in card.trials])
    return [
        *((f"  seed {trial.seed}", percent(trial.accuracy)) for trial in card.trials),
        (f"  mean of {len(card.trials)} seeds", f"{percent(mean)} ± {percent(deviation)}"),
        ("seed kept", str(card.training.seed)),
    ]


def adopted(card: ModelCard, folder: Path) -> Rows:
    """The result of an import as (name, value) rows."""
    spec = card.input
    return [
        ("labels", ", ".join(card.labels)),
        ("input", f"{spec.kind}, {spec.height} x {spec.width} x {spec.channels}, {spec.scaling}, {spec.layout}"),
        ("parameters", f"{card.parameters:,}"),
        ("sure from", percent(card.threshold)),
        ("folder", str(folder)),
    ]


def percent(share: float) -> str:
    return f"{share:.2%}"


def print_table(rows: Rows) -> None:
    """Prints rows in aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    status = main()
    if status == STOPPED:  # an orderly exit can abort while TensorFlow's threads are still running
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
