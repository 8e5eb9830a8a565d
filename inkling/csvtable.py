"""Answers as CSV (RFC 4180), one row a picture, that a spreadsheet may open without harm."""

import csv
from collections.abc import Sequence
from typing import TextIO

COLUMNS = (
    "file",
    "label",
    "confidence",
    "wording",
    "second_label",
    "second_confidence",
    "third_label",
    "third_confidence",
    "error",
    "detail",
)
RANKS = ("", "second_", "third_")  # answers in a row
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # how a cell begins that a spreadsheet computes: OWASP, "CSV injection"


class Sheet:
    """A CSV table in an open text file, its headings first."""

    def __init__(self, file: TextIO):
        # All in quotes: where semicolons part the cells, one in a file's name must not begin a formula.
        self._rows = csv.DictWriter(file, COLUMNS, quoting=csv.QUOTE_ALL)
        self._rows.writeheader()

    def answer(self, file: str, ranked: Sequence[tuple[str, float]], wording: str) -> None:
        """Writes a picture's row.

        Args:
            ranked: (label, probability), most likely first.
        """
        cells = {"wording": wording}
        for rank, (label, probability) in zip(RANKS, ranked, strict=False):
            cells |= {f"{rank}label": label, f"{rank}confidence": f"{probability:.6f}"}
        self._write(file=file, **cells)

    def problem(self, file: str, reason: str, detail: str) -> None:
        """Writes the row of a picture that has no answer."""
        self._write(file=file, error=reason, detail=detail)

    def _write(self, **cells: str) -> None:
        self._rows.writerow({column: harmless(cell) for column, cell in cells.items()})


def harmless(cell: str) -> str:
    """The cell, with an apostrophe in front where a spreadsheet would take it for a formula."""
    return f"'{cell}" if cell.startswith(FORMULA) else cell
