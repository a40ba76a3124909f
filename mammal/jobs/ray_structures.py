"""Jobs on molecules that Ray answers: the actors compute without a model, on CPUs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

from mammal.errors import ConfigError
from mammal.jobs.file_input import JobInput
from mammal.jobs.plan import JobPlan
from mammal.jobs.ray_cluster import check_room, joined, plan_actors
from mammal.jobs.ray_engine import ByRay
from mammal.jobs.ray_settings import RaySettings


@contextmanager
def structures_by_ray(
    settings: RaySettings, make: Callable[..., JobPlan], given: JobInput, options: Mapping[str, Any]
) -> Iterator[tuple[JobPlan, ByRay]]:
    """Joins the cluster, and returns the plan of a job with what answers it.

    Args:
        settings: settings of Ray.
        make: returns a plan, for the arguments `given`, `workers` and `options`. It must be a function of a module,
            because actors get it by name.
        given: the input.
        options: the other arguments of `make`. `workers`: processes of an actor. None: one for each core that it
            reserves.

    Yields:
        The plan, and the actors that answer it.

    Raises:
        ConfigError: the settings reserve GPUs, or this machine has too few cores.
        JobError: there is no such cluster.
    """
    if settings.gpus:
        raise ConfigError("molecules are computed on CPUs", where="ray.gpus", hint="leave it out")
    with joined(settings) as (nodes, stays):
        actors = plan_actors(settings, nodes, on_gpu=False)
        check_room(actors, settings, nodes)
        workers = options["workers"]
        if workers is None:
            workers = actors.cpus if actors.cpus > 1 else 0
        there = partial(make, given=given.without_files(), **{**options, "workers": workers})
        yield make(given=given, **{**options, "workers": 0}), ByRay(there, actors, keeps_ray=stays)
