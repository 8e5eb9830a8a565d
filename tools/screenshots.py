"""Takes the documentation's screenshots of the app with Chromium.

    make screenshots

Draws a fish on the first page, opens its result page and the lab, teaches classifiers of map symbols, and writes
docs/images/*.png: teach-*.png with 20 drawings of each symbol, and the pages of an empty, a small, a large and a
confused classifier. It uses no photo, because none is ours to publish. It also writes static/preview.png, which other
sites show beside a link to a page that has no picture of its own.
"""

import io
import os
import random
import shutil
import tempfile
import threading
import time

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright
from werkzeug.serving import make_server

from inkling.access import LOCAL
from inkling.config import ROOT, Settings
from inkling.recognition.strokes import Strokes
from inkling.service import Decoded
from inkling.teach.teaching import Teaching
from inkling.web.app import create_app

IMAGES = ROOT / "docs" / "images"
FISH = [  # strokes on a 400-pixel canvas
    [(70, 200), (110, 150), (170, 130), (230, 145), (280, 200), (230, 255), (170, 270), (110, 250), (70, 200)],
    [(280, 200), (350, 140), (340, 200), (350, 260), (280, 200)],
    [(120, 185), (122, 187)],
]
SYMBOLS = {  # likewise; each is drawn several times with a shaking hand
    "tower": [
        [(150, 340), (150, 150), (130, 150), (130, 90), (270, 90), (270, 150), (250, 150), (250, 340), (150, 340)]
    ],
    "spring": [
        [(90, 150), (140, 110), (200, 150), (260, 110), (310, 150)],
        [(90, 220), (140, 180), (200, 220), (260, 180), (310, 220)],
        [(200, 250), (200, 330)],
    ],
    "camp": [[(80, 310), (200, 110), (320, 310), (80, 310)], [(200, 110), (170, 310)], [(200, 110), (230, 310)]],
}
SHAKING = 9  # standard deviation in pixels
CONFUSED = SYMBOLS | {"castle": SYMBOLS["tower"], "tent": SYMBOLS["camp"]}  # nobody can tell them apart
CLASSIFIERS = {  # by the end of the file's name: title, symbols, and drawings of each
    "": ("Symbols on our map", SYMBOLS, 20),
    "-empty": ("Signs in our street", {}, 0),
    "-small": ("Two symbols", {name: SYMBOLS[name] for name in ("tower", "spring")}, 5),
    "-large": ("Symbols on all our maps", SYMBOLS, 200),
    "-confused": ("Symbols that look alike", CONFUSED, 20),
}
TRAINING_SECONDS = 300
TALL = 1220  # pixels of the page of a classifier, down to the answer beside its canvas


PREVIEW = """<body style="margin:0;height:630px;display:flex;align-items:center;justify-content:center;gap:70px;
background:#faf9f6;color:#1c1d22;font:700 150px system-ui,sans-serif;letter-spacing:-.03em">
<svg width="420" viewBox="40 100 340 200" fill="none" stroke="#1c1d22" stroke-width="12" stroke-linecap="round"
stroke-linejoin="round">{lines}</svg>Inkling</body>"""


def draw(page: Page, strokes: list[list[tuple[int, int]]]) -> None:
    """Draws strokes with the mouse and waits for the live answer."""
    page.locator("#canvas").scroll_into_view_if_needed()
    box = page.locator("#canvas").bounding_box()
    place = [[(box["x"] + x * box["width"] / 400, box["y"] + y * box["height"] / 400) for x, y in s] for s in strokes]
    for first, *rest in place:
        page.mouse.move(*first)
        page.mouse.down()
        for point in rest:
            page.mouse.move(*point, steps=4)
        page.mouse.up()
    page.wait_for_selector(".live .bars:not([hidden])")


def teach(teaching: Teaching, title: str, symbols: dict[str, list], times: int) -> str:
    """Teaches and publishes a classifier of symbols, each of them drawn some times, and returns its id."""
    hand = random.Random(17)

    def axis(values: tuple[int, ...]) -> list[float]:
        shift = hand.gauss(0, 2 * SHAKING)
        return [round(value + shift + hand.gauss(0, SHAKING), 1) for value in values]

    made = teaching.create(title, "ink", LOCAL)
    if not symbols:
        return made.id
    drawings = [
        (
            Decoded(
                Strokes.from_body({"strokes": [list(map(axis, zip(*line, strict=True))) for line in lines]}), "drawing"
            ),
            name,
        )
        for name, lines in symbols.items()
        for _ in range(times)
    ]
    teaching.add(made.id, drawings, "canvas")
    teaching.train(made.id)
    end = time.monotonic() + TRAINING_SECONDS
    while teaching.progress(made.id) and time.monotonic() < end:
        time.sleep(0.2)
    teaching.publish(made.id, 1)
    return made.id


def save(page: Page, name: str, whole: bool = True) -> None:
    """Writes the whole page, or what is on the screen, in 256 colors, a third of the bytes."""
    image = Image.open(io.BytesIO(page.screenshot(full_page=whole)))
    image.convert("RGB").quantize(256).save(IMAGES / f"{name}.png", optimize=True)


def shoot(base: str, taught: dict[str, str]) -> None:
    """Writes the first page, a result with its "Why?", the lab and the pages of classifiers, at two widths.

    Args:
        taught: by the end of the file's name, the id of a classifier.
    """
    with sync_playwright() as playwright:
        chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, width, height in (("desktop", 1280, 800), ("phone", 360, 780)):
            page = browser.new_page(viewport={"width": width, "height": height}, reduced_motion="reduce")
            page.goto(f"{base}/?way=draw&model=doodles-cnn")
            draw(page, FISH)
            save(page, f"first-{name}")
            page.click("#draw button[type=submit]")
            page.wait_for_url("**/results/*")
            page.get_by_role("link", name="Show what decides").click()
            page.wait_for_selector(".heat")
            page.wait_for_load_state("networkidle")
            save(page, f"result-{name}")
            page.goto(f"{base}/lab?step=rotate&1.angle=20")
            save(page, f"lab-{name}")
            page.set_viewport_size({"width": width, "height": TALL})
            shoot_classifiers(page, base, taught, name)
        preview(browser)
        browser.close()


def shoot_classifiers(page: Page, base: str, taught: dict[str, str], name: str) -> None:
    """Writes the pages of classifiers, which answer to a drawing if they were taught.

    The whole page is written where classes are confused, because what helps against that stands below.
    """
    for what, id in taught.items():
        page.goto(f"{base}/teach/{id}")
        page.wait_for_selector(".workshop[aria-busy=false]")
        if CLASSIFIERS[what][1]:
            draw(page, SYMBOLS["tower" if what else "camp"])
        page.evaluate("scrollTo(0, 0)")
        page.wait_for_load_state("networkidle")
        save(page, f"teach{what}-{name}", whole=what == "-confused")


def preview(browser: Browser) -> None:
    """Writes the fish and the name, in the size that link previews have."""
    lines = "".join(f'<polyline points="{" ".join(f"{x},{y}" for x, y in stroke)}"/>' for stroke in FISH)
    page = browser.new_page(viewport={"width": 1200, "height": 630})
    page.set_content(PREVIEW.format(lines=lines))
    png = io.BytesIO(page.screenshot())
    Image.open(png).convert("RGB").quantize(16).save(ROOT / "static" / "preview.png", optimize=True)


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings.from_env(dict(os.environ) | {"INKLING_PICTURES": folder})
        app = create_app(settings)
        server = make_server("127.0.0.1", 0, app, threaded=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        taught = {what: teach(app.extensions["teaching"], *one) for what, one in CLASSIFIERS.items()}
        shoot(f"http://127.0.0.1:{server.server_port}", taught)
        server.shutdown()


if __name__ == "__main__":
    main()
