"""Pictures have the colors that Chromium shows: it draws each file on a canvas, and Inkling decodes the same bytes."""

import base64

import numpy as np
import pytest

from inkling.config import Settings
from inkling.pictures import reading
from inkling.pictures.budget import Budget
from tests.support.pictures import QUIRKS

LEVELS = 2  # mean difference of 255 levels
SETTINGS = Settings.from_env({})
SECONDS = 60  # for each picture; generous, because the machine may be busy
ON_WHITE = """async (url) => {
  const image = new Image();
  image.src = url;
  await image.decode().catch(() => {});
  if (!image.naturalWidth) return null;
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  const context = canvas.getContext("2d", { colorSpace: "srgb" });
  context.fillStyle = "white";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(image, 0, 0);
  const { data, width, height } = context.getImageData(0, 0, canvas.width, canvas.height);
  return { width, height, levels: btoa(String.fromCharCode(...data)) };
}"""
EACH = [
    pytest.param(quirk, make, id=f"{quirk.format}: {quirk.name}: {name}")
    for quirk in QUIRKS
    for name, make in quirk.files.items()
    if quirk.compared and not quirk.reason
]


@pytest.fixture(scope="module")
def chromium(browser_type, browser_type_launch_args):
    """A page in a browser whose screen has sRGB's colors."""
    arguments = [*browser_type_launch_args["args"], "--force-color-profile=srgb"]
    browser = browser_type.launch(**browser_type_launch_args | {"args": arguments})
    yield browser.new_page()
    browser.close()


@pytest.mark.parametrize(("quirk", "make"), EACH)
def test_colors_are_those_of_chromium_but_where_the_table_says(chromium, quirk, make):
    data = make()
    ours = np.asarray(reading.read_file(data, "picture", SETTINGS, Budget(SECONDS)), int)
    shown = chromium.evaluate(ON_WHITE, f"data:image/*;base64,{base64.b64encode(data).decode()}")
    if shown is None:
        assert quirk.differs
        return
    levels = np.frombuffer(base64.b64decode(shown["levels"]), "uint8")
    theirs = levels.reshape(shown["height"], shown["width"], 4)[..., :3].astype(int)
    mean = np.abs(ours - theirs).mean() if ours.shape == theirs.shape else np.inf
    print(f"\nmean difference: {mean:.2f} levels")
    assert (mean < LEVELS) == (not quirk.differs)
    assert quirk.levels is None or abs(mean - quirk.levels) < 1
