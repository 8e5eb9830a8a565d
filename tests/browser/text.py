"""Finds words that a page breaks, text that it cuts off, selects that share a name, and pages that are too wide."""

from functools import cache

from flask import Flask

from inkling.config import ROOT
from inkling.recognition.catalog import read_catalog
from inkling.web.edge import language

WIDTHS = (360, 768, 1280)
# Answers are replaced by the longest names of all models, because a page shows only a few.
MEASURE = r"""(longest) => {
    const found = new Set();
    const shown = (element) => element.checkVisibility() && !element.closest(".unseen, .skip:not(:focus)");
    const inspect = (elements) => {
        for (const element of elements) {
            if (!shown(element)) continue;
            const nodes = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
            for (let node; (node = nodes.nextNode());) {
                // Code, and names that people gave to files, are broken where there is no room.
                if (!shown(node.parentElement) || node.parentElement.closest("code, pre, bdi, .file, .name")) continue;
                for (const word of node.data.matchAll(/[\p{L}\p{N}]{2,}/gu)) {
                    const range = document.createRange();
                    range.setStart(node, word.index);
                    range.setEnd(node, word.index + word[0].length);
                    const lines = new Set([...range.getClientRects()].map(({ top }) => Math.round(top)));
                    if (lines.size > 1) found.add(`broken: ${word[0]}`);
                }
            }
            if (element.clientWidth && element.scrollWidth > element.clientWidth + 1 && !element.closest(".scroll"))
                found.add(`cut off: ${element.textContent.trim().slice(0, 60)}`);
        }
    };
    const all = "h1, h2, h3, p, li, button, summary, label, legend, th, td, dt, dd, a, span, figcaption";
    inspect(document.querySelectorAll(all));
    const answers = document.querySelectorAll(
        ".word, .sentence, .bars .label, .grid a b, [data-part$=-word] b," +
        ".history li > a > span:last-child, .deleted span");
    for (const name of longest) {
        const letters = Math.max(...name.split(/\s+/).map((word) => word.length));
        const size = [8, 12, 16, 20, 28].find((most) => letters <= most) ?? "more";  // as templates/result.html
        for (const answer of answers) {
            answer.textContent = answer.matches(".history *") ? `${name} 100%` : name;
            answer.className = answer.className.replace(/letters-\w+/, `letters-${size}`);
        }
        inspect(answers);
    }
    const names = [...document.querySelectorAll("select")].filter(shown).map((select) =>
        select.ariaLabel ?? [...select.labels].map((label) => label.textContent.trim()).join(" "));
    for (const name of names)
        if (!name || names.indexOf(name) !== names.lastIndexOf(name)) found.add(`select: ${name}`);
    const wide = document.documentElement.scrollWidth;
    if (wide > innerWidth) found.add(`the page is ${wide} pixels wide`);
    return [...found];
}"""


@cache
def longest_names(code):
    """Of each model, the label's name with the most letters and the one with the longest word, in a language."""
    app = Flask(__name__)
    language.init_app(app)
    found = set()
    with app.test_request_context(headers={"Accept-Language": code}):
        for card in read_catalog(ROOT / "models"):
            names = [name[:1].upper() + name[1:] for name in map(language.label, card.labels)]
            found |= {max(names, key=len), max(names, key=lambda name: max(map(len, name.split())))}
    return sorted(found)


def faults(page, code):
    """What is wrong with the page's text, by the width of the window."""
    found = {}
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        found[width] = page.evaluate(MEASURE, longest_names(code))
    return {width: problems for width, problems in found.items() if problems}
