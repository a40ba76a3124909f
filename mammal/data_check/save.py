"""Writes the files of a check: check.json, findings.csv and check.html."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal.data_check.page import check_page
from mammal.data_check.result import EXAMPLES
from mammal.errors import ConfigError
from mammal.files import finite
from mammal.overwriting import refuse_overwriting
from mammal.tasks.tables.atomic import atomic_file
from mammal.version import __version__

if TYPE_CHECKING:
    from mammal.data_check.findings import Finding
    from mammal.data_check.result import CheckResult

FILE, ROWS, PAGE = "check.json", "findings.csv", "check.html"


def check_output(folder: Path, data: Any = None) -> None:
    """Refuses a folder in which a check would replace its own data, or files that no check wrote.

    Args:
        folder: that is written into; it need not exist.
        data: what is checked; only a file can be replaced.

    Raises:
        ConfigError: names the file.
    """
    if isinstance(data, str | os.PathLike):
        refuse_overwriting({f"file of the check {name}": folder / name for name in (FILE, ROWS, PAGE)}, {"data": data})
    others = [name for name in (ROWS, PAGE) if (folder / name).exists() and not (folder / FILE).exists()]
    if others:
        what = "the file exists already, and was not written by a check"
        raise ConfigError(what, where=str(folder / others[0]), hint="choose another output; nothing was changed")


def save_check(found: CheckResult, folder: Path) -> Path:
    """Writes the files of a check into a folder, which is made if it does not exist, and returns that of check.json.

    Args:
        found: the check.
        folder: the folder.
    """
    check_output(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_file(folder / FILE) as partial:
        text = json.dumps(finite(as_json(found)), indent=2, ensure_ascii=False, default=lambda number: number.item())
        partial.write_text(f"{text}\n", encoding="utf-8")
    with atomic_file(folder / ROWS) as partial:
        found.flagged.to_csv(partial, index=False)
    with atomic_file(folder / PAGE) as partial:
        partial.write_text(check_page(found), encoding="utf-8")
    return folder / FILE


def as_json(found: CheckResult) -> dict[str, Any]:
    """Returns the content of check.json."""
    return {
        "task": found.task,
        "source": found.source,
        "mammal": __version__,
        "rows": found.rows,
        "parts": dict(found.parts),
        "split": found.split,
        "counts": found.counts,
        "seconds": round(found.seconds, 1),
        "not_checked": list(found.not_checked),
        "findings": [_finding(found, one) for one in found.findings],
    }


def _finding(found: CheckResult, one: Finding) -> dict[str, Any]:
    names = ("kind", "severity", "count", "column", "what", "meaning", "remedy")
    examples = list(found.records(one))[:EXAMPLES]
    kept = [{key: value for key, value in e.items() if key not in ("kind", "severity", "column")} for e in examples]
    return {**{name: getattr(one, name) for name in names}, "figures": dict(one.figures), "examples": kept}
