"""Batch jobs: a file of any length in, a file out, every row accounted for.

    from mammal.jobs import run_job
    report = run_job("predict", "checkpoints/…", "library.parquet", "scores.parquet", task="bbbp")

Public names are imported when first used (PEP 562).
"""

from typing import TYPE_CHECKING

from mammal.tokenization.lazy import lazy_names

_HOMES = {
    "JobProgress": "mammal.jobs.engine",
    "JobReport": "mammal.jobs.engine",
    "run_job": "mammal.jobs.model_job",
}

__all__ = ["JobProgress", "JobReport", "run_job"]

if TYPE_CHECKING:
    from mammal.jobs.engine import JobProgress, JobReport
    from mammal.jobs.model_job import run_job

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
