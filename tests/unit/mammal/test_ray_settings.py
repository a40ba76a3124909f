"""Settings of `engine=ray`, and how the cores and GPUs of a cluster are divided among actors. None needs Ray."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mammal.errors import ConfigError, JobError
from mammal.jobs import ray_address, ray_settings, ray_structures, run_job
from mammal.jobs.inputs import open_input
from mammal.jobs.names_job import names_job
from mammal.jobs.properties_job import properties_job, properties_plan
from mammal.jobs.ray_actor import ShardActor
from mammal.jobs.ray_address import check_address
from mammal.jobs.ray_cluster import ActorPlan, Joined, Node, _start, check_room, plan_actors, uses_gpu
from mammal.jobs.ray_settings import RaySettings, ray_settings_of
from mammal.jobs.ray_structures import structures_by_ray


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


# Molecules


@pytest.fixture
def two_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster of two machines, in place of Ray."""
    monkeypatch.setattr(ray_structures, "joined", lambda settings: nullcontext(Joined([Node(4, 0), Node(2, 1)], True)))


@pytest.mark.usefixtures("two_machines")
@pytest.mark.parametrize(("workers", "of_actor"), [(None, 2), (0, 0)])
def test_an_actor_computes_properties_as_this_process_would(tmp_path: Path, workers: int | None, of_actor: int) -> None:
    (tmp_path / "in.csv").write_text("smiles,id\nCCO,1\nC1CC,2\n")
    given = open_input(tmp_path / "in.csv")
    options = {"column": "smiles", "properties": ["rings"], "output": tmp_path / "out.csv", "workers": workers}
    options |= {"prefix": "", "shard_rows": 10, "keep_rows": None}
    with structures_by_ray(RaySettings(), properties_plan, given, options) as (plan, answering):
        assert answering._actors == ActorPlan(3, 2, 0)
        assert answering._make.keywords["workers"] == of_actor  # type: ignore[attr-defined]
        actor = ShardActor(partial(answering._make, workers=0), plan.manifest)  # type: ignore[call-arg]
        answers, counts = actor.answer(next(plan.given.shards(10)))
    assert answers[0] == [(0.0,)] and "C1CC" in answers[1].reason  # type: ignore[union-attr]
    assert (counts.ok, counts.bad) == (1, 1)


@pytest.mark.usefixtures("two_machines")
@pytest.mark.parametrize("job", [properties_job, names_job])
def test_jobs_on_molecules_refuse_gpus_and_settings_of_the_other_engine(
    job: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in.csv").write_text("smiles\nCCO\n")
    monkeypatch.setattr(ray_settings, "find_spec", lambda name: True)
    given = {"input": tmp_path / "in.csv", "output": tmp_path / "out.csv"}
    given |= {"keep": "unverified"} if job is names_job else {}
    with pytest.raises(ConfigError, match=r"ray\.gpus: molecules are computed on CPUs"):
        job(**given, engine="ray", ray={"gpus": 1})
    with pytest.raises(ConfigError, match="need engine=ray"):
        job(**given, ray={"actors": 2})
    with pytest.raises(ConfigError, match="no engine 'rya'"):
        job(**given, engine="rya")


# Addresses


@contextmanager
def server(answer: bytes | None) -> Iterator[str]:
    """Address of a server that sends these bytes to one client. None: it is silent."""
    with ExitStack() as held:
        listening = held.enter_context(socket.create_server(("127.0.0.1", 0)))

        def serve() -> None:
            connection = held.enter_context(listening.accept()[0])
            connection.recv(100)
            if answer is not None:
                connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listening.getsockname()[1]}"
        thread.join(5)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_an_address_without_a_server_is_refused_at_once(scheme: str) -> None:
    address, begun = f"{scheme}127.0.0.1:{free_port()}", time.monotonic()
    with pytest.raises(JobError, match=rf"ray.address={address}: there is no Ray cluster: 127.0.0.1 port \d+ can't"):
        _start(address)  # before Ray is imported
    assert time.monotonic() - begun < 2


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"-ERR unknown command"])
def test_another_kind_of_server_is_refused(answer: bytes) -> None:
    with server(answer) as address, pytest.raises(JobError, match=r"is not a server of Ray.*HOST:6379"):
        check_address(address)


def test_a_server_that_is_silent_is_refused_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_address, "TIMEOUT", 0.2)
    with server(None) as address, pytest.raises(JobError, match=r"does not answer within 0\.2 seconds"):
        check_address(address)


def test_a_name_that_is_looked_up_forever_is_refused_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    monkeypatch.setattr(ray_address, "TIMEOUT", 0.1)
    monkeypatch.setattr(ray_address, "_attempt", lambda place: ended.wait(10))
    with pytest.raises(JobError, match="head port 6379 does not answer"):
        check_address("head:6379")
    ended.set()


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("head:6379", ("head", 6379)),
        ("ray://head.example.org", ("head.example.org", 10001)),
        ("ray://10.0.0.1:10002/", ("10.0.0.1", 10002)),
        ("[::1]:6379", ("::1", 6379)),
    ],
)
def test_forms_of_addresses(address: str, place: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[Any] = []
    monkeypatch.setattr(ray_address, "_attempt", tried.append)
    check_address(address)
    monkeypatch.setenv("RAY_ADDRESS", address)
    check_address("auto")
    assert tried == [place, place]


@pytest.mark.parametrize("address", ["head..local:6379", f"{'x' * 64}:6379"])
def test_a_name_with_an_empty_or_long_part_is_refused_at_once(address: str) -> None:
    with pytest.raises(JobError, match="not the name of a machine"):
        check_address(address)


@pytest.mark.parametrize(
    "address", ["head", "head:", "head:0", "head:70000", "two words:6379", "ray://", "http://head:8265"]
)
def test_what_is_not_an_address(address: str) -> None:
    with pytest.raises(JobError, match=r"is not an address of Ray \(ray\.address=HOST:6379"):
        check_address(address)


def test_addresses_that_ray_looks_up_are_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(ray_address, "_attempt", lambda place: pytest.fail(f"{place} was tried"))
    for address in (None, "", "auto", "local", "anyscale://cluster"):
        check_address(address)


def test_a_server_of_ray_is_accepted() -> None:
    with server(bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])) as address:
        check_address(address)
