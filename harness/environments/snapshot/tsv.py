"""Recorded tables, read row by row with bounded memory; a row that cannot be read is reported, never just dropped.

Owns: the two quotings that occur (CSV quotes with doubled quotes and line breaks inside cells; none at all), torn
rows, wrong columns, cells of many megabytes, bytes that are no UTF-8. Does not own: what a cell means.

A quote that is never closed must not swallow the rest of a file: reading goes on with the line after it.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from harness.environments.snapshot.report import Report

CELL_BYTES = 64 * 2**20
"""A cell longer than this is taken for an unclosed quote. Object bodies have some megabytes at most."""
csv.field_size_limit(max(CELL_BYTES, csv.field_size_limit()))  # the standard library's limit is 128 KiB

Columns = Mapping[str, Sequence[str]]
"""Name that we use -> names that files use, in order of preference."""


class Table:
    """One table. Iterating gives (line, cells in the order of `columns`); a missing optional column gives ""."""

    def __init__(
        self, path: Path, name: str, columns: Columns, required: Sequence[str], report: Report
    ) -> None:
        self.path = path
        self.name = name
        self.rows = 0
        """Rows that were read so far."""
        self._columns = columns
        self._required = required
        self._report = report

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        with open(self.path, "rb") as file:
            lines = _Lines(file, self.name, self._report)
            header = lines.record(0)
            if header is None:
                self._report.add(self.name, 0, "is empty; expected a header")
                return
            order = self._order(header[1])
            if order is None:
                return
            width = len(header[1])
            while (record := lines.record(width)) is not None:
                number, cells = record
                if len(cells) != width:
                    what = f"torn row: found {len(cells)} cells, expected {width}; left out"
                    self._report.add(self.name, number, what)
                    continue
                self.rows += 1
                yield number, [cells[place] if place >= 0 else "" for place in order]

    def _order(self, header: Sequence[str]) -> list[int] | None:
        """Where each column stands, -1 for one that is not there; None when a required one is missing."""
        places = {name.strip(): place for place, name in reversed(list(enumerate(header)))}
        order = [next((places[n] for n in names if n in places), -1) for names in self._columns.values()]
        found = dict(zip(self._columns, order, strict=True))
        missing = [self._columns[name][0] for name in self._required if found[name] < 0]
        if missing:
            shown = ", ".join(header)[:200]
            self._report.add(
                self.name, 1, f"has no column {', '.join(missing)}; not read", f"columns: {shown}"
            )
            return None
        return order


class _Lines:
    """Physical lines put together to records, with a way back where a record turns out to be none."""

    def __init__(self, file: IO[bytes], name: str, report: Report) -> None:
        self._file = file
        self._name = name
        self._report = report
        self._number = 0
        self._waiting: deque[tuple[int, str]] = deque()

    def record(self, width: int) -> tuple[int, list[str]] | None:
        """The next record with its first line; None at the end. `width` 0 accepts any number of cells."""
        while True:
            line = self._next()
            if line is None:
                return None
            number, text = line
            if text.startswith('"') or '\t"' in text:
                return number, self._quoted(number, text, width)
            stripped = text.rstrip("\r\n")
            if stripped or width == 1:
                return number, stripped.split("\t")

    def _quoted(self, number: int, text: str, width: int) -> list[str]:
        """Cells of a record that begins with a line in which a cell opens with a quote."""
        plain = text.rstrip("\r\n").split("\t")
        parts, size = [text], len(text)
        taken: list[tuple[int, str]] = []
        unclosed = text.count('"') % 2 == 1
        while unclosed:
            line = self._next()
            if line is None or size > CELL_BYTES:
                self._back([*taken, *([line] if line else [])])
                return plain
            taken.append(line)
            parts.append(line[1])
            size += len(line[1])
            unclosed ^= line[1].count('"') % 2 == 1
        try:
            cells = next(csv.reader(parts, delimiter="\t", strict=True))
        except csv.Error:
            cells = []
        if len(cells) == width or (cells and width == 0):
            cells[-1] = cells[-1].rstrip("\r\n")
            return cells
        self._back(taken)
        return plain

    def _next(self) -> tuple[int, str] | None:
        if self._waiting:
            return self._waiting.popleft()
        raw = self._file.readline(CELL_BYTES)
        if not raw:
            return None
        self._number += 1
        if len(raw) == CELL_BYTES and not raw.endswith(b"\n"):
            self._report.add(
                self._name, self._number, f"the line is longer than {CELL_BYTES} bytes; cut there"
            )
            while (more := self._file.readline(CELL_BYTES)) and not more.endswith(b"\n"):
                pass
        try:
            text = raw.decode("utf-8-sig" if self._number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            what = f"byte {error.start} of the line is no UTF-8; shown as a replacement character"
            self._report.add(self._name, self._number, what)
            text = raw.decode("utf-8", errors="replace")
        return self._number, text

    def _back(self, lines: Sequence[tuple[int, str]]) -> None:
        self._waiting.extendleft(reversed(lines))
