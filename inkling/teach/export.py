"""A taught classifier as a zip that works without Inkling: one network, its labels and figures, and how to use it."""

import hashlib
import inspect
import json
import re
import unicodedata
from collections.abc import Iterable
from datetime import datetime
from importlib import resources
from string import Template
from typing import IO
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile, ZipInfo

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, numpy_helper, version_converter

from inkling.recognition import inputs
from inkling.recognition.card import ModelCard
from inkling.recognition.runtimes.base import SMALLEST
from inkling.teach.learn import Report

OPSET, IR = 17, 9  # of the exported network
PREFIX = "backbone."
NOTICE = "Part of Inkling. Copyright (c) 2026 the Inkling authors, MIT License"
UNPACKED_MODE = 0o644 << 16


def write(
    file: IO[bytes],
    card: ModelCard,
    head: bytes,
    backbone: bytes,
    report: Report,
    created: datetime,
    examples: Iterable[tuple[str, str, bytes]] = (),
) -> None:
    """Writes the zip to an open file. The same version gives the same bytes.

    It holds `model.onnx` (see `network`), `labels.txt`, `card.json`, `report.json`, `README.md`, for drawings
    `prepare.py`, and each example in a folder of its label.

    Args:
        card: of the classifier.
        head: its `head.onnx`.
        backbone: the network that it continues, an ONNX file with the output `features`.
        created: the date of all files in the zip.
        examples: label, id and file (JPEG or PNG) of each; taken one after the other, so that they are never in memory
            together.

    Raises:
        ValueError: the networks do not fit together.
    """
    model = network(card, head, backbone)
    with ZipFile(file, "w") as archive:

        def add(path: str, content: bytes, method: int = ZIP_DEFLATED) -> None:
            info = ZipInfo(path, created.timetuple()[:6])
            info.compress_type, info.external_attr = method, UNPACKED_MODE
            archive.writestr(info, content)

        add("model.onnx", model, ZIP_STORED)  # weights hardly become smaller
        add("labels.txt", "".join(f"{label}\n" for label in card.labels).encode())
        add("card.json", _card(card, model).model_dump_json(exclude_defaults=True, indent=1).encode())
        add("report.json", report.model_dump_json(indent=1).encode())
        add("README.md", readme(card, report).encode())
        if card.input.kind == "ink":  # a few lines of Python cannot prepare drawings as Inkling does
            add("prepare.py", f"# {NOTICE}\n{inspect.getsource(inputs)}".encode())
        for label, id, picture in examples:
            suffix = "png" if picture.startswith(b"\x89PNG") else "jpg"
            add(f"examples/{_folder(label)}/{id}.{suffix}", picture, ZIP_STORED)


# ---- The network ----


def network(card: ModelCard, head: bytes, backbone: bytes) -> bytes:
    """The classifier as one ONNX file: preparation of the numbers, backbone, head, and calibration.

    Its input `pictures` is uint8 [n, height, width, channels]: RGB for photos, and ink 255 on 0 for drawings. Its
    outputs are `probabilities`, float32 [n, labels], calibrated, and `familiarity`, float32 [n].

    Raises:
        ValueError: the backbone has no output `features`, or the head does not continue it.
    """
    below, above = _loaded(backbone, PREFIX), _loaded(head, "")
    (pictures,) = below.graph.input
    try:
        joined = compose.merge_models(_scaling(card, pictures.name), below, [(pictures.name, pictures.name)])
        joined = compose.merge_models(
            joined,
            above,
            [(f"{PREFIX}features", above.graph.input[0].name)],
            outputs=["probabilities", "familiarity"],  # and nothing of the backbone that they do not need
        )
        return _finished(joined, card)
    except (ValueError, onnx.checker.ValidationError) as error:
        raise ValueError(f"the head does not continue its backbone: {error}") from error


def _loaded(data: bytes, prefix: str) -> onnx.ModelProto:
    """A network in the version of ONNX that is exported, with a prefix before all its names."""
    model = onnx.load_model_from_string(data)
    if next(each.version for each in model.opset_import if each.domain == "") != OPSET:
        model = version_converter.convert_version(model, OPSET)
    opsets = [each for each in model.opset_import if each.domain == ""]
    del model.opset_import[:]
    model.opset_import.extend(opsets)
    model.ir_version = IR
    return compose.add_prefix(model, prefix) if prefix else model


def _scaling(card: ModelCard, output: str) -> onnx.ModelProto:
    """The network that does what `inputs.scale` does: uint8 `pictures` to what the backbone takes."""
    spec = card.input
    shape: list[str | int | None] = ["n", spec.height, spec.width, spec.channels]
    nodes = [
        helper.make_node("Cast", ["pictures"], ["scale.numbers"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["scale.numbers", "scale.divisor"], ["scale.share"]),
        helper.make_node("Sub", ["scale.share", "scale.shift"], [output]),
    ]
    divisor, shift = (255, 0) if spec.scaling == "unit" else (127.5, 1)
    constants = [
        numpy_helper.from_array(np.array(divisor, np.float32), "scale.divisor"),
        numpy_helper.from_array(np.array(shift, np.float32), "scale.shift"),
    ]
    graph = helper.make_graph(
        nodes,
        "scale",
        [helper.make_tensor_value_info("pictures", TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)


def _finished(joined: onnx.ModelProto, card: ModelCard) -> bytes:
    """The file of the joined network, calibrated as `base.tempered` does it, with its labels and limits as metadata."""
    graph = joined.graph
    for node in graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                if name in ("probabilities", "familiarity"):
                    names[place] = f"raw.{name}"
    graph.node.extend(
        [
            helper.make_node("Max", ["raw.probabilities", "calibrate.least"], ["calibrate.positive"]),
            helper.make_node("Log", ["calibrate.positive"], ["calibrate.logits"]),
            helper.make_node("Div", ["calibrate.logits", "calibrate.temperature"], ["calibrate.cooled"]),
            helper.make_node("Softmax", ["calibrate.cooled"], ["probabilities"], axis=1),
            helper.make_node("Squeeze", ["raw.familiarity", "calibrate.axis"], ["familiarity"]),
        ]
    )
    graph.initializer.extend(
        [
            numpy_helper.from_array(np.array(SMALLEST, np.float32), "calibrate.least"),
            numpy_helper.from_array(np.array(card.temperature, np.float32), "calibrate.temperature"),
            numpy_helper.from_array(np.array([1], np.int64), "calibrate.axis"),
        ]
    )
    graph.name = card.name
    del graph.value_info[:], graph.output[:]
    graph.output.extend(
        [
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", len(card.labels)]),
            helper.make_tensor_value_info("familiarity", TensorProto.FLOAT, ["n"]),
        ]
    )
    properties = {
        "labels": json.dumps(card.labels, ensure_ascii=False),
        "threshold": str(card.threshold),
        "familiar": str(card.familiar),
    }
    helper.set_model_props(joined, properties)
    joined.producer_name, joined.doc_string = "inkling", card.title
    onnx.checker.check_model(joined)
    return joined.SerializeToString(deterministic=True)


# ---- The other files ----


def _card(card: ModelCard, model: bytes) -> ModelCard:
    """The card of the exported network, without what concerns only the server that it comes from."""
    files = {"model.onnx": hashlib.sha256(model).hexdigest()}
    return card.model_copy(update={"backbone": None, "taught": None, "files": files})


def readme(card: ModelCard, report: Report) -> str:
    """The README: what is in the zip, how good the classifier is, and a Python program that uses it."""
    template = resources.files("inkling.teach").joinpath(f"export-{card.input.kind}.md").read_text("utf-8")
    return Template(template).substitute(
        title=card.title,
        labels=", ".join(card.labels),
        side=card.input.width,
        layout=card.input.layout,
        accuracy=f"{report.accuracy:.0%}",
        low=f"{report.low:.0%}",
        high=f"{report.high:.0%}",
        examples=sum(report.counts),
        threshold=f"{card.threshold:.2f}",
    )


def _folder(label: str) -> str:
    """A label as the name of a folder on any system."""
    name = unicodedata.normalize("NFC", re.sub(r'[<>:"/\\|?*]', "_", label)).rstrip(". ")
    return f"_{name}" if not name or name.startswith(".") else name
