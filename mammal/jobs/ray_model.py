"""Jobs of a model that Ray answers: this process describes the answers, and the actors compute them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from mammal.jobs.file_input import JobInput
from mammal.jobs.plan import JobPlan
from mammal.jobs.ray_cluster import check_room, joined, plan_actors, uses_gpu
from mammal.jobs.ray_engine import ByRay
from mammal.jobs.ray_settings import RaySettings
from mammal.rows.batched import Pace


@contextmanager
def answered_by_ray(
    settings: RaySettings, make: Callable[..., JobPlan], given: JobInput | None, options: Mapping[str, Any]
) -> Iterator[tuple[JobPlan, ByRay]]:
    """Joins the cluster, and returns the plan of a job with what answers it.

    This process opens the model, too, on its CPU, because columns and tasks depend on it.

    Args:
        settings: settings of Ray.
        make: returns a plan, for the arguments `given` and `options`. It must be a function of a module, because actors
            get it by name.
        given: the input. None: the job reads nothing.
        options: the other arguments of `make`, those of `mammal.jobs.model_job.model_plan`. Paths must be valid on all
            machines.

    Yields:
        The plan, and the actors that answer it.

    Raises:
        MammalError: there is no such cluster, it has too few resources, or the plan can't be made.
    """
    with joined(settings) as (nodes, stays):
        on_gpu = uses_gpu(options["device"], settings, nodes)
        actors = plan_actors(settings, nodes, on_gpu=on_gpu)
        check_room(actors, settings, nodes)
        device = "cuda" if on_gpu else "cpu"
        there = {**_found_everywhere(options), **_fixed(options, device, actors.cpus)}
        here = make(given=given, **{**options, **_fixed(options, device, 1), "device": "cpu", "workers": 0})
        plan = replace(here, options={**here.options, "device": device})
        rows = None if given is None else given.without_files()
        yield plan, ByRay(partial(make, given=rows, **there), actors, keeps_ray=stays)


def _fixed(options: Mapping[str, Any], device: str, cpus: int) -> dict[str, Any]:
    """The options that depend on the device, with a value on which all processes agree."""
    on_gpu = device == "cuda"
    dtype = ("bfloat16" if on_gpu else "float32") if options["dtype"] == "auto" else options["dtype"]
    tokens = Pace.of_device(device).tokens if options["batch_tokens"] is None else options["batch_tokens"]
    workers = (cpus - 1 if on_gpu else 0) if options["workers"] is None else options["workers"]
    return {"device": device, "dtype": dtype, "batch_tokens": tokens, "workers": workers}


def _found_everywhere(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options with absolute paths, because actors can have another working directory."""
    settings, task = options["settings"], options["task"]
    judge = {name: _absolute(settings[name]) for name in ("rerank_bundle",) if name in settings}
    is_file = str(task).endswith((".yaml", ".yml"))
    return {
        **options,
        "source": _absolute(options["source"]),
        "tokenizer": _absolute(options["tokenizer"]),
        "config_dirs": [_absolute(folder) for folder in options["config_dirs"]],
        "task": _absolute(task) if is_file else task,
        "settings": {**settings, **judge},
    }


def _absolute(place: Any) -> Any:
    """The absolute path of what exists here; other names, such as those of a hub, as they are."""
    if place is None or not Path(place).expanduser().exists():
        return place
    return str(Path(place).expanduser().absolute())
