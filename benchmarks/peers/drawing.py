"""Prepares a picture for the network in the peers, in the way that PEER_PIPELINE names.

`squeeze` resizes without cropping, like most examples do. `ink` is Inkling's pipeline as of commit 69133a5. `photo`
does what torchvision's transforms do: the shorter side resized, the middle cropped.
"""

import json
import os
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps

FOLDER = f"models/{os.environ.get('PEER_MODEL', 'digits-cnn')}"
CARD = json.loads(Path(FOLDER, "card.json").read_text("utf-8"))
CROP = 224 / 256  # of the shorter side


def squeeze(image: Image.Image) -> np.ndarray:
    """float32 [1, 28, 28, 1], ink 1 on 0."""
    return np.asarray(ImageOps.invert(image.convert("L")).resize((28, 28)), np.float32)[None, ..., None] / 255


def ink(image: Image.Image) -> np.ndarray:
    """float32 [1, 28, 28, 1], ink 1 on 0."""
    from benchmarks.peers import frozen_ink

    return frozen_ink.ink(image.convert("RGB"), CARD["input"]["layout"])[None].astype(np.float32) / 255


def photo(image: Image.Image) -> np.ndarray:
    """float32 [1, side, side, 3] from -1 to 1."""
    side = CARD["input"]["width"]
    cropped = ImageOps.fit(image.convert("RGB"), (round(side / CROP),) * 2, Image.Resampling.BILINEAR)
    edge = (cropped.width - side) // 2
    pixels = np.asarray(cropped.crop((edge, edge, edge + side, edge + side)), np.float32)
    return pixels[None] / 127.5 - 1


prepare = {"squeeze": squeeze, "ink": ink, "photo": photo}[os.environ.get("PEER_PIPELINE", "squeeze")]


def read(file: BinaryIO) -> np.ndarray:
    """The network input for an uploaded file."""
    return prepare(Image.open(file))


def answer(probabilities: np.ndarray) -> dict:
    """The response to one picture."""
    return {"label": CARD["labels"][int(probabilities.argmax())], "probabilities": probabilities.tolist()}


def probabilities_of(outputs: list[str]) -> str:
    """The name of the output with the probabilities: the first, unless the file names it."""
    return "probabilities" if "probabilities" in outputs else outputs[0]
