"""Tells what a question is about, in English and Russian, by the rules in `rules.txt`: the first that fits decides.

A rule is a row of groups of words, and fits a question that has a word of each group, in any order. `*` stands for any
ending, `#` for a number, `@` for the name of a model, `&` for a word of a label. `only` at the end of a row means that
the question has no other words than those and fillers. A word of the question that no rule knows is read as one that
differs by a single typing error. Nothing is guessed: a question that no rule fits has no intent.
"""

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

LONGEST = 500  # characters of a question
TYPO_FROM = 4  # letters of a word in which a typing error is forgiven
STEM_FROM = 6  # letters of the beginning of a word in which one is: shorter ones are like too many words
LONGEST_ENDING = 4  # letters after the beginning of a word in which one is

INTENTS = (
    *("what", "sure", "why", "else", "none", "change", "good", "errs", "teach"),
    *("who", "time", "kept", "can", "calibration", "files", "self"),
)
ABOUT_A_PICTURE = frozenset({"what", "sure", "why", "else", "none", "change", "who", "time"})  # these need a result
ABOUT_A_MODEL = frozenset({"good", "errs", "calibration"})  # these may name a model

WORD = re.compile(r"[^\W_]+(?:[-_][^\W_]+)*")
ONLY, FILLER = "only", "filler"
RULES = Path(__file__).with_name("rules.txt")


class Rule(NamedTuple):
    """A row of the rules.

    Attributes:
        groups: the words of each group, as indexes of the vocabulary.
        only: whether other words rule it out.
    """

    intent: str
    groups: tuple[frozenset[int], ...]
    only: bool


class Rules(NamedTuple):
    """All that `rules.txt` says.

    Attributes:
        fillers: words that say nothing about the intent.
        number, model, label: stand for a number, the name of a model and a word of a label.
    """

    vocabulary: "Vocabulary"
    rows: tuple[Rule, ...]
    fillers: frozenset[int]
    number: frozenset[int]
    model: frozenset[int]
    label: frozenset[int]


class Vocabulary:
    """The words that rules know, and which of them a word of a question is."""

    def __init__(self) -> None:
        self._index: dict[str, int] = {}  # of whole words
        self._stems: dict[str, int] = {}  # of beginnings

    def add(self, group: str) -> frozenset[int]:
        """The indexes of the words of a group."""
        found = set()
        for word in group.split("/"):
            table, word = (self._stems, word[:-1]) if word.endswith("*") else (self._index, word)
            found.add(table.setdefault(word, len(self._index) + len(self._stems)))
        return frozenset(found)

    def exactly(self, word: str) -> frozenset[int]:
        """What a word is: itself and the beginnings of it."""
        whole = {self._index[word]} if word in self._index else set()
        starts = (word[:n] for n in range(1, len(word) + 1))
        return frozenset(whole.union(self._stems[start] for start in starts if start in self._stems))

    def read(self, word: str) -> frozenset[int]:
        """The same; of a word that rules do not know, what it is but for one typing error."""
        exact = self.exactly(word)
        if exact or len(word) < TYPO_FROM:
            return exact
        near = {i for known, i in self._index.items() if len(known) >= TYPO_FROM and is_near(word, known)}
        for stem, i in self._stems.items():
            fits = len(stem) >= STEM_FROM and len(word) <= len(stem) + LONGEST_ENDING
            if fits and any(is_near(word[: len(stem) + more], stem) for more in (-1, 0, 1)):
                near.add(i)
        return frozenset(near)


def is_near(word: str, other: str) -> bool:
    """Whether one letter more, less or else, or two that changed places, make one word of the other."""
    if abs(len(word) - len(other)) > 1:
        return False
    start = next((i for i, (a, b) in enumerate(zip(word, other, strict=False)) if a != b), min(len(word), len(other)))
    rest, others = word[start:], other[start:]
    return (
        rest[1:] == others[1:]
        or rest[1:] == others
        or rest == others[1:]
        or (rest[:2] == others[1::-1] and rest[2:] == others[2:])
    )


def recognize(question: str, models: Iterable[str] = (), labels: Iterable[str] = ()) -> str | None:
    """The intent of a question: one of `INTENTS`, or None if it is none of them.

    Args:
        question: at most `LONGEST` characters of it are read.
        models: names of models, by which a question may call them.
        labels: words of labels that the question names.
    """
    rules, named, labeled = _read(), frozenset(models), frozenset(labels)
    words = []
    for word in words_of(question):
        known = rules.vocabulary.read(word)
        known |= rules.number if word.isdecimal() else frozenset()
        known |= rules.model if word in named else frozenset()
        known |= rules.label if word in labeled else frozenset()
        words.append(known)
    said = frozenset().union(*words)
    for row in rules.rows:
        if all(group & said for group in row.groups):
            allowed = rules.fillers.union(*row.groups)
            if not row.only or all(word & allowed for word in words):
                return row.intent
    return None


def is_word(word: str) -> bool:
    """Whether a word is one that rules know, so that it names nothing."""
    return bool(_read().vocabulary.exactly(word))


def words_of(text: str) -> list[str]:
    """The words of a text as they are compared: in small letters, without apostrophes and the dots of "ё"."""
    plain = text[:LONGEST].casefold().replace("ё", "е").replace("'", "").replace("’", "")
    return WORD.findall(plain)


@cache
def _read() -> Rules:
    vocabulary, names, rows, fillers = Vocabulary(), {}, [], frozenset[int]()
    for line in RULES.read_text("utf-8").replace("ё", "е").splitlines():
        if line.startswith("$"):
            name, words = line.split(" = ")
            names[name] = words
        elif line and not line.startswith("#"):
            intent, _, text = line.partition(": ")
            for name, words in names.items():
                text = text.replace(name, words)
            only = text.endswith(f" {ONLY}")
            groups = tuple(vocabulary.add(group) for group in text.removesuffix(f" {ONLY}").split())
            if intent == FILLER:
                fillers = fillers.union(*groups)
            else:
                rows.append(Rule(intent, groups, only))
    signs = (vocabulary.add(sign) for sign in "#@&")
    return Rules(vocabulary, tuple(rows), fillers, *signs)
