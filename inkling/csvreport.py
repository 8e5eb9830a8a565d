"""Outcomes as CSV (RFC 4180), one row for each picture, safe to open in a spreadsheet."""

import csv
from collections.abc import Sequence
from typing import Protocol, TextIO

COLUMNS = (
    "file",
    "label",
    "confidence",
    "wording",
    "familiar",
    "group",
    "model",
    "route",
    "second_label",
    "second_confidence",
    "third_label",
    "third_confidence",
    "error",
    "detail",
)
RANKS = ("", "second_", "third_")  # prefixes of the columns of the most likely labels
# First characters of a cell that a spreadsheet evaluates as a formula; some read full-width signs as the plain ones:
# https://owasp.org/www-community/attacks/CSV_Injection
FORMULA_STARTS = tuple("=+-@＝＋－＠\t\r\n")


class Answer(Protocol):
    """The part of an answer that needs no translation; predictions and stored results have this form."""

    @property
    def familiar(self) -> bool: ...
    @property
    def group(self) -> str | None: ...
    @property
    def model(self) -> str: ...
    @property
    def route(self) -> str | None: ...


class Report:
    """A CSV table that is written to an open text file row by row, beginning with the header."""

    def __init__(self, file: TextIO):
        # Every cell is quoted: in a locale that separates cells by semicolons, a file name with a semicolon would
        # otherwise begin a cell of its own.
        self._rows = csv.DictWriter(file, COLUMNS, quoting=csv.QUOTE_ALL)
        self._rows.writeheader()

    def answer(self, file: str, answer: Answer, ranked: Sequence[tuple[str, float]], wording: str) -> None:
        """Writes the row of a picture that was recognized.

        Args:
            ranked: (label, probability) in the reader's language, most likely first; the first three are written.
            wording: how sure the answer is, in the reader's language.
        """
        cells = {
            "wording": wording,
            "familiar": "yes" if answer.familiar else "no",
            "group": answer.group or "",
            "model": answer.model,
            "route": answer.route or "",
        }
        for rank, (label, probability) in zip(RANKS, ranked, strict=False):
            cells |= {f"{rank}label": label, f"{rank}confidence": f"{probability:.6f}"}
        self._write(file=file, **cells)

    def problem(self, file: str, reason: str, detail: str) -> None:
        """Writes the row of a picture that has no answer."""
        self._write(file=file, error=reason, detail=detail)

    def _write(self, **cells: str) -> None:
        self._rows.writerow({column: escape(cell) for column, cell in cells.items()})


def escape(cell: str) -> str:
    """The cell, with an apostrophe in front if a spreadsheet would evaluate it as a formula."""
    return f"'{cell}" if cell.startswith(FORMULA_STARTS) else cell
