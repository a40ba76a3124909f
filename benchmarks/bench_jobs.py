"""Batch jobs: memory at two lengths of the input, and rows per second compared with the model alone.

    OMP_NUM_THREADS=1 python benchmarks/bench_jobs.py

Each measurement runs in its own process (`jobs_worker.py`) with random weights. The peak memory of a predict job with
`model=debug` must not depend on the number of rows. Rows per second are those of a job that reads, standardises and
encodes a csv file with one worker process and writes the answers, divided by those of the model alone on batches that
were encoded before. The model has OMP_NUM_THREADS threads on both sides; leave one core to the worker. Both sides run
alternately. On a busy machine, MAMMAL_BENCH_CLOCK=cpu counts the processor time of the process with the model on both
sides, which is the wall-clock time if the worker has a core of its own.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from common import Options, Row, at_most, progress, run_as_script, take_turns

WORKER = Path(__file__).with_name("jobs_worker.py")
LENGTHS, SMOKE_LENGTHS = (100_000, 1_000_000), (300, 600)
LENGTHS_VARIABLE = "MAMMAL_BENCH_JOB_ROWS"
GROWTH, MEGABYTES = 1.05, 1_000
ROWS = {"tiny": (0.95, 20_000), "small": (0.95, 2_000), "mini": (0.85, 40_000)}
"""Size of the model -> smallest share of the model's rows per second, and number of rows."""

PIECES = ("C", "CC", "O", "N", "C(=O)N", "c1ccc(cc1)", "C(F)(F)", "S(=O)(=O)", "C(C#N)", "[C@@H](C)", "c1ccncc1")
"""Parts of molecules that can follow each other in any order."""


def measure(chosen: Options) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        return [*memory(chosen, Path(folder)), *speed(chosen, Path(folder))]


def memory(chosen: Options, folder: Path) -> list[Row]:
    given = os.environ.get(LENGTHS_VARIABLE)
    lengths = SMOKE_LENGTHS if chosen.smoke else tuple(map(int, given.split(","))) if given else LENGTHS
    bundle = make(folder, "debug")
    peaks = []
    for rows in lengths:
        done = worker("job", bundle, molecules(folder, rows), folder / "out.csv", 0)
        progress(f"{rows:,} rows: {done['megabytes']:.0f} MB, {done['rows'] / done['seconds']:,.0f} rows/s")
        peaks.append(done["megabytes"])
    few, many = (f"{rows:,}" for rows in lengths)
    grown = at_most(peaks[1] / peaks[0], GROWTH, "×")
    return [
        Row(f"peak memory, {many} rows / {few} rows", **grown, ours=f"{peaks[1]:.0f} MB / {peaks[0]:.0f} MB"),
        Row(f"peak memory, {many} rows", **at_most(max(peaks), MEGABYTES, "MB")),
    ]


def speed(chosen: Options, folder: Path) -> list[Row]:
    rows = []
    for size, (target, count) in ROWS.items():
        bundle, file = (
            make(folder, "debug" if chosen.smoke else size),
            molecules(folder, 300 if chosen.smoke else count),
        )
        turns = take_turns(
            1 if chosen.smoke else chosen.rounds,
            {
                "model": lambda _, b=bundle, f=file: per_row(worker("model", b, f)),
                "job": lambda _, b=bundle, f=file: per_row(worker("job", b, f, folder / "out.csv", 1)),
            },
        )
        ratio = turns.ratio("model", "job")
        speeds = " / ".join(f"{1 / turns.median(side):,.0f}" for side in ("job", "model"))
        cells = {"measured": f"{ratio:.2f}×", "target": f"≥ {target:.2f}×", "met": ratio >= target}
        rows.append(Row(f"rows/s of a job / the model alone, `{size}`", **cells, ours=f"{speeds} rows/s"))
    return rows


def per_row(done: dict[str, Any]) -> float:
    return done["seconds"] / done["rows"]


def make(folder: Path, size: str) -> Path:
    bundle = folder / size
    if not bundle.exists():
        worker("make", bundle, size)
    return bundle


def molecules(folder: Path, rows: int) -> Path:
    """Writes a csv file of different molecules. One row in fifty can't be read."""
    file = folder / f"{rows}.csv"
    if file.exists():
        return file
    draw = random.Random(0)
    with file.open("w") as lines:
        lines.write("id,smiles\n")
        for i in range(rows):
            smiles = "C1CC" if i % 50 == 7 else "".join(draw.choices(PIECES, k=draw.randint(4, 14)))
            lines.write(f"{i},{smiles}\n")
    return file


def worker(*words: object) -> dict[str, Any]:
    command = [sys.executable, str(WORKER), *map(str, words)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    run_as_script(__doc__, measure)
