"""Jobs that are killed at random instants (the job itself, or one of its workers) and run again.

`benchmarks/soak_jobs.py` runs the same tests with more kills (`MAMMAL_SOAK_KILLS`).
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds processes in /proc"),
]

KILLS = int(os.environ.get("MAMMAL_SOAK_KILLS", "10"))
ROWS = 480
SERVER = """
import os, sys
from mammal.jobs import run_job
import mammal.inference.api, mammal.bundle.folder, mammal.jobs.warm_up, mammal.tasks.kinds.build, pyarrow.parquet

if __name__ == "__main__":
    for line in sys.stdin:
        bundle, table, output, workers = line.split()
        pid = os.fork()
        if not pid:
            try:
                run_job("predict", bundle, table, output, task="bbbp", shard_rows=12, workers=int(workers))
            except BaseException as error:
                sys.stderr.write(f"{type(error).__name__}: {error}\\n")
                sys.stderr.flush()
                os._exit(1)
            os._exit(0)
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""
"""A process that has imported everything, and runs each job in a copy of itself."""


class Server:
    def __init__(self, folder: Path) -> None:
        (folder / "server.py").write_text(SERVER)
        self.log = (folder / "log").open("w+")
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self.log, "text": True}
        self.process = subprocess.Popen([sys.executable, str(folder / "server.py")], env=environment, **pipes)

    def start(self, *words: object) -> int:
        assert self.process.stdin is not None and self.process.stdout is not None
        print(*words, file=self.process.stdin, flush=True)
        return int(self.process.stdout.readline())

    def wait(self) -> int:
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())

    def errors(self) -> str:
        self.log.seek(0)
        return self.log.read()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "server").mkdir()
    running = Server(tmp_path / "server")
    yield running
    running.process.kill()
    running.process.wait()


@pytest.fixture(scope="module")
def bundle(small_bundle: Callable[..., Path]) -> Path:
    return small_bundle("bbbp")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    molecules = ["CCO", "c1ccccc1", "nonsense", "CCN(CC)CC", "CC(=O)O"]
    lines = [f"{molecules[i % 5]}{'C' * (i % 7)},{i}" for i in range(ROWS)]
    (tmp_path / "library.csv").write_text("smiles,id\n" + "\n".join(lines) + "\n")
    return tmp_path / "library.csv"


def markers(output: Path) -> dict[str, tuple[int, int]]:
    """The finished shards, each with the identity of its marker."""
    found = {path.name: path.stat() for path in Path(f"{output}.parts").glob("[0-9]*.json")}
    return {name: (state.st_ino, state.st_mtime_ns) for name, state in found.items()}


def workers_of(pid: int) -> list[int]:
    """The processes that encode rows; multiprocessing starts another one, which tracks resources."""
    if not Path(f"/proc/{pid}").exists():
        return []
    children = [int(word) for path in Path(f"/proc/{pid}/task").glob("*/children") for word in path.read_text().split()]
    with suppress(FileNotFoundError, ProcessLookupError):
        return [child for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]
    return []


def check_output(output: Path, straight: Path) -> None:
    for suffix in (".csv", ".errors.csv"):
        assert output.with_suffix(suffix).read_bytes() == straight.with_suffix(suffix).read_bytes()
    assert not Path(f"{output}.parts").exists()


def test_killed_at_random_instants(server: Server, bundle: Path, table: Path, tmp_path: Path) -> None:
    straight, output = tmp_path / "straight.csv", tmp_path / "cut.csv"
    server.start(bundle, table, straight, 0)
    assert server.wait() == 0, server.errors()
    begun = time.monotonic()
    server.start(bundle, table, tmp_path / "timed.csv", 0)
    assert server.wait() == 0
    duration = time.monotonic() - begun
    random_state, killed = random.Random(0), 0
    while killed < KILLS:
        finished = markers(output)
        pid = server.start(bundle, table, output, 0)
        time.sleep(random_state.uniform(0, duration))
        with suppress(ProcessLookupError):  # it was faster this time
            os.kill(pid, signal.SIGKILL)
        code = server.wait()
        killed += code == -signal.SIGKILL
        now = markers(output)
        if not output.exists():
            assert finished.items() <= now.items(), "no finished shard is done again"
        elif not now:  # else it was killed while it removed the shards of the complete output
            check_output(output, straight)
            for path in tmp_path.glob("cut.*"):
                path.unlink()
    server.start(bundle, table, output, 0)
    assert server.wait() == 0, server.errors()
    check_output(output, straight)


def test_killed_workers_are_replaced_and_none_outlives_a_killed_job(
    server: Server, bundle: Path, table: Path, tmp_path: Path
) -> None:
    straight, output = tmp_path / "straight.csv", tmp_path / "cut.csv"
    server.start(bundle, table, straight, 0)
    assert server.wait() == 0, server.errors()
    random_state = random.Random(1)
    pid = server.start(bundle, table, output, 2)
    for _ in range(max(2, KILLS // 10)):
        if not (found := two_workers(pid)):
            break  # the job is done
        time.sleep(random_state.uniform(0, 2))
        with suppress(ProcessLookupError):
            os.kill(random_state.choice(found), signal.SIGKILL)
    assert server.wait() == 0, server.errors()
    check_output(output, straight)

    pid = server.start(bundle, table, tmp_path / "again.csv", 2)
    found = two_workers(pid)
    os.kill(pid, signal.SIGKILL)
    assert server.wait() == -signal.SIGKILL
    limit = time.monotonic() + 60
    while any(Path(f"/proc/{child}").exists() for child in found) and time.monotonic() < limit:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{child}").exists() for child in found)


def two_workers(pid: int) -> list[int]:
    """The workers of a job, when both are running; none if the job has ended."""
    limit = time.monotonic() + 60
    while len(found := workers_of(pid)) < 2 and Path(f"/proc/{pid}").exists() and time.monotonic() < limit:
        time.sleep(0.01)
    return found if len(found) == 2 else []
