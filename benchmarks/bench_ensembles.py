"""Memory and processor time of an ensemble of fine-tuned members compared with one model: mammal-tiny on ESOL.

    python benchmarks/bench_ensembles.py output=runs/ensembles        some minutes on one core

Each model answers in a process of its own, in one thread. Time is processor time of `predict` after a first call, the
median of several calls. Weights are those in memory, each counted once, with the copies that inference makes of them;
memory is what the process holds more after loading and answering than with its libraries and the data. The models are
trained for one epoch, because cost does not depend on it. A run that is there already is not repeated.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mammal.model.model import MammalModel

METHODS, MEMBERS, CALLS = ("lora", "head"), (1, 5), 5
"""Ways of training, numbers of members, and calls whose median is reported."""


def run(output: Path, method: str, members: int) -> Path:
    """Trains a model unless that is done, and returns the folder of its run.

    Args:
        output: folder of the runs.
        method: `lora` or `head`.
        members: number of members.
    """
    from mammal.configuration.arguments import Arguments
    from mammal.configuration.compose import compose
    from mammal.training.run import train

    folder = output / f"{method}-{members}"
    if not (folder / "evaluation" / "evaluation.json").is_file():
        words = ["task=esol", "init=mammal-tiny", f"adapt={method}", f"adapt.ensemble={members}", f"output={folder}"]
        words += ["trainer.max_epochs=1", "trainer.accelerator=cpu", "resume=auto"]
        train(compose("train", Arguments(overrides=words)))
    return folder


def measured(folder: Path) -> dict[str, float]:
    """Returns seconds of processor time and megabytes of memory of a model, measured in a new process.

    Args:
        folder: folder of the run.
    """
    command = [sys.executable, __file__, f"measure={folder}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(folder: Path) -> dict[str, float]:
    """Measures the model in this process."""
    import mammal
    from mammal.tasks import load_task
    from mammal.tasks.data import load_dataset
    from mammal.tasks.prompts.table_columns import with_task_columns

    mammal.load("mammal-tiny", device="cpu").embed(["CCO"], entity="smiles")
    task = load_task("esol")
    rows = with_task_columns(load_dataset(task.data), task)[["smiles"]]
    before = _resident()
    model = mammal.load(folder, device="cpu")
    model.predict(rows)
    seconds = []
    for _ in range(CALLS):
        begun = time.process_time()
        model.predict(rows)
        seconds.append(time.process_time() - begun)
    weights = _weights(model.model)
    return {"rows": len(rows), "seconds": median(seconds), "memory": _resident() - before, "weights": weights}


def _weights(model: MammalModel) -> float:
    """Weights in memory in MB, with the copies that inference made of them."""
    from mammal.model.products import Product

    found = {}
    for one in (model, *model.members):
        for weight in (*one.parameters(), *one.buffers()):
            found[weight.data_ptr()] = weight.nbytes
        for module in one.modules():
            copies = (value._copy for value in vars(module).values() if isinstance(value, Product))
            found |= {id(copy): copy.nbytes for copy in copies if copy is not None}
    return sum(found.values()) / 1e6


def _resident() -> float:
    """Memory of this process in MB."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1e3


def main(words: list[str]) -> int:
    given: dict[str, Any] = dict(word.split("=", 1) for word in words)
    if "measure" in given:
        sys.stdout.write(json.dumps(measure(Path(given["measure"]))) + "\n")
        return 0
    output = Path(given.get("output", "runs/ensembles"))
    for cells in (("`adapt=`", "members", "rows", "seconds", "weights, MB", "memory, MB", "bundle, MB"), ["---"] * 7):
        sys.stdout.write("| " + " | ".join(cells) + " |\n")
    for method in METHODS:
        for members in MEMBERS:
            folder = run(output, method, members)
            found = measured(folder)
            size = sum(file.stat().st_size for file in (folder / "bundle").rglob("*") if file.is_file()) / 1e6
            cells = [f"`{method}`", members, int(found["rows"]), f"{found['seconds']:.2f}"]
            cells += [f"{found['weights']:.1f}", f"{found['memory']:.0f}", f"{size:.1f}"]
            sys.stdout.write("| " + " | ".join(map(str, cells)) + " |\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
