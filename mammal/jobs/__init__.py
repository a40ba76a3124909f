"""Batch jobs: read a file of any length and write a file in which every row is accounted for.

    from mammal.jobs import run_job
    report = run_job("predict", "checkpoints/…", "library.parquet", "scores.parquet", task="bbbp")

`run_job` answers rows with a model. Every job, also one without a model, is a `JobPlan` that `run_plan` runs. Public
names are imported on first use (PEP 562).
"""

from typing import TYPE_CHECKING

from mammal.tokenization.lazy import lazy_names

_HOMES = {
    "JobPlan": "mammal.jobs.plan",
    "JobProgress": "mammal.jobs.engine",
    "JobReport": "mammal.jobs.engine",
    "run_job": "mammal.jobs.model_job",
    "run_plan": "mammal.jobs.engine",
}

__all__ = ["JobPlan", "JobProgress", "JobReport", "run_job", "run_plan"]

if TYPE_CHECKING:
    from mammal.jobs.engine import JobProgress, JobReport, run_plan
    from mammal.jobs.model_job import run_job
    from mammal.jobs.plan import JobPlan

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
