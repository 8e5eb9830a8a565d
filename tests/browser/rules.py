"""Rules for what a page shows: accessible, large enough to press, and nothing overlaps or overflows."""

import itertools

from axe_playwright_python.sync_playwright import Axe

SCREENS = [(1366, 650), (1280, 720), (360, 640)]
LOOKS = [("en", "light"), ("ru", "dark")]
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
# A file's name as long as file systems allow, without a place to break it.
LONG_NAME = f"Eine-{'sehr-' * 38}lange.jpeg"

TARGETS = """() => [
        ...document.querySelectorAll("a[href], button, select, summary, textarea, input:not([type=hidden])"),
    ].filter((target) => {
        const inSentence = target.matches("a") && getComputedStyle(target).display === "inline";
        const unseen = !target.checkVisibility({visibilityProperty: true}) || target.matches(".skip:not(:focus)");
        const {width, height} = (target.closest("label") ?? target).getBoundingClientRect();
        return !inSentence && !unseen && Math.min(width, height) < 43.9;
    }).map((target) => target.outerHTML.slice(0, 120))"""
# The boxes of what a visitor sees in a stage, by name.
BOXES = """() => {
    const seen = {};
    const stage = [...document.querySelectorAll(".stage")].find((one) => !one.hidden);
    const picture = stage.querySelector(".stage-picture > :is(.card, .shown)");
    const parts = {ways: document.querySelector(".ways"), picture};
    for (const part of stage.querySelectorAll(".stage-answer > *, .live > *"))
        if (!part.matches(".live, .unseen, datalist")) parts[`${part.tagName} ${part.className} ${part.id}`] = part;
    for (const name in parts) {
        const {left, top, right, bottom} = parts[name].getBoundingClientRect();
        if (right > left && bottom > top) seen[name] = [left, top, right, bottom].map(Math.round);
    }
    return seen;
}"""
# The names of elements whose text does not fit into them.
CLIPPED = """() => [...document.querySelectorAll("main :is(h1, p, a, button, span, li, label)")]
    .filter((one) => one.checkVisibility() && !one.closest(".unseen, .drop") && one.scrollWidth > one.clientWidth + 1
        && getComputedStyle(one).display !== "inline")
    .map((one) => one.textContent)"""
LINES = """(one) => {
    const {lineHeight, paddingTop, paddingBottom} = getComputedStyle(one);
    return (one.clientHeight - parseFloat(paddingTop) - parseFloat(paddingBottom)) / parseFloat(lineHeight);
}"""


def assert_accessible(page):
    """axe finds nothing."""
    found = Axe().run(page, options=RULES)
    assert found.violations_count == 0, found.generate_report()


def assert_targets_are_large(page):
    """What can be pressed measures at least 44 pixels a side."""
    assert page.evaluate(TARGETS) == []


def assert_nothing_scrolls_sideways(page, width):
    """The page is no wider than the window."""
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def assert_laid_out(page, width, height, last):
    """Nothing in the stage overlaps or overflows, and everything up to `last` is inside the first screen."""
    boxes = page.evaluate(BOXES)
    for (one, a), (other, b) in itertools.combinations(boxes.items(), 2):
        apart = a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
        assert apart, f"{one} {a} overlaps {other} {b}"
    assert all(box[0] >= 0 and box[2] <= width for box in boxes.values()), boxes
    assert_nothing_scrolls_sideways(page, width)
    assert page.evaluate(CLIPPED) == []
    end = next(box for name, box in boxes.items() if last in name)
    assert max(boxes["picture"][3], end[3]) <= height, boxes
    assert page.evaluate("scrollY") == 0


def lines(element):
    """How many lines of text an element shows."""
    return round(element.evaluate(LINES), 1)
