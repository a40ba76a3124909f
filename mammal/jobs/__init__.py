"""Batch jobs: a file of any length in, a file out, every row accounted for.

    from mammal.jobs import run_job
    report = run_job("predict", "checkpoints/…", "library.parquet", "scores.parquet", task="bbbp")

Public names are imported when first used (PEP 562).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["JobProgress", "JobReport", "run_job"]

if TYPE_CHECKING:
    from mammal.jobs.engine import JobProgress, JobReport
    from mammal.jobs.run import run_job


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from mammal.jobs import engine, run

    return getattr(run if name == "run_job" else engine, name)
