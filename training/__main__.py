"""`python -m training prepare|train|evaluate|export|import|compare`: data sets, models, and their figures."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from inkling.recognition import catalog
from inkling.recognition.card import Metrics, ModelCard
from inkling.recognition.catalog import Model
from training import data
from training.download import DownloadError
from training.targets import TOLERANCE

OK, FAILED, UNKNOWN, STOPPED = 0, 1, 2, 130

Rows = list[tuple[str, ...]]


class Unknown(Exception):
    """There is nothing of that name; the message lists what there is."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status: 0, 1 if it failed, 2 for a wrong name, 130 on Ctrl-C."""
    args = parser().parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # TensorFlow is loaded later, and only where needed
    try:
        return args.run(args)
    except Unknown as error:
        return complain(error, UNKNOWN)
    except (DownloadError, ValueError) as error:
        return complain(error, FAILED)
    except KeyboardInterrupt:
        return complain(args.stopped.format(args=args), STOPPED)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    about = "Prepare data, train models, measure them."
    top = argparse.ArgumentParser(prog="python -m training", description=about)
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    one = commands.add_parser("prepare", help="download a data set, where it is not there yet")
    one.add_argument("name", help=f"data set: {', '.join(data.DATASETS)}")
    one.set_defaults(run=prepare, stopped="Stopped: the next run goes on from here.")

    one = commands.add_parser("train", help="train a model and put it into the folder of models")
    one.add_argument("name", help="model, as digits-cnn")
    one.add_argument("--epochs", type=positive, help="how often each picture is seen (default: the recipe's)")
    one.add_argument("--limit", type=positive, help="pictures of each part of the data set (default: all)")
    one.add_argument("--seed", type=int, default=0, help="of weights, order and augmentation (default: 0)")
    one.add_argument(
        "--seeds",
        type=positive,
        default=1,
        help="train so many, from --seed on, and keep the median one on held-out pictures (default: 1)",
    )
    one.add_argument("--weights", help="pretrained weights, where the recipe takes them: imagenet, or a file")
    one.add_argument(
        "--corrections",
        type=Path,
        metavar="DIR",
        help="teach the model what visitors corrected, as `flask corrections export DIR` wrote it",
    )
    one.set_defaults(run=train, stopped="Stopped: {args.models}/{args.name} is as it was.")
    with_models(one)

    one = commands.add_parser("evaluate", help="measure a model again, and compare with its card")
    one.add_argument("name", help="model, as digits-cnn")
    one.add_argument("--limit", type=positive, help="a quick look at so many test pictures, with no verdict")
    one.add_argument("--precision", choices=("f32", "bf16"), default="f32", help="as INKLING_PRECISION (default f32)")
    one.set_defaults(run=evaluate, stopped="Stopped.")
    with_models(one)

    one = commands.add_parser("export", help="write a model's folder anew from its .keras file, and measure it again")
    one.add_argument("name", help="model, as digits-cnn")
    one.set_defaults(run=export, stopped="Stopped: {args.models}/{args.name} is as it was.")
    with_models(one)

    one = commands.add_parser("compare", help="measure all models again, against their cards and targets")
    one.add_argument("--limit", type=positive, help="a quick look at so many test pictures, with no verdict")
    one.set_defaults(run=compare, stopped="Stopped.")
    with_models(one)

    with_import(commands.add_parser("import", help="make a model of any Keras classifier (docs/own-model.md)"))
    return top


def with_import(one: argparse.ArgumentParser) -> None:
    one.add_argument("file", type=Path, help="a .keras or .h5 file; only one that you trust")
    one.add_argument("--labels", required=True, help="in the order of the outputs, as cat,dog")
    one.add_argument("--task", required=True, choices=catalog.TASKS, help="where it is listed")
    one.add_argument("--input", required=True, choices=("photo", "ink"), help="what it looks at")
    one.add_argument("--name", help="of the model's folder (default: the file's)")
    one.add_argument("--title", help="as the pages show it (default: from the name)")
    one.add_argument(
        "--scaling",
        choices=("unit", "signed", "raw"),
        help="pixels it was trained on: 0..1, -1..1, 0..255 (default: as its first layers tell, or 0..1)",
    )
    one.add_argument("--layout", choices=("mnist", "quickdraw"), help="of ink (default: by the task)")
    one.add_argument("--side", type=positive, help="pixels of a picture, for a network that takes any size")
    one.add_argument("--replace", action="store_true", help="also a model of that name that was trained here")
    one.set_defaults(run=adopt, stopped="Stopped: nothing was imported.")
    with_models(one)


def with_models(command: argparse.ArgumentParser) -> None:
    command.add_argument("--models", type=Path, default=Path("models"), help="folder of models (default: models)")


def positive(text: str) -> int:
    """A whole number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 on. Received: {text!r}")
    return int(text)


def complain(message: object, status: int) -> int:
    print(message, file=sys.stderr)
    return status


# ---- Commands ----


def prepare(args: argparse.Namespace) -> int:
    """Makes sure that a data set is there."""
    check_known(args.name, data.DATASETS, "data set")
    print(f"{args.name} is ready: {data.prepare(args.name)}")
    return OK


def train(args: argparse.Namespace) -> int:
    """Trains a model by its recipe and replaces its folder, once it is whole."""
    from training import corrections, export, registry, trials
    from training.recipe import Run

    recipes = registry.recipes()
    check_known(args.name, recipes, "model")
    recipe = recipes[args.name]
    dataset = data.load(recipe.dataset, limit=args.limit, seed=args.seed)
    lesson = corrections.Lesson(recipe, dataset)
    if args.corrections:
        lesson = corrections.lesson(args.corrections, recipe, dataset, args.models, args.seed)
        print(f"Teaching {lesson.count:,} corrections.", flush=True)
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
    """Writes a model's folder anew, without training."""
    from training import registry
    from training.export import again

    model = find_trained(args.name, args.models)
    recipe = registry.recipes().get(args.name)
    dataset = load_for(model.card)
    print("Exporting and measuring.", flush=True)
    card = again(model, recipe, dataset)
    print_table(summary(card, args.models / card.name))
    return OK


def evaluate(args: argparse.Namespace) -> int:
    """Measures the ONNX file of a model; fails when its accuracy is not the card's."""
    model = find_trained(args.name, args.models)
    from inkling.recognition.runtimes import has_bfloat16, open_openvino
    from training import registry, strangers
    from training.evaluate import measure

    if args.precision == "bf16" and not has_bfloat16():
        raise ValueError("this processor has no bfloat16")
    card = model.card
    dataset = load_for(card, args.limit)
    recipe = registry.recipes().get(card.name)
    others = strangers.gather(card.task, card.input, min(strangers.COUNT, len(dataset.test.y)))
    network = open_openvino(model, precision=args.precision)
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


def verdict(measured: Metrics, stated: Metrics) -> int:
    """Whether a measurement confirms a card, said in a sentence where it does not."""
    if measured.test_size != stated.test_size:
        sizes = f"{stated.test_size:,} pictures, not {measured.test_size:,}"
        return complain(f"The card was measured on {sizes}.", FAILED)
    # Metrics have 6 digits: so must their difference, or 0.1 points could be more than 0.1 points.
    if round(abs(measured.accuracy - stated.accuracy), 6) > TOLERANCE:
        return complain("The accuracy is not the card's.", FAILED)
    return OK


def compare(args: argparse.Namespace) -> int:
    """Measures all models; fails when a card is not confirmed."""
    from training.compare import table

    rows, wrong = table(args.models, args.limit)
    print_table(rows)
    return complain("\n".join(wrong), FAILED) if wrong else OK


def adopt(args: argparse.Namespace) -> int:
    """Makes a folder of models from a Keras file."""
    from training.adopt import Wanted, adopt

    labels = tuple(label.strip() for label in args.labels.split(","))
    wanted = Wanted(
        labels, args.task, args.input, args.name, args.title, args.scaling, args.layout, args.side, args.replace
    )
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
    """A model of a folder.

    Raises:
        Unknown: there is no such folder.
        ValueError: its card is broken.
    """
    found = catalog.read_catalog(models)
    if name in found.broken:
        raise ValueError(f"{models / name}: {found.broken[name]}")
    check_known(name, tuple(found.models), "model")
    return found.models[name]


def find_trained(name: str, models: Path) -> Model:
    """A model of a folder that was trained here, not imported; raises as `find`."""
    model = find(name, models)
    if model.card.training is None:
        raise ValueError(f"{name} was imported: there are no test pictures here that it could be measured on")
    return model


def load_for(card: ModelCard, limit: int | None = None) -> data.Dataset:
    """The data set that a card names; raises ValueError where its labels are others."""
    dataset = data.load(card.training.dataset, limit=limit, seed=card.training.seed)
    if dataset.labels != card.labels:
        labels = ", ".join(dataset.labels)
        raise ValueError(f"{dataset.name} must have the labels of the card. Received: {labels}")
    return dataset


def command_of(args: argparse.Namespace) -> str:
    """What trains the same model again."""
    given = {name: getattr(args, name) for name in ("epochs", "limit", "weights", "corrections")}
    given["seeds"] = args.seeds if args.seeds > 1 else None
    options = "".join(f" --{name} {value}" for name, value in given.items() if value)
    return f"python -m training train {args.name} --seed {args.seed}{options}"


# ---- What is printed ----


def figures(metrics: Metrics) -> Rows:
    """A card's measurements as (name, value) for people."""
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
    ]


def summary(card: ModelCard, folder: Path) -> Rows:
    """A training's result as (name, value)."""
    return [
        *figures(card.metrics),
        *seeds(card),
        ("temperature", f"{card.temperature:.3f}"),
        ("threshold", percent(card.threshold)),
        ("parameters", f"{card.parameters:,}"),
        *([("corrections learned", f"{card.training.corrections:,}")] if card.training.corrections else []),
        ("trained for", f"{card.training.epochs} epochs, {card.training.seconds:,.0f} s"),
        ("folder", str(folder)),
    ]


def seeds(card: ModelCard) -> Rows:
    """What several seeds gave on the test pictures, where there were several."""
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
    """An import's result as (name, value)."""
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
    """Columns as wide as their widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    status = main()
    if status == STOPPED:  # TensorFlow's threads are in the middle of something: to end them in order aborts at times
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)
