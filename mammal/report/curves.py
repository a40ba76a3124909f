"""Reads learning curves from the file `metrics.csv` of a training run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mammal.report.sections import Curves

if TYPE_CHECKING:
    import pandas as pd

FILE = "metrics.csv"
SMOOTHING = 0.9
"""Weight of the past in the moving average of training losses, which vary strongly between batches."""


def read_learning_curves(run: Path) -> dict[str, Curves]:
    """Reads the learning curves of a run.

    Args:
        run: folder of the run.

    Returns:
        For each title of a figure, its series over optimiser steps. Empty if the run has no `metrics.csv`.
    """
    import pandas as pd

    file = run / FILE
    if not file.is_file():
        return {}
    logged = pd.read_csv(file)
    found = {
        "Training loss, moving average": _losses(logged, "train", smooth=True),
        "Validation loss": _losses(logged, "valid", smooth=False),
    }
    return {title: series for title, series in found.items() if series}


def steps_taken(run: Path) -> int:
    """Returns the number of optimiser steps of a run with a `metrics.csv`.

    Args:
        run: folder of the run.
    """
    import pandas as pd

    return int(pd.read_csv(run / FILE, usecols=["step"])["step"].max()) + 1


def _losses(logged: pd.DataFrame, stage: str, *, smooth: bool) -> Curves:
    """Returns the loss of each task, or of the run if it has only one task."""
    of_tasks = [c for c in logged.columns if c.startswith(f"{stage}/") and c.endswith("/loss") and c.count("/") == 2]
    columns = of_tasks or [c for c in logged.columns if c == f"{stage}/loss"]
    series = {}
    for column in columns:
        known = logged.loc[logged[column].notna(), ["step", column]]
        values = known[column].ewm(alpha=1 - SMOOTHING).mean() if smooth else known[column]
        if len(known):
            series[_task_of(column)] = (known["step"].tolist(), values.tolist())
    return series


def _task_of(column: str) -> str:
    parts = column.split("/")
    return parts[1] if len(parts) == 3 else "loss"
