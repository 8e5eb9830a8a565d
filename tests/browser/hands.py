"""Draws on the canvas as a visitor does, reads its pixels, and waits for the page to react."""

import io
import math
from contextlib import contextmanager

from PIL import Image, ImageDraw

ELSEWHERE = {"Via": "1.1 proxy"}  # headers of a browser that is not at the server's own machine

# Polylines on the canvas' own 400 x 400 field.
DIGITS = {
    "7": [(120, 90), (290, 90), (240, 200), (190, 330)],
    "3": [
        (130, 110),
        (170, 80),
        (230, 80),
        (265, 120),
        (240, 170),
        (190, 195),
        (250, 215),
        (280, 265),
        (245, 315),
        (180, 325),
        (125, 295),
    ],
}
LINE = [(100, 200), (300, 200)]
LOWER_LINE = [(100, 300), (300, 300)]
SQUARE = [(100, 100), (300, 100), (300, 300), (100, 300), (100, 100)]
RING = [(200 + 110 * math.cos(turn / 8 * math.pi), 200 + 110 * math.sin(turn / 8 * math.pi)) for turn in range(17)]
BLACK, WHITE = (0, 0, 0), (255, 255, 255)


def drawing(points, shift, name):
    """A drawing as a file to upload."""
    image = Image.new("L", (400, 400), 255)
    moved = [(x + 3 * shift, y - 2 * shift) for x, y in points]
    ImageDraw.Draw(image).line(moved, fill=0, width=12 + shift % 4, joint="curve")
    png = io.BytesIO()
    image.save(png, "PNG")
    return {"name": f"{name}-{shift}.png", "mimeType": "image/png", "buffer": png.getvalue()}


def started(page):
    """Waits until the scripts of the page have started."""
    page.wait_for_function("() => document.querySelector('main')?.ariaBusy !== 'true'")


def arrive(page, url):
    """Waits until the page has this address, and its scripts have started."""
    page.wait_for_url(url)
    started(page)


def send_photos(page, files):
    """Chooses photos, which sends them at once; without JavaScript, the button does."""
    page.set_input_files("#image", files)
    if page.locator("noscript > p").count():  # to a browser with JavaScript its content is text
        page.get_by_role("button", name="Tell me what it is").click()


def on_screen(page, points):
    page.wait_for_function("() => document.querySelector('#draw')?.ariaBusy !== 'true'")  # the script has started
    canvas = page.locator("#canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    return [(box["x"] + x * box["width"] / 400, box["y"] + y * box["height"] / 400) for x, y in points]


def press(page, points):
    """Draws without lifting the pen."""
    first, *rest = on_screen(page, points)
    page.mouse.move(*first)
    page.mouse.down()
    for point in rest:
        page.mouse.move(*point, steps=5)


def with_mouse(page, points):
    press(page, points)
    page.mouse.up()


def with_touch(page, points):
    """Draws with touch events that come from the browser, not from a script."""
    touch = page.context.new_cdp_session(page)
    first, *rest = on_screen(page, points)
    for kind, x, y in [("touchStart", *first), *(("touchMove", *point) for point in rest)]:
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def color_at(page, x, y):
    """The color at a point of the canvas, after the next frame is drawn."""
    return tuple(
        page.evaluate(
            """async ([x, y]) => {
        for (let i = 0; i < 2; i++) await new Promise(requestAnimationFrame);
        const canvas = document.querySelector("#canvas"), scale = canvas.width / 400;
        return [...canvas.getContext("2d").getImageData(x * scale, y * scale, 1, 1).data.slice(0, 3)];
    }""",
            [x, y],
        )
    )


@contextmanager
def asks(page):
    """Waits until the page has sent a request to the API, and the test's routes have seen it."""
    with page.expect_request("**/api/predict*"):
        yield
    page.evaluate("null")  # handlers of routes have run once the browser answers this


def switch(page, kind, name):
    """Opens a menu of the header, "language" or "theme", and chooses from it."""
    page.locator(f"form[action='/{kind}'] summary").click()
    page.locator(".menu").get_by_role("button", name=name).click()


def settle(page):
    """Waits until the page has handled all earlier responses, by sending one more request."""
    page.evaluate("""async () => {
        await (await fetch("/healthz")).text();
        for (let i = 0; i < 2; i++) await new Promise(requestAnimationFrame);
    }""")
