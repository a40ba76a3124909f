"""Results for sets of generated molecules and their files: `samples.json`, `samples.csv`, a table for each set."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import chain, count
from math import isnan, nan
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal.errors import DataError
from mammal.evaluation.results import short
from mammal.tasks.molecule_sets.typical import Ranges
from mammal.tasks.tables.atomic import atomic_file

if TYPE_CHECKING:
    import pandas as pd

FILE, CSV = "samples.json", "samples.csv"
MOLECULES = "molecules_*.csv"
"""Names of the tables of molecules."""
FORMAT = 1
ASKED = "asked_"
"""Prefix of a column of requested values; the rest of the name is the property."""


@dataclass(frozen=True)
class Compared:
    """A set that samples are compared with.

    Attributes:
        source: the file, or the part of a task's rows.
        molecules: how many molecules were read.
        drawn_from: size of the whole set if only a sample of it was read; None: the whole set was read.
    """

    source: str
    molecules: int
    drawn_from: int | None = None


@dataclass(frozen=True)
class Histogram:
    """Distributions of one property in several sets.

    Attributes:
        edges: edges of the bins, one more than there are bins.
        shares: name of a set -> share of its molecules in each bin; molecules beyond the edges are in no bin.
        unit: unit of the property.
    """

    edges: Sequence[float]
    shares: Mapping[str, Sequence[float]]
    unit: str = ""


@dataclass(frozen=True)
class SetResult:
    """Results for one set of samples.

    Attributes:
        name: name of the set.
        source: the file, or the task and part that the samples were generated for.
        figures: values by name, see `mammal.tasks.molecule_sets.judge`; NaN if a value is undefined.
        samples: number of evaluated strings.
        valid: number of strings that are molecules.
        distinct: number of different molecules.
        molecules: one row for each string: `smiles` as it was generated, `valid`, `canonical`, `repeat`, `known` (is in
            the training set), `pains`, its properties, and the requested values (`ASKED`).
        made: how the samples were generated, as recorded by the job: seed, temperature, …
        training: the training set that the samples were compared with; None without one.
        references: the reference sets that the samples were compared with.
        histograms: property -> distributions of the samples, the training set and the reference sets.
        ranges: property -> lowest and highest value of the central 99 % of the training molecules; empty without them.
    """

    name: str
    source: str
    figures: Mapping[str, float]
    samples: int
    valid: int
    distinct: int
    molecules: pd.DataFrame = field(repr=False)
    made: Mapping[str, Any] = field(default_factory=dict)
    training: Compared | None = None
    references: Mapping[str, Compared] = field(default_factory=dict)
    histograms: Mapping[str, Histogram] = field(default_factory=dict)
    ranges: Ranges = field(default_factory=dict)


def save_sets(results: Sequence[SetResult], folder: Path) -> Path:
    """Writes `samples.json`, `samples.csv` and a table of molecules for each set.

    Args:
        results: one for each set.
        folder: is created if it does not exist.

    Returns:
        The path of `samples.json`.
    """
    import pandas as pd

    folder.mkdir(parents=True, exist_ok=True)
    tables = _tables([result.name for result in results])
    for result, table in zip(results, tables, strict=True):
        with atomic_file(folder / table) as partial:
            result.molecules.to_csv(partial, index=False)
    lines = [
        {"set": result.name, "figure": name, "value": value, "samples": result.samples}
        for result in results
        for name, value in result.figures.items()
    ]
    file = folder / FILE
    with atomic_file(file) as partial:
        content = {"format": FORMAT, "sets": [_plain(*pair) for pair in zip(results, tables, strict=True)]}
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    with atomic_file(folder / CSV) as partial:
        pd.DataFrame(lines).to_csv(partial, index=False)
    return file


def load_sets(folder: Path) -> list[SetResult]:
    """Reads what `save_sets` wrote.

    Args:
        folder: folder of an evaluation.

    Returns:
        The results; none if the folder contains no `samples.json`.

    Raises:
        DataError: a file is damaged.
    """
    file = folder / FILE
    if not file.is_file():
        return []
    try:
        return [_from_plain(content, folder) for content in json.loads(file.read_text(encoding="utf-8"))["sets"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"not the result of an evaluation of samples: {error}", where=str(file)) from error


def figures_table(results: Sequence[SetResult]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a table: a row for every figure that any set has, a column for each set."""
    names = list(dict.fromkeys(name for result in results for name in result.figures))
    rows = [[name, *(_cell(result.figures.get(name, nan)) for result in results)] for name in names]
    return ["figure", *(result.name for result in results)], rows


def _cell(value: float) -> str:
    """Formats a value with four decimals, so that 9,998 of 10,000 is not shown as 1."""
    if isnan(value):
        return "–"
    return f"{value:.4f}" if abs(value) < 10 else short(value)


def _table(name: str) -> str:
    """Name of a set's table of molecules."""
    return f"molecules_{''.join(c if c.isalnum() or c in '-_' else '_' for c in name)}.csv"


def _tables(names: Sequence[str]) -> list[str]:
    """Names of the tables of several sets; equal names get numbers. Case is ignored, as in some file systems."""
    found: list[str] = []
    for name in names:
        table = Path(_table(name))
        numbered = (f"{table.stem}_{number}{table.suffix}" for number in count(2))
        taken = {other.casefold() for other in found}
        found.append(next(free for free in chain([str(table)], numbered) if free.casefold() not in taken))
    return found


def _plain(result: SetResult, table: str) -> dict[str, Any]:
    """The result for JSON, which has no NaN: null replaces it."""
    kept = {name: value for name, value in vars(result).items() if name != "molecules"} | {"table": table}
    kept["figures"] = {name: None if isnan(value) else value for name, value in result.figures.items()}
    kept["training"] = None if result.training is None else asdict(result.training)
    kept["references"] = {name: asdict(one) for name, one in result.references.items()}
    kept["histograms"] = {name: asdict(one) for name, one in result.histograms.items()}
    return kept


def _from_plain(content: Mapping[str, Any], folder: Path) -> SetResult:
    import pandas as pd

    rest = dict(content)
    table = rest.pop("table", _table(rest["name"]))
    rest["figures"] = {name: nan if value is None else value for name, value in rest["figures"].items()}
    rest["training"] = None if rest["training"] is None else Compared(**rest["training"])
    rest["references"] = {name: Compared(**one) for name, one in rest["references"].items()}
    rest["ranges"] = {name: (low, high) for name, (low, high) in rest.get("ranges", {}).items()}
    rest["histograms"] = {name: Histogram(**one) for name, one in rest["histograms"].items()}
    text = {"smiles": str, "canonical": str}
    missing = {name: [""] for name in pd.read_csv(folder / table, nrows=0) if name not in text}
    molecules = pd.read_csv(folder / table, keep_default_na=False, na_values=missing, dtype=text)
    return SetResult(**rest, molecules=molecules)
