"""Runs a job on molecules: with processes of this machine, or with actors of Ray."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mammal.jobs.engine import Follow, JobReport, run_plan
from mammal.jobs.file_input import JobInput
from mammal.jobs.plan import JobPlan
from mammal.jobs.ray_settings import RaySettings
from mammal.jobs.structures import worker_count


class StructuresRun:
    """Runs jobs on molecules.

    Args:
        ray: settings of Ray. None: processes of this machine compute.
        workers: number of processes, with Ray of each actor. None: one per core. 0: only the current process, or the
            actor.
        resume: as for `mammal.jobs.run_plan`.
        progress: as for `mammal.jobs.run_plan`.

    Raises:
        ConfigError: `workers` is negative.
    """

    def __init__(self, ray: RaySettings | None, workers: int | None, resume: bool, progress: Follow | None):
        self._ray, self._workers = ray, workers
        self._count = worker_count(workers)
        self._how: dict[str, Any] = {"resume": resume, "progress": progress}

    def __call__(self, make: Callable[..., JobPlan], given: JobInput, options: Mapping[str, Any]) -> JobReport:
        """Runs a job.

        Args:
            make: function of a module that returns a plan, for the arguments `given`, `workers` and `options`.
            given: the input.
            options: the other arguments of `make`.
        """
        if self._ray is None:
            return run_plan(make(given=given, workers=self._count, **options), **self._how)
        from mammal.jobs.ray_structures import structures_by_ray

        with structures_by_ray(self._ray, make, given, {**options, "workers": self._workers}) as (plan, answering):
            return run_plan(plan, answering=answering, **self._how)
