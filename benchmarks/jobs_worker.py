"""One side of `bench_jobs.py`, in its own process: a predict job, or the model alone. Prints one JSON object.

    python jobs_worker.py make   BUNDLE size              writes a bundle with random weights of configs/model/size.yaml
    python jobs_worker.py job    BUNDLE INPUT OUTPUT workers
    python jobs_worker.py model  BUNDLE INPUT             batches are encoded before the clock starts

Peak memory is the largest resident set of the process, without its workers.
"""

from __future__ import annotations

import json
import os
import sys
import time
from itertools import islice
from pathlib import Path
from typing import Any

TASK = "bbbp"
clock = time.process_time if os.environ.get("MAMMAL_BENCH_CLOCK") == "cpu" else time.perf_counter
"""Processor time of this process, or the wall clock. Jobs are timed from their first answers to the written output."""


def make(bundle: str, size: str) -> dict[str, Any]:
    import torch

    from mammal.bundle.folder import save_bundle
    from mammal.configuration.compose import compose, parse_arguments
    from mammal.configuration.plain import plain
    from mammal.model.config import ModelConfig
    from mammal.model.model import MammalModel
    from mammal.tasks import build_task, load_task
    from mammal.tokenization import Tokenizer

    torch.manual_seed(0)
    shape = plain(compose("train", parse_arguments("train", [f"task={TASK}", f"model={size}", "output=unused"])).model)
    tokenizer = Tokenizer.load(None)
    model = MammalModel(ModelConfig(tokenizer.vocab_rows, **shape))
    save_bundle(Path(bundle), model, tokenizer, [build_task(load_task(TASK), tokenizer)])
    return {}


def job(bundle: str, file: str, output: str, workers: str) -> dict[str, Any]:
    from mammal.jobs import run_job

    marks: list[tuple[int, float]] = []
    report = run_job(
        *("predict", bundle, file, output),
        task=TASK,
        workers=int(workers),
        resume=False,
        progress=lambda now: marks.append((now.done, clock())) if not marks else None,
    )
    (done, begun), peak = marks[0], peak_megabytes()
    return {"rows": report.rows - done, "seconds": clock() - begun, "megabytes": peak}


def model(bundle: str, file: str) -> dict[str, Any]:
    import mammal
    from mammal.rows.batched import TaskEncoder, walk
    from mammal.rows.run_model import evaluating
    from mammal.tasks.tables.readers import iter_tables

    loaded = mammal.load(bundle)
    task, network = loaded.find_task(TASK), loaded.model
    batches: list[Any] = []

    def keep(batch: Any) -> list[int]:
        batches.append(batch)
        return [0] * len(batch)

    for frame in iter_tables(Path(file), 10_000):
        walk(frame.to_dict("records"), TaskEncoder(task), keep, pace=loaded.pace)
    with evaluating(network):
        for batch in islice(batches, 3):
            network(batch)
        start = clock()
        for batch in batches:
            network(batch)
        seconds = clock() - start
    return {"rows": sum(len(batch) for batch in batches), "seconds": seconds, "megabytes": peak_megabytes()}


def peak_megabytes() -> float:
    """Returns the largest resident set of this process. `getrusage` would include that of the process that began it."""
    status = Path("/proc/self/status")
    if status.exists():
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(fields["VmHWM"].split()[0]) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 / (1024 if sys.platform == "darwin" else 1)


if __name__ == "__main__":
    what, *words = sys.argv[1:]
    print(json.dumps({"make": make, "job": job, "model": model}[what](*words)))
