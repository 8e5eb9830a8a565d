"""Draws the example pictures of the photo form into `static/examples/`: `python -m tools.examples`.

Each is written twice: as the picture that is sent, and as the small one to click. Nothing in them is a photo, so no
license applies and nobody is shown. The command prints the size of each file and the answer of Auto.
"""

import math
from collections.abc import Callable, Iterable
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from inkling.config import ROOT, Settings
from inkling.pictures.budget import Budget
from inkling.service import Decoded, Service
from training import scenes
from training.scenes import SIDE, Color, grainy, near

FOLDER = ROOT / "static" / "examples"
SENT, SMALL, QUALITY = 320, 96, 70  # pixels a side, and the quality of WebP
SEED = 7
LIGHT = (0.35, 0.3)  # where in the box of a round thing the light falls on it

Point = tuple[float, float]


def main() -> None:
    """Draws, writes and asks."""
    FOLDER.mkdir(exist_ok=True)
    service = Service.from_settings(Settings.from_env({}))
    for name, draw in EXAMPLES.items():
        scene = draw(np.random.default_rng(SEED))
        written = [_write(scene, side, f"{name}{ending}.webp") for side, ending in ((SENT, ""), (SMALL, "-small"))]
        source = Decoded(Image.open(BytesIO(written[0])).convert("RGB"))
        answer = service.look([source], None, Budget(service.settings.request_seconds))[0].prediction
        print(f"{name}: {len(written[0])} and {len(written[1])} bytes; {answer.label}, {answer.confidence:.2f}")


def _write(scene: Image.Image, side: int, name: str) -> bytes:
    file = BytesIO()
    scene.resize((side, side), Image.Resampling.LANCZOS).save(file, "WEBP", quality=QUALITY, method=6)
    (FOLDER / name).write_bytes(file.getvalue())
    return file.getvalue()


# ---- Brushes ----


def ellipse(box: tuple[float, float, float, float]) -> Image.Image:
    """The area of an ellipse, as a mask."""
    mask = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(mask).ellipse(box, fill=255)
    return mask


def polygon(points: Iterable[Point]) -> Image.Image:
    """The area of a polygon, as a mask."""
    mask = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(mask).polygon(list(points), fill=255)
    return mask


def fill(scene: Image.Image, mask: Image.Image, color: Color, blur: float = 0.7, opacity: float = 1) -> None:
    """Fills an area with a color; `blur` softens its edge."""
    scene.paste(color, mask=mask.filter(ImageFilter.GaussianBlur(blur)).point(lambda value: int(value * opacity)))


def shaded(scene: Image.Image, mask: Image.Image, strength: float, light: Point = LIGHT) -> Image.Image:
    """The scene with an area lit like a ball, from the upper left."""
    left, top, right, bottom = mask.getbbox() or (0, 0, 1, 1)
    y, x = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    away = np.hypot((x - left) / (right - left) - light[0], (y - top) / (bottom - top) - light[1])
    factor = 1 + (np.asarray(mask) / 255) * (0.15 - strength * np.clip(away, 0, 1.1) ** 1.3)
    return Image.fromarray(np.clip(np.asarray(scene) * factor[..., None], 0, 255).astype(np.uint8))


def sky(top: Color, bottom: Color) -> Image.Image:
    """A scene that is nothing but a slope between two colors."""
    at = np.linspace(0, 1, SIDE)[:, None, None]
    slope = np.array(top) * (1 - at) + np.array(bottom) * at
    return Image.fromarray(np.broadcast_to(slope, (SIDE, SIDE, 3)).astype(np.uint8).copy())


def sea(scene: Image.Image, top: int, count: int, rng: np.random.Generator) -> None:
    """Water with small waves below `top`."""
    draw = ImageDraw.Draw(scene)
    draw.rectangle((0, top, SIDE, SIDE), fill=(38, 96, 130))
    for x, y, length in zip(*(rng.integers(*limits, count).tolist() for limits in WAVES), strict=True):
        draw.line((x, y, x + length, y), fill=near((80, 140, 165), rng, 20), width=2)


WAVES = ((0, SIDE), (384, SIDE), (10, 50))  # x, y and length


# ---- The pictures ----


def hot_air_balloon(rng: np.random.Generator) -> Image.Image:
    """A striped balloon in a sky with clouds, above hills."""
    scene = sky((90, 150, 220), (205, 225, 240))
    for x, y in zip(rng.integers(0, SIDE, 7).tolist(), rng.integers(40, 300, 7).tolist(), strict=True):
        for across, down, size in rng.integers((-50, -10, 14), (50, 10, 34), (6, 3)).tolist():
            puff = (x + across - size, y + down - size * 0.6, x + across + size, y + down + size * 0.6)
            fill(scene, ellipse(puff), (250, 250, 252), blur=8, opacity=0.5)
    hills = [(x, 430 - 20 * math.sin(x / 90) - 10 * math.sin(x / 37)) for x in range(0, SIDE + 1, 10)]
    ImageDraw.Draw(scene).polygon([(0, SIDE), *hills, (SIDE, SIDE)], fill=(88, 120, 70))
    middle, top, radius, widest, mouth, neck = 240, 175, 135, 2.1, 22, 105

    def seam(bulge: float) -> list[Point]:
        """From the top to the mouth, as far from the middle as `bulge` says: -1 to 1."""
        points = []
        for angle in np.linspace(0, math.pi, 60).tolist():
            down = max(0, (angle - widest) / (math.pi - widest))  # 0 to 1 from the envelope's round part to its mouth
            round_part = min(angle, widest)
            across = radius * math.sin(round_part) * (1 - down) + mouth * down
            points.append((middle + bulge * across, top - radius * 1.02 * math.cos(round_part) + neck * down))
        return points

    seams = np.sin(np.linspace(-math.pi / 2, math.pi / 2, 8)).tolist()
    for i, (left, right) in enumerate(zip(seams, seams[1:], strict=False)):
        stripe = (240, 180, 40) if i % 2 else (206, 48, 44)
        ImageDraw.Draw(scene).polygon([*seam(left), *reversed(seam(right))], fill=stripe)
    scene = shaded(scene, polygon([*seam(-1), *reversed(seam(1))]), 0.6)
    draw = ImageDraw.Draw(scene)
    basket = 390
    for rope in (-20, -8, 8, 20):
        draw.line((middle + rope, basket - 42, middle + rope * 0.8, basket), fill=(60, 50, 40), width=2)
    draw.rectangle((middle - 20, basket, middle + 20, basket + 30), fill=(120, 80, 45))
    for y in range(basket + 4, basket + 30, 6):
        draw.line((middle - 20, y, middle + 20, y), fill=(90, 58, 30), width=2)
    return grainy(scene, rng, 4)


def soccer_ball(rng: np.random.Generator) -> Image.Image:
    """A ball on a lawn: a truncated icosahedron, whose pentagons lie at the corners of an icosahedron."""
    scene = scenes.lawn(rng).filter(ImageFilter.GaussianBlur(2.5))
    fill(scene, ellipse((120, 360, 380, 440)), (20, 20, 20), blur=10, opacity=0.6)
    whole = ellipse((110, 130, 370, 390))
    fill(scene, whole, (244, 244, 244))
    golden = (1 + 5**0.5) / 2
    signs = [(one, other) for one in (1, -1) for other in (1, -1)]
    corners = np.array([np.roll((0, one, other * golden), turn) for turn in range(3) for one, other in signs])
    corners /= np.linalg.norm(corners[0])
    (sin_x, cos_x), (sin_y, cos_y) = ((math.sin(angle), math.cos(angle)) for angle in (0.35, 0.25))
    corners = corners @ np.array([[1, 0, 0], [0, cos_x, sin_x], [0, -sin_x, cos_x]])
    corners = corners @ np.array([[cos_y, 0, -sin_y], [0, 1, 0], [sin_y, 0, cos_y]])
    draw = ImageDraw.Draw(scene)

    def on_ball(point: np.ndarray) -> np.ndarray:
        return point / np.linalg.norm(point)

    def seen(point: np.ndarray) -> Point:
        return 240 + 130 * float(point[0]), 260 - 130 * float(point[1])

    for corner in corners:
        edges = [other - corner for other in corners if 0 < np.linalg.norm(other - corner) < 1.1]
        for edge in edges:  # a third of it is a side of the hexagons between two pentagons
            start, end = on_ball(corner + edge / 3), on_ball(corner + edge * 2 / 3)
            if start[2] > 0 and end[2] > 0:
                draw.line((*seen(start), *seen(end)), fill=(110, 110, 112), width=3)
        around = [on_ball(corner + edge / 3) for edge in edges]
        first = around[0] - corner * (around[0] @ corner)
        second = np.cross(corner, first)
        around.sort(key=lambda point: math.atan2(point @ second, point @ first))
        if corner[2] > -0.15:
            draw.polygon([seen(point) for point in around if point[2] > -0.25], fill=(28, 28, 30))
    scene = shaded(scene, whole, 0.6)
    draw = ImageDraw.Draw(scene)
    for x in rng.integers(105, 375, 160).tolist():
        y = int(rng.integers(372, 400))
        tip = (x + int(rng.integers(-5, 6)), y - int(rng.integers(10, 26)))
        draw.line((x, y, *tip), fill=near((88, 138, 58), rng, 40), width=2)
    return grainy(scene, rng, 4)


def lighthouse(rng: np.random.Generator) -> Image.Image:
    """A lighthouse with red stripes on a rock in the sea."""
    scene = sky((90, 150, 215), (225, 225, 215))
    sea(scene, 380, 120, rng)
    draw = ImageDraw.Draw(scene)
    rock: Color = (96, 88, 78)
    draw.polygon([(90, SIDE), (120, 410), (190, 380), (320, 385), (400, 420), (430, SIDE)], fill=rock)
    for x, y in zip(rng.integers(110, 410, 60).tolist(), rng.integers(400, SIDE, 60).tolist(), strict=True):
        draw.polygon([(x, y), (x + 20, y - 10), (x + 34, y + 8)], fill=near(rock, rng, 24))

    def band(start: float, end: float) -> list[Point]:
        """A part of the tower, from 0 at the gallery to 1 at the ground."""
        corners = ((-1, start), (1, start), (1, end), (-1, end))
        return [(240 + side * (25 + 15 * at), 130 + 265 * at) for side, at in corners]

    tower = polygon(band(0, 1))
    fill(scene, tower, (246, 244, 238))
    for stripe in (0, 0.4, 0.8):
        ImageDraw.Draw(scene).polygon(band(stripe, stripe + 0.2), fill=(200, 40, 40))
    away = np.clip((np.arange(SIDE) - 240) / 40, -0.3, 1)[None, :, None]
    inside = np.asarray(tower)[..., None] / 255
    scene = Image.fromarray(np.clip(np.asarray(scene) * (1 - 0.45 * away * inside), 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(scene)
    iron = (40, 40, 44)
    draw.rectangle((204, 118, 276, 132), fill=iron)
    draw.rectangle((220, 78, 260, 118), fill=(250, 230, 150))
    for x in range(220, 261, 10):
        draw.line((x, 78, x, 118), fill=iron, width=2)
    for x in range(204, 278, 9):
        draw.line((x, 104, x, 118), fill=iron)
    draw.polygon([(212, 80), (240, 46), (268, 80)], fill=(190, 36, 36))
    draw.line((240, 46, 240, 34), fill=iron, width=3)
    for y in (190, 260, 330):
        draw.rectangle((234, y, 246, y + 20), fill=(50, 56, 66))
    return grainy(scene, rng, 4)


def traffic_light(rng: np.random.Generator) -> Image.Image:
    """A red traffic light before houses that are out of focus."""
    scene = sky((110, 150, 200), (200, 215, 228))
    draw = ImageDraw.Draw(scene)
    for left, width, height in ((0, 110, 240), (100, 80, 180), (350, 140, 280), (300, 70, 150)):
        draw.rectangle((left, SIDE - height, left + width, SIDE), fill=near((130, 118, 112), rng, 18))
        for y in range(SIDE - height + 14, SIDE, 30):
            for x in range(left + 10, left + width - 12, 24):
                draw.rectangle((x, y, x + 12, y + 16), fill=(70, 80, 98))
    scene = scene.filter(ImageFilter.GaussianBlur(3))
    ImageDraw.Draw(scene).rectangle((232, 370, 248, SIDE), fill=(55, 58, 60))
    case = Image.new("L", (SIDE, SIDE))
    ImageDraw.Draw(case).rounded_rectangle((178, 50, 302, 378), 18, fill=255)
    fill(scene, case, (34, 36, 38))
    scene = shaded(scene, case, 0.4, (0.2, 0.3))
    for y, color in ((108, (240, 40, 30)), (214, (70, 58, 20)), (320, (18, 58, 34))):
        ImageDraw.Draw(scene).pieslice((190, y - 54, 290, y + 46), 180, 360, fill=(18, 18, 20))
        lamp = ellipse((196, y - 44, 284, y + 44))
        fill(scene, lamp, color)
        scene = shaded(scene, lamp, 0.32, (0.45, 0.4))
    fill(scene, ellipse((170, 38, 310, 178)), (255, 90, 70), blur=26, opacity=0.35)
    return grainy(scene, rng, 5)


def jack_o_lantern(rng: np.random.Generator) -> Image.Image:
    """A carved pumpkin that shines in the dark."""
    scene = sky((26, 22, 40), (60, 40, 40))
    ImageDraw.Draw(scene).rectangle((0, 360, SIDE, SIDE), fill=(52, 38, 30))
    fill(scene, ellipse((80, 370, 400, 440)), (20, 20, 20), blur=10, opacity=0.7)
    whole = Image.new("L", (SIDE, SIDE))
    for at in (-1, 1, -0.66, 0.66, -0.33, 0.33, 0):
        box = (165 + at * 95, 150, 315 + at * 95, 400)
        red, green, blue = (int(value * (1 - 0.14 * abs(at))) for value in (232, 120, 24))
        fill(scene, ellipse(box), (red, green, blue))
        scene = shaded(scene, ellipse(box), 0.45, (0.4, 0.3))
        ImageDraw.Draw(whole).ellipse(box, fill=255)
    scene = shaded(scene, whole, 0.4, (0.4, 0.3))
    stalk = [(225, 160), (232, 110), (262, 100), (258, 122), (256, 160)]
    ImageDraw.Draw(scene).polygon(stalk, fill=(88, 104, 44))
    face = Image.new("L", (SIDE, SIDE))
    for part in FACE:
        ImageDraw.Draw(face).polygon(part, fill=255)
    fill(scene, face, (255, 170, 50), blur=14, opacity=0.6)
    fill(scene, face, (255, 214, 90))
    return grainy(scene, rng, 5)


FACE = (  # the eyes, the nose and the mouth
    [(150, 245), (190, 200), (215, 250)],
    [(265, 250), (290, 200), (330, 245)],
    [(228, 275), (240, 252), (252, 275)],
    [(140, 295), (175, 315), (185, 300), (205, 325), (240, 330), (275, 325), (295, 300), (305, 315), (340, 295)]
    + [(320, 345), (280, 368), (262, 352), (240, 372), (218, 352), (200, 368), (160, 345)],
)

EXAMPLES: dict[str, Callable[[np.random.Generator], Image.Image]] = {
    "hot-air-balloon": hot_air_balloon,
    "soccer-ball": soccer_ball,
    "lighthouse": lighthouse,
    "traffic-light": traffic_light,
    "jack-o-lantern": jack_o_lantern,
}


if __name__ == "__main__":
    main()
