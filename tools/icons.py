"""Draws the PNG icons of the web app manifest, in the shape of static/icon.svg: `python -m tools.icons`."""

from PIL import Image, ImageDraw

from inkling.config import ROOT

INK, PAPER = "#4a63e0", "#faf9f6"
FINE = 4  # pixels drawn for each pixel of an icon
FIELD = 32  # width of the SVG's coordinates
# name -> size, and the share of the width that the drop's field takes; a field on paper fills the whole icon
ICONS = {"icon-192": (192, 1), "icon-512": (512, 1), "icon-maskable": (512, 0.7), "icon-apple": (180, 0.8)}
Point = tuple[float, float]


def curve(start: Point, first: Point, second: Point, end: Point) -> list[Point]:
    """Points of a cubic Bézier curve."""
    weights = [((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3) for t in (i / 60 for i in range(61))]
    points = (start, first, second, end)
    return [
        (
            sum(w * x for w, (x, _) in zip(row, points, strict=True)),
            sum(w * y for w, (_, y) in zip(row, points, strict=True)),
        )
        for row in weights
    ]


def icon(size: int, share: float) -> Image.Image:
    """The drop with its eye, on paper if it does not take the whole width."""
    scale = size * FINE * share / FIELD
    margin = size * FINE * (1 - share) / 2
    image = Image.new("RGBA", (size * FINE, size * FINE), PAPER if share < 1 else "#fff0")
    draw = ImageDraw.Draw(image)

    def place(points: list[Point]) -> list[Point]:
        return [(margin + x * scale, margin + y * scale) for x, y in points]

    tip = curve((6, 20), (6, 13.6), (11, 9), (16, 2)) + curve((16, 2), (21, 9), (26, 13.6), (26, 20))
    draw.polygon(place(tip), INK)
    draw.ellipse(place([(6, 10), (26, 30)]), INK)
    upper = curve((10.5, 20.5), (13.5, 16), (18.5, 16), (21.5, 20.5))
    lower = curve((21.5, 20.5), (18.5, 24.5), (13.5, 24.5), (10.5, 20.5))
    for x, y, radius in [(x, y, 1.1) for x, y in upper + lower] + [(16, 20.3, 1.9)]:
        draw.ellipse(place([(x - radius, y - radius), (x + radius, y + radius)]), "white")
    return image.resize((size, size), Image.Resampling.LANCZOS)


def main() -> None:
    for name, (size, share) in ICONS.items():
        icon(size, share).quantize(64).save(ROOT / "static" / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
