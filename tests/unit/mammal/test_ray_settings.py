"""Settings of `engine=ray`, and how the cores and GPUs of a cluster are divided among actors. None needs Ray."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mammal.errors import ConfigError
from mammal.jobs import ray_settings, run_job
from mammal.jobs.ray_cluster import ActorPlan, Node, check_room, plan_actors, uses_gpu
from mammal.jobs.ray_settings import RaySettings, ray_settings_of


@pytest.mark.parametrize(
    ("engine", "given", "reason"),
    [
        ("rya", None, "there is no engine 'rya'.*did you mean ray"),
        ("ray", {"actor": 2}, "no setting ray.actor .*did you mean actors"),
        ("ray", {"actors": 0}, "ray.actors: must be a whole number of at least 1, not 0"),
        ("ray", {"cpus": 1.5}, "ray.cpus: must be a whole number"),
        ("ray", {"gpus": -1}, "ray.gpus: must be a number of at least 0"),
        ("ray", {"address": 6379}, "ray.address: must be a text"),
        ("ray", "auto", "ray: must be a section.*ray.address=auto"),
        ("local", {"actors": 2}, "settings of Ray need engine=ray"),
    ],
)
def test_wrong_settings(engine: str, given: Any, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        ray_settings_of(engine, given)


def test_local_engine_with_the_defaults_of_the_configuration() -> None:
    assert ray_settings_of("local", dict.fromkeys(("address", "actors", "gpus", "cpus"))) is None


def test_missing_package_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_settings, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"engine=ray: needs the package ray \(pip install 'mammal\[ray\]'\)"):
        run_job("predict", "nowhere", tmp_path / "in.csv", tmp_path / "out.csv", engine="ray")


@pytest.mark.parametrize(
    ("settings", "nodes", "on_gpu", "planned"),
    [
        ({}, [Node(8, 0)], False, ActorPlan(1, 8, 0)),  # all cores, as a local job
        ({}, [Node(8, 0), Node(6, 0)], False, ActorPlan(2, 6, 0)),
        ({"actors": 4}, [Node(8, 0)], False, ActorPlan(4, 2, 0)),
        ({"actors": 3}, [Node(8, 0), Node(8, 0)], False, ActorPlan(3, 4, 0)),
        ({"cpus": 2}, [Node(8, 0), Node(4, 0)], False, ActorPlan(6, 2, 0)),
        ({}, [Node(64, 8), Node(16, 0)], True, ActorPlan(8, 8, 1)),  # the second machine has no GPU
        ({}, [Node(96, 4)], True, ActorPlan(4, 9, 1)),
        ({"gpus": 0.5}, [Node(16, 2)], True, ActorPlan(4, 4, 0.5)),
        ({}, [Node(0, 0)], True, ActorPlan(1, 1, 1)),  # a cluster that grows
        ({"actors": 5}, [], True, ActorPlan(5, 1, 1)),
    ],
)
def test_actors_of_a_cluster(settings: dict[str, Any], nodes: list[Node], on_gpu: bool, planned: ActorPlan) -> None:
    assert plan_actors(RaySettings.parse(settings), nodes, on_gpu=on_gpu) == planned


@pytest.mark.parametrize(
    ("device", "settings", "nodes", "expected"),
    [
        ("auto", {}, [Node(8, 1)], True),
        ("auto", {}, [Node(8, 0)], False),
        ("auto", {"gpus": 1}, [Node(0, 0)], True),
        ("auto", {"gpus": 0}, [Node(8, 1)], False),
        ("cpu", {}, [Node(8, 1)], False),
        ("cuda", {}, [Node(0, 0)], True),
    ],
)
def test_device(device: str, settings: dict[str, Any], nodes: list[Node], expected: bool) -> None:
    assert uses_gpu(device, RaySettings.parse(settings), nodes) is expected


@pytest.mark.parametrize(("device", "settings"), [("cuda:1", {}), ("cpu", {"gpus": 1})])
def test_device_that_contradicts_ray(device: str, settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"Ray chooses the GPU|uses no GPU"):
        uses_gpu(device, RaySettings.parse(settings), [Node(8, 1)])


def test_an_actor_that_this_machine_has_no_room_for_is_refused() -> None:
    settings, nodes = RaySettings.parse({"cpus": 16}), [Node(2, 0)]
    plan = plan_actors(settings, nodes, on_gpu=False)
    with pytest.raises(ConfigError, match="an actor needs 16 cores and 0 GPUs, and this machine has 2 cores"):
        check_room(plan, settings, nodes)
    check_room(plan, RaySettings.parse({"cpus": 16, "address": "auto"}), nodes)  # a cluster can grow
