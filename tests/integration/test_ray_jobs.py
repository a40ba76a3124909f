"""Jobs with `engine=ray`: two actors of a Ray on this machine write the bytes of the local engine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from mammal.errors import JobError
from mammal.jobs import JobProgress, ray_engine, run_job, run_plan
from mammal.jobs.error_limit import TooManyErrorsError
from mammal.jobs.inputs import open_input
from mammal.jobs.model_job import model_plan
from mammal.jobs.names_job import names_job
from mammal.jobs.properties_job import properties_job
from mammal.jobs.ray_cluster import ActorPlan
from mammal.jobs.ray_engine import ByRay

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install 'mammal[ray]'"),
    pytest.mark.skipif(not Path("/proc/self").exists(), reason="finds processes in /proc"),
]

ROWS, SHARD = 240, 12
ACTORS = {"actors": 2, "cpus": 1}
MOLECULES = ["CCO", "c1ccccc1", "nonsense", "CCN(CC)CC", "CC(=O)O"]


@pytest.fixture(scope="module")
def bundle(small_bundle: Callable[..., Path]) -> Path:
    return small_bundle("bbbp")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lines = [f"{MOLECULES[i % 5]}{'C' * (i % 7)},{i}" for i in range(ROWS)]
    path = tmp_path_factory.mktemp("rows") / "library.csv"
    path.write_text("smiles,id\n" + "\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def straight(bundle: Path, table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of the local engine."""
    output = tmp_path_factory.mktemp("straight") / "out.csv"
    run_job("predict", bundle, table, output, task="bbbp", shard_rows=SHARD)
    return output


@pytest.fixture(scope="module")
def two_cores() -> Iterator[None]:
    """A Ray with two cores, which the jobs of this process use. It is ended after the last test."""
    import ray

    before = os.environ.get("RAY_USAGE_STATS_ENABLED")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init("local", num_cpus=2, include_dashboard=False, object_store_memory=100_000_000, logging_level="error")
    yield
    ray.shutdown()
    if before is None:
        del os.environ["RAY_USAGE_STATS_ENABLED"]


def predict(bundle: Path, table: Path, output: Path, **how: Any) -> Any:
    return run_job("predict", bundle, table, output, task="bbbp", shard_rows=SHARD, engine="ray", ray=ACTORS, **how)


def check_output(output: Path, straight: Path) -> None:
    for suffix in (".csv", ".errors.csv", ".csv.manifest.json"):
        assert output.with_suffix(suffix).read_bytes() == straight.with_suffix(suffix).read_bytes()
    assert not Path(f"{output}.parts").exists()


def actors_below(pid: int) -> list[int]:
    """The actors that are descendants of a process. Ray writes the name of the class into their command line."""
    parents, actors = {}, []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if b"ray::ShardActor" in (folder / "cmdline").read_bytes():
                actors.append(int(folder.name))
    return [actor for actor in actors if pid in ancestors(actor, parents)]


def ancestors(pid: int, parents: dict[int, int]) -> Iterator[int]:
    while pid := parents.get(pid, 0):
        yield pid


def shards_done(output: Path) -> int:
    return len(list(Path(f"{output}.parts").glob("[0-9]*.json")))


def test_no_cluster_at_the_address(bundle: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    def refuse(**_: object) -> None:  # what Ray raises; another Ray may run on this machine
        raise ConnectionError("Could not find any running Ray instance.")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(JobError, match=r"ray.address=auto: there is no Ray cluster: Could not find.*ray start --head"):
        run_job("predict", bundle, table, tmp_path / "out.csv", task="bbbp", engine="ray", ray={"address": "auto"})


@pytest.mark.usefixtures("two_cores")
def test_same_bytes_as_local_with_progress(bundle: Path, table: Path, straight: Path, tmp_path: Path) -> None:
    seen: list[JobProgress] = []
    report = predict(bundle, table, tmp_path / "out.csv", progress=seen.append)
    check_output(tmp_path / "out.csv", straight)
    refused = straight.with_suffix(".errors.csv").read_text().count("\n") - 1
    assert (report.rows, report.bad, report.resumed) == (ROWS, refused, 0)
    assert refused > 0
    assert [now.done for now in seen] == list(range(SHARD, ROWS + 1, SHARD))
    assert predict(bundle, table, tmp_path / "out.csv").resumed == ROWS


@pytest.mark.usefixtures("two_cores")
def test_generate_without_input_and_several_files(
    small_bundle: Callable[..., Path], table: Path, tmp_path: Path
) -> None:
    lines = table.read_text().splitlines(keepends=True)
    for name, part in (("a.csv", lines[:100]), ("b.csv", lines[:1] + lines[100:])):
        (tmp_path / name).write_text("".join(part))
    files = [tmp_path / "a.csv", tmp_path / "b.csv"]
    bundle = small_bundle("molecules")
    sampled = {"n": 6, "do_sample": True, "max_new_tokens": 8}
    for engine, how in (("local", {}), ("ray", {"ray": {"actors": 1, "cpus": 1}})):
        made: dict[str, Any] = {"engine": engine, **how}
        run_job("generate", bundle, None, tmp_path / f"{engine}.jsonl", options=sampled, shard_rows=2, **made)
        asked: dict[str, Any] = {"options": {"entity": "smiles"}, "columns": {"value": "smiles"}}
        run_job("embed", bundle, files, f"{tmp_path / engine}/", file_column="source", shard_rows=50, **asked, **made)
    assert (tmp_path / "ray.jsonl").read_bytes() == (tmp_path / "local.jsonl").read_bytes()
    names = sorted(path.name for path in (tmp_path / "local").iterdir())
    assert "part-00004.parquet" in names
    for name in names:
        assert (tmp_path / "ray" / name).read_bytes() == (tmp_path / "local" / name).read_bytes()


@pytest.mark.usefixtures("two_cores")
@pytest.mark.parametrize("form", ["csv", "sdf"])
def test_properties_have_the_bytes_of_the_local_engine(table: Path, tmp_path: Path, form: str) -> None:
    for engine, ray in (("local", None), ("ray", ACTORS)):
        report = properties_job(table, tmp_path / f"{engine}.{form}", shard_rows=50, engine=engine, ray=ray, workers=0)
        assert (report.rows, report.bad) == (ROWS, ROWS // 5)
    for end in (f".{form}", f".{form}.manifest.json", ".errors.csv" if form == "csv" else ".errors.tsv"):
        assert (tmp_path / f"ray{end}").read_bytes() == (tmp_path / f"local{end}").read_bytes()


@pytest.mark.usefixtures("two_cores")
@pytest.mark.skipif(find_spec("openclatura") is None, reason="openclatura is not installed")
def test_names_have_the_bytes_of_the_local_engine(table: Path, tmp_path: Path) -> None:
    few = tmp_path / "few.csv"
    few.write_text("".join(table.read_text().splitlines(keepends=True)[:13]))
    for engine, ray, workers in (("local", None, 0), ("ray", {"actors": 1, "cpus": 2}, None)):  # two processes
        how: dict[str, Any] = {"keep": "all", "shard_rows": 6, "engine": engine, "ray": ray, "workers": workers}
        assert names_job(few, tmp_path / f"{engine}.jsonl", **how).rows == 12
    assert (tmp_path / "ray.jsonl").read_bytes() == (tmp_path / "local.jsonl").read_bytes()


@pytest.mark.usefixtures("two_cores")
def test_a_killed_actor_is_replaced_and_its_shard_done_again(
    bundle: Path, table: Path, straight: Path, tmp_path: Path
) -> None:
    killed: list[int] = []

    def kill_one(now: JobProgress) -> None:
        if now.done >= 3 * SHARD and not killed:
            killed.append(actors_below(os.getpid())[0])
            os.kill(killed[0], signal.SIGKILL)

    predict(bundle, table, tmp_path / "out.csv", progress=kill_one)
    assert killed
    check_output(tmp_path / "out.csv", straight)


@pytest.mark.usefixtures("two_cores")
def test_a_process_that_dies_each_time_ends_the_job(
    bundle: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_engine, "TRIES", 2)
    plan = model_plan(given=open_input(table), verb="predict", source=bundle, output=tmp_path / "out.csv", settings={})
    with pytest.raises(JobError, match=r"an actor that opens the model died 2 times.*the same command continues"):
        run_plan(plan, answering=ByRay(partial(os._exit, 1), ActorPlan(1, 1, 0)))


@pytest.mark.usefixtures("two_cores")
def test_an_actor_with_another_bundle_is_refused(
    bundle: Path, small_bundle: Callable[..., Path], table: Path, tmp_path: Path
) -> None:
    how: dict[str, Any] = {"given": open_input(table), "verb": "predict", "output": tmp_path / "out.csv"}
    plan = model_plan(source=bundle, settings={}, **how)
    other = partial(model_plan, source=small_bundle("bbbp", d_ff=48), settings={"every_label": True}, **how)
    with pytest.raises(JobError, match=r"the bundle has another content; every_label was None, is True"):
        run_plan(plan, answering=ByRay(other, ActorPlan(1, 1, 0)))


@pytest.mark.usefixtures("two_cores")
def test_max_errors_ends_a_job_that_continues_later(bundle: Path, table: Path, straight: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.csv"
    with pytest.raises(TooManyErrorsError, match="max_errors is 3"):
        predict(bundle, table, output, max_errors=3)
    local = tmp_path / "local.csv"
    with pytest.raises(TooManyErrorsError):
        run_job("predict", bundle, table, local, task="bbbp", shard_rows=SHARD, max_errors=3)
    assert shards_done(output) == shards_done(local) > 0
    continued = run_job("predict", bundle, table, output, task="bbbp", shard_rows=SHARD)  # the other engine
    assert continued.resumed == SHARD * shards_done(local)
    check_output(output, straight)


def test_the_command_is_killed_terminated_and_continued(
    bundle: Path, table: Path, straight: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.csv"
    words = ["predict", f"bundle={bundle}", f"input={table}", f"output={output}", "task=bbbp", f"shard_rows={SHARD}"]
    command = [sys.executable, "-m", "mammal.cli", *words, "engine=ray", "ray.actors=2", "ray.cpus=1"]
    for number, code in ((signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 143)):
        before = shards_done(output)
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        while shards_done(output) <= before and process.poll() is None:
            time.sleep(0.01)
        actors = actors_below(process.pid)
        process.send_signal(number)
        assert process.wait(60) == code, process.stderr and process.stderr.read()
        assert actors
        wait_for_end(actors)
    assert 2 <= shards_done(output) < ROWS // SHARD
    assert subprocess.run([*command[:-3], "engine=local"]).returncode == 3  # either engine continues
    for suffix in (".csv", ".errors.csv"):
        assert output.with_suffix(suffix).read_bytes() == straight.with_suffix(suffix).read_bytes()


def wait_for_end(processes: list[int]) -> None:
    limit = time.monotonic() + 60
    while any(Path(f"/proc/{process}").exists() for process in processes):
        assert time.monotonic() < limit, "actors outlive their job"
        time.sleep(0.05)
