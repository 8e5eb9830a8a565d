"""Takes the documentation's screenshots of the app with Chromium.

    make screenshots

Draws a fish on the first page, opens its result page and the lab, and writes docs/images/*.png. It uses no photo,
because none is ours to publish. It also writes static/preview.png, which other sites show beside a link to a page that
has no picture of its own.
"""

import io
import os
import shutil
import tempfile
import threading

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright
from werkzeug.serving import make_server

from inkling.config import ROOT, Settings
from inkling.web.app import create_app

IMAGES = ROOT / "docs" / "images"
FISH = [  # strokes on a 400-pixel canvas
    [(70, 200), (110, 150), (170, 130), (230, 145), (280, 200), (230, 255), (170, 270), (110, 250), (70, 200)],
    [(280, 200), (350, 140), (340, 200), (350, 260), (280, 200)],
    [(120, 185), (122, 187)],
]


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


def save(page: Page, name: str) -> None:
    """Writes the whole page in 256 colors, a third of the bytes."""
    image = Image.open(io.BytesIO(page.screenshot(full_page=True)))
    image.convert("RGB").quantize(256).save(IMAGES / f"{name}.png", optimize=True)


def shoot(base: str) -> None:
    """Writes the first page, a result with its "Why?" and the lab, at two widths."""
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
        preview(browser)
        browser.close()


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
        server = make_server("127.0.0.1", 0, create_app(settings), threaded=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        shoot(f"http://127.0.0.1:{server.server_port}")
        server.shutdown()


if __name__ == "__main__":
    main()
