"""Keeps `metrics.csv` of a run that was stopped and resumed in one table, without repeated steps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mammal.training.processes import is_first

METRICS = "metrics.csv"
EARLIER = "metrics.earlier.csv"


@contextmanager
def one_history(folder: Path, resumed_at: int | None) -> Iterator[None]:
    """Joins the figures that earlier runs logged, which Lightning's CSV logger would delete, with those of this run.

    Args:
        folder: folder of the run.
        resumed_at: number of steps of the resumed checkpoint; figures of later steps are dropped. None: a new run.
    """
    if not is_first():  # only the first process logs; joining the files twice would repeat steps
        yield
        return
    earlier, now = folder / EARLIER, folder / METRICS
    if resumed_at is None:
        earlier.unlink(missing_ok=True)
    elif now.is_file():
        _join(earlier, now, resumed_at)
        now.unlink()
    try:
        yield
    finally:
        if earlier.is_file() and now.is_file():
            _join(earlier, now)
            earlier.replace(now)


def _join(earlier: Path, later: Path, before: int | None = None) -> None:
    """Appends the rows of `later` (only steps below `before`) to those of `earlier`."""
    import pandas as pd

    from mammal.tasks.tables.atomic import atomic_file

    parts = [pd.read_csv(file) for file in (earlier, later) if file.is_file() and file.stat().st_size]
    if not parts:
        return
    table = pd.concat(parts, ignore_index=True)
    with atomic_file(earlier) as unfinished:
        (table if before is None else table[table["step"] < before]).to_csv(unfinished, index=False)
