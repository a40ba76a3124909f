"""A page with drawings of explanations, made from a file that `mammal explain` wrote."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from mammal.errors import DataError
from mammal.explanation.drawings import largest_of, molecule_svg, sequence_html, variant_svg
from mammal.explanation.parts import VARIANT
from mammal.jobs.inputs import open_input
from mammal.report.page import Section, facts, figure, figures, html_table, joined, page, paragraph
from mammal.version import __version__

AT_ONCE = 1_000
"""Lines of the file that are read together."""

FRAGMENTS = 12
"""Fragments of a row that are listed, those with the largest effects."""

LEAD = (
    "How much each part of a row contributes to its prediction. Orange parts raise the output, blue parts lower it. "
    "Molecules are drawn as the model reads them."
)


@dataclass(frozen=True)
class DrawnValue:
    """The attributions of one value.

    Attributes:
        column: its column.
        read: its text, as the model reads it.
        kind: kind of its parts: atom, residue, base, number or token.
        parts: text of each part.
        attribution_P: attribution of each part, float [P]; NaN if it was not read.
        fragments: occlusion: text and effect of each fragment.
    """

    column: str
    read: str
    kind: str
    parts: Sequence[str]
    attribution_P: np.ndarray
    fragments: Sequence[tuple[str, float]] = ()


@dataclass(frozen=True)
class DrawnRow:
    """The explanation of one row.

    Attributes:
        number: number of the row among those of the file, from 1; in the long form that of the input.
        output: what is explained.
        numbers: output, and baseline and difference if they are known.
        values: its values.
    """

    number: int
    output: str
    numbers: Mapping[str, float]
    values: Sequence[DrawnValue]


def explanations_page(
    file: str | os.PathLike[str], *, rows: int = 50, prefix: str = "", title: str = "Explanations"
) -> str:
    """Returns a page with drawings of the first explained rows of a file, as HTML that needs no other files.

    Args:
        file: file that `mammal explain` wrote, in either form.
        rows: largest number of rows on the page.
        prefix: text before the names of the columns that `mammal explain` added.
        title: title of the page.

    Raises:
        DataError: the file does not exist, or has no explanations.
    """
    drawn = list(islice(explained_rows(file, prefix), rows))
    sections = [Section(f"Row {row.number}", row_markup(row)) for row in drawn]
    return page(title, LEAD, sections, f"{Path(file).name}, MAMMAL {__version__}")


def explained_rows(file: str | os.PathLike[str], prefix: str | None = "") -> Iterator[DrawnRow]:
    """Yields the explained rows of a file that `mammal explain` wrote. Rows without an explanation are left out.

    Args:
        file: the file, in either form.
        prefix: text before the names of the columns that `mammal explain` added. None: found out from the columns.

    Raises:
        DataError: the file does not exist, or has no explanations.
    """
    given = open_input(file)
    names = given.schema.names
    if prefix is None:
        prefix = _prefix_in(names)
    if f"{prefix}explained" not in names or not any(name.endswith("attribution") for name in names):
        raise DataError("has no explanations", where=str(file), hint="give an output of `mammal explain`")
    ours = [name for name in names if name.startswith(prefix)]
    lines = (
        {name.removeprefix(prefix): cell for name, cell in line.items()}
        for shard in given.shards(AT_ONCE)
        for line in shard.records(ours)
    )
    if {name.removeprefix(prefix) for name in ours} >= _LONG:
        known = (line for line in lines if line["explained"])
        for number, group in groupby(known, key=lambda line: int(line["row"])):
            yield _of_lines(number, list(group))
        return
    yield from drawn_rows(lines, [name.removeprefix(prefix) for name in ours])


_LONG = {"row", "part", "position", "text", "attribution"}
"""Columns of the form with one line for each part. The table of the user can have some of these names, too."""


def _prefix_in(names: Sequence[str]) -> str:
    """Text before the names of the columns that the last `mammal explain` added to a table; "" if there are none."""
    found = [name.removesuffix("explained") for name in names if name.endswith("explained")]
    return next((prefix for prefix in reversed(found) if f"{prefix}output" in names), "")


def drawn_rows(lines: Iterable[Mapping[str, Any]], names: Sequence[str]) -> Iterator[DrawnRow]:
    """Yields the explained rows of a table with one line for each row. Rows without an explanation are left out.

    Args:
        lines: the lines, such as those of `Mammal.explain`, as mappings.
        names: the columns, without a prefix.
    """
    starts = [name.removesuffix("attribution") for name in names if name.endswith("attribution")]
    starts = [start for start in starts if {f"{start}read", f"{start}parts"} <= {*names}]  # others are the user's
    for number, line in enumerate(lines, start=1):
        if line["explained"]:
            values = [_of_cells(line, start) for start in starts if line[f"{start}read"]]
            yield DrawnRow(number, line["explained"], _numbers(line), values)


def row_markup(row: DrawnRow) -> Markup:
    """Returns the drawings of one row.

    Args:
        row: the row.
    """
    largest = largest_of([value.attribution_P for value in row.values])
    numbers = {name: f"{number:.4g}" for name, number in row.numbers.items()}
    drawn = [_value_markup(value, largest, row.output) for value in row.values]
    return joined([paragraph(row.output), facts(numbers), *drawn])


def row_drawings(rows: Iterable[tuple[DrawnRow, str]]) -> Markup:
    """Returns the drawings of several rows: molecules next to each other, then the rows with other values.

    Args:
        rows: each row with the text below or above its drawing.
    """
    small, wide = [], []
    for row, caption in rows:
        molecule = _molecule(row.values[0], row.output) if len(row.values) == 1 else None
        if molecule is not None:
            small.append(figure(molecule, f"{caption}; {row.values[0].read}"))
            continue
        largest = largest_of([value.attribution_P for value in row.values])
        wide += [paragraph(caption), *(_value_markup(value, largest, row.output) for value in row.values)]
    return joined([*([figures(small)] if small else []), *wide])


def _molecule(value: DrawnValue, unit: str, largest: float | None = None) -> Markup | None:
    return molecule_svg(value.read, value.attribution_P, largest=largest, unit=unit) if value.kind == "atom" else None


def _value_markup(value: DrawnValue, largest: float, unit: str) -> Markup:
    how: dict[str, Any] = {"largest": largest, "unit": unit}
    name = f"{value.column}: {value.read}" if value.column else value.read
    molecule = _molecule(value, unit, largest)
    if molecule is not None:
        return joined([figures([figure(molecule, name)]), _fragments(value)])
    parts = [figure(sequence_html(value.parts, value.attribution_P, **how), value.column)]
    if value.kind == "base":
        kinds = [VARIANT if part.startswith("[") else "base" for part in value.parts]
        parts.append(figure(variant_svg(value.parts, kinds, value.attribution_P, **how), value.column))
    return joined(parts)


def _fragments(value: DrawnValue) -> Markup:
    if not value.fragments:
        return Markup("")
    largest = sorted(value.fragments, key=lambda found: -abs(np.nan_to_num(found[1])))[:FRAGMENTS]
    cells = [(text, f"{effect:+.3g}") for text, effect in largest]
    return html_table(["masked", "effect"], cells, kinds=["mono", "number"])


def _numbers(line: Mapping[str, Any]) -> dict[str, float]:
    found = {name: line.get(name) for name in ("output", "baseline", "difference")}
    return {name: float(cell) for name, cell in found.items() if cell not in (None, "")}


def _of_cells(line: Mapping[str, Any], start: str) -> DrawnValue:
    """A value of the form with one line for each row."""
    fragments = json.loads(line.get(f"{start}fragments") or "[]")
    return DrawnValue(
        start.removesuffix("_"),
        line[f"{start}read"],
        line[f"{start}part"],
        json.loads(line[f"{start}parts"]),
        _floats(line[f"{start}attribution"]),
        [(one["text"], float("nan") if one["effect"] is None else one["effect"]) for one in fragments],
    )


def _of_lines(number: int, lines: Sequence[Mapping[str, Any]]) -> DrawnRow:
    """A row of the form with one line for each part."""
    values = []
    for column, group in groupby(lines, key=lambda line: line["column"]):
        of_value = list(group)
        first, attribution_P = of_value[0], _floats([line["attribution"] for line in of_value])
        effects = zip((line.get("fragment") for line in of_value), attribution_P.tolist(), strict=True)
        fragments = dict.fromkeys((text, effect) for text, effect in effects if text)
        kind = "base" if first["part"] == VARIANT else first["part"]
        texts = [line["text"] for line in of_value]
        values.append(DrawnValue(column, first["read"], kind, texts, attribution_P, list(fragments)))
    return DrawnRow(number, lines[0]["explained"], _numbers(lines[0]), values)


def _floats(cells: Sequence[Any]) -> np.ndarray:
    return np.array([np.nan if cell in (None, "") else float(cell) for cell in cells], dtype=np.float64)
