"""Joins a cluster of Ray, or starts Ray on this machine, and divides its resources among the actors of a job."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from mammal.errors import ConfigError, JobError
from mammal.jobs.ray_address import check_address
from mammal.jobs.ray_settings import RaySettings

MOST_CPUS = 9
"""Most cores that an actor on a GPU reserves by default: one, and eight for the processes that encode rows."""


class Node(NamedTuple):
    """A machine of a cluster.

    Attributes:
        cpus: cores that Ray may use.
        gpus: GPUs that Ray may use.
    """

    cpus: int
    gpus: int


class Joined(NamedTuple):
    """A cluster that this process has joined.

    Attributes:
        nodes: its machines.
        stays: whether this process had joined it before the job, and stays in it.
    """

    nodes: Sequence[Node]
    stays: bool


@dataclass(frozen=True)
class ActorPlan:
    """Actors of a job, and what Ray reserves for each of them.

    Attributes:
        actors: how many there are.
        cpus: cores of an actor.
        gpus: GPUs of an actor.
    """

    actors: int
    cpus: int
    gpus: float


@contextmanager
def joined(settings: RaySettings) -> Iterator[Joined]:
    """Joins a cluster, or starts Ray on this machine; leaves or ends it with the block.

    If this process has already called `ray.init`, that connection is used and stays.

    Args:
        settings: settings of the job.

    Yields:
        The cluster.

    Raises:
        JobError: there is no cluster at this address, or nothing answers there within a few seconds.
    """
    with _sigterm_kept():
        import ray

        given = ray.is_initialized()
        if not given:
            _start(settings.address)
    try:
        alive = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        nodes = [Node(int(each.get("CPU", 0)), int(each.get("GPU", 0))) for each in alive]
        yield Joined(nodes, stays=given)
    finally:
        if not given:
            ray.shutdown()


def _start(address: str | None) -> None:
    check_address(address)
    import ray

    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    local: dict[str, Any] = {"include_dashboard": False} if address is None else {}
    try:
        ray.init(address=address or "local", logging_level=logging.WARNING, **local)
    except (ConnectionError, TimeoutError, ValueError, RuntimeError) as error:  # the last: an unknown plug-in
        hint = "start one with ray start --head, or leave ray.address out to use this machine only; "
        hint += "a cluster with token authentication needs the same token here"
        what = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise JobError(f"there is no Ray cluster: {what}", where=f"ray.address={address}", hint=hint) from error


@contextmanager
def _sigterm_kept() -> Iterator[None]:
    """Restores the handler of SIGTERM, which Ray replaces when it is imported."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def uses_gpu(device: str, settings: RaySettings, nodes: Sequence[Node]) -> bool:
    """Returns whether the actors compute on GPUs.

    Args:
        device: `"auto"`, `"cpu"` or `"cuda"`.
        settings: settings of the job.
        nodes: the machines.

    Raises:
        ConfigError: the device has a number, or it contradicts `ray.gpus`.
    """
    if device == "auto":
        return any(node.gpus for node in nodes) if settings.gpus is None else settings.gpus > 0
    if device not in ("cpu", "cuda"):
        what = f"can't be {device!r} with engine=ray, because Ray chooses the GPU of each actor"
        raise ConfigError(what, where="device", hint="device=cuda, or auto")
    if device == "cpu" and settings.gpus:
        raise ConfigError("device=cpu uses no GPU", where="ray.gpus", hint="leave one of them out")
    return device == "cuda"


def plan_actors(settings: RaySettings, nodes: Sequence[Node], *, on_gpu: bool) -> ActorPlan:
    """Returns how many actors there are and what each of them reserves.

    On CPUs the default is one actor for each machine, which has all of its cores, as in a local job. On GPUs it is one
    actor for each GPU.

    Args:
        settings: settings of the job.
        nodes: the machines.
        on_gpu: whether actors compute on GPUs.
    """
    gpus = (1 if on_gpu else 0) if settings.gpus is None else settings.gpus
    fitting = [node for node in nodes if node.cpus >= (settings.cpus or 1) and node.gpus >= gpus]
    if not fitting:  # a cluster that grows
        return ActorPlan(settings.actors or 1, settings.cpus or 1, gpus)
    cpus = settings.cpus or min(_share(node, gpus, len(fitting), settings.actors) for node in fitting)
    room = sum(_room(node, cpus, gpus) for node in fitting)
    return ActorPlan(settings.actors or max(1, room), cpus, gpus)


def _share(node: Node, gpus: float, nodes: int, actors: int | None) -> int:
    """Cores for each actor of a machine."""
    if gpus:
        return max(1, min(MOST_CPUS, node.cpus // max(1, int(node.gpus / gpus))))
    return max(1, node.cpus // -(-(actors or nodes) // nodes))


def _room(node: Node, cpus: int, gpus: float) -> int:
    """How many actors a machine has room for."""
    return min(node.cpus // cpus, int(node.gpus / gpus)) if gpus else node.cpus // cpus


def check_room(plan: ActorPlan, settings: RaySettings, nodes: Sequence[Node]) -> None:
    """Refuses actors for which a Ray that this job has started can't have room, because they would wait forever.

    Args:
        plan: the actors.
        settings: settings of the job.
        nodes: the machines.

    Raises:
        ConfigError: this machine has too few cores or GPUs.
    """
    if settings.address is None and not any(_room(node, plan.cpus, plan.gpus) for node in nodes):
        has = ", ".join(f"{node.cpus} cores and {node.gpus} GPUs" for node in nodes)
        what = f"an actor needs {plan.cpus} cores and {plan.gpus:g} GPUs, and this machine has {has}"
        raise ConfigError(what, where="ray", hint="lower ray.cpus or ray.gpus, or join a cluster with ray.address")
