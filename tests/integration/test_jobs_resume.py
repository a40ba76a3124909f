"""A job that is killed at various times and resumed writes the same bytes as an uninterrupted one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

ROWS, SHARD = 240, 12
JOB = """
import sys
import time
from mammal.jobs import run_job
from mammal.jobs.store import Store

write = Store.write

def slow(self, shard, *rest):  # gives the killer time, inside and between the files of a shard
    time.sleep(float(sys.argv[4]))
    write(self, shard, *rest)

Store.write = slow
run_job("predict", sys.argv[1], sys.argv[2], sys.argv[3], task="bbbp", shard_rows=12)
"""


@pytest.fixture(scope="module")
def bundle(small_bundle: Callable[..., Path]) -> Path:
    return small_bundle("bbbp")


def start(bundle: Path, table: Path, output: Path, pause: float) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-c", JOB, str(bundle), str(table), str(output), str(pause)]
    return subprocess.Popen(words, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE)


@pytest.mark.slow
def test_killed_and_started_again(bundle: Path, tmp_path: Path) -> None:
    table, output = tmp_path / "library.csv", tmp_path / "cut.parquet"
    molecules = ["CCO", "c1ccccc1", "nonsense", "CCN(CC)CC", "CC(=O)O"]
    lines = [f"{molecules[i % 5]},{i}" for i in range(ROWS)]
    table.write_text("smiles,id\n" + "\n".join(lines) + "\n")
    straight = tmp_path / "straight.parquet"
    assert start(bundle, table, straight, 0).wait(120) == 0

    for shards in (2, 5):
        job = start(bundle, table, output, 0.2)
        limit = time.monotonic() + 120
        while len(list(Path(f"{output}.parts").glob("[0-9]*.json"))) < shards:
            assert job.poll() is None and time.monotonic() < limit, job.stderr.read().decode() if job.stderr else ""
            time.sleep(0.01)
        job.send_signal(signal.SIGKILL)
        assert job.wait(60) == -signal.SIGKILL and not output.exists()

    assert start(bundle, table, output, 0).wait(120) == 0
    assert output.read_bytes() == straight.read_bytes()
    errors = [path.with_name(f"{path.stem}.errors.parquet").read_bytes() for path in (output, straight)]
    assert errors[0] == errors[1]
    left = {"parquet", "parquet.manifest.json", "errors.parquet"}
    expected = {table.name, *(f"{kind}.{rest}" for kind in ("cut", "straight") for rest in left)}
    assert {path.name for path in tmp_path.iterdir()} == expected
