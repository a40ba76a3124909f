"""`metrics.csv` over a run that was stopped and taken up again: one table, no step twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mammal.training.processes import is_first

METRICS = "metrics.csv"
EARLIER = "metrics.earlier.csv"


@contextmanager
def one_history(folder: Path, resumed_at: int | None) -> Iterator[None]:
    """Keep what earlier runs logged, which Lightning's CSV logger would delete, and join it with what this one logs.

    Args:
        folder: of the run.
        resumed_at: steps behind the checkpoint that is resumed; what was logged after it is dropped. None: a new run.
    """
    if not is_first():  # which alone logs; two that join the same files would count steps twice
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
    """Put the rows of `later` (of steps below `before`) after those of `earlier`."""
    import pandas as pd

    from mammal.tasks.tables.atomic import atomic_file

    parts = [pd.read_csv(file) for file in (earlier, later) if file.is_file() and file.stat().st_size]
    if not parts:
        return
    table = pd.concat(parts, ignore_index=True)
    with atomic_file(earlier) as unfinished:
        (table if before is None else table[table["step"] < before]).to_csv(unfinished, index=False)
