"""How often intervals contain the true value, and what an ensemble changes: mammal-tiny, over random splits.

    python benchmarks/bench_coverage.py output=runs/coverage                           hours on one core
    python benchmarks/bench_coverage.py output=runs/coverage task=esol seeds=3         some of it
    python benchmarks/bench_coverage.py output=runs/coverage ensemble=5                ensembles of five members

Models are probes; `adapt=lora` (or head) compares fine-tuned ones.
Each seed splits the rows at random; `own` is the split of the task, of which there is one. Intervals of 90 % are
asked for: 88 to 92 % is the target of the mean over seeds. A run that is there already is not repeated.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

TASKS = ("esol", "freesolv", "lipophilicity", "b3db_logbb", "esol_solubility", "melting_point")
SEEDS, MEMBERS = 10, 1


def run(task: str, output: Path, split: str, seed: int, adapt: str, members: int) -> dict[str, Any]:
    """Trains a model unless that is done, and returns the evaluation of its test rows.

    Args:
        task: name of the task.
        output: folder of the runs.
        split: `random`, or `own`: that of the task.
        seed: of the split.
        adapt: method of adaptation, such as `probe`.
        members: number of members of an ensemble.
    """
    from mammal.configuration.arguments import Arguments
    from mammal.configuration.compose import compose
    from mammal.training.run import train

    folder = output / f"{task}-{split}-{seed}-{adapt}-{members}"
    file = folder / "evaluation" / "evaluation.json"
    if not file.is_file():
        words = [f"task={task}", "init=mammal-tiny", f"adapt={adapt}", f"output={folder}", "trainer.accelerator=cpu"]
        words += [f"adapt.ensemble={members}"]
        words += ["optim.lr=5.0e-4", "trainer.max_epochs=10", "adapt.start=probe"] if adapt != "probe" else []
        words += [] if split == "own" else ["task.data.split=random", f"task.data.split_seed={seed}"]
        train(compose("train", Arguments(overrides=words)))
    (found,) = json.loads(file.read_text())["tasks"]
    return found


def line(task: str, split: str, model: str, found: list[dict[str, Any]]) -> str:
    """Returns a line of the table: means over the seeds, and the range of the coverage."""
    figures = [next(iter(one["interval_figures"].values())) for one in found]
    coverage_N = np.array([one["coverage"] for one in figures])
    errors = [one["contenders"][0]["estimates"]["rmse"]["value"] for one in found]
    cells = [
        f"`{task}`",
        f"{split}, {len(found)}" if split == "random" else "of the task",
        model,
        f"{coverage_N.mean():.1%} ({coverage_N.min():.0%} to {coverage_N.max():.0%})",
        f"{np.mean([one['width'] for one in figures]):.3g}",
        f"{np.mean([one['miscalibration'] for one in figures]):.3f}",
        f"{np.mean([one['nll'] for one in figures]):.2f}",
        f"{np.mean(errors):.3g}",
    ]
    return "| " + " | ".join(cells) + " |\n"


def main(words: list[str]) -> int:
    given = dict(word.split("=", 1) for word in words)
    output, seeds = Path(given.get("output", "runs/coverage")), int(given.get("seeds", SEEDS))
    adapt, members = given.get("adapt", "probe"), int(given.get("ensemble", MEMBERS))
    write = sys.stdout.write
    head = ["task", "split, seeds", "model", "coverage of 90 % intervals (range)"]
    head += ["width", "miscalibration", "NLL", "RMSE"]
    write(f"| {' | '.join(head)} |\n")
    write("|---" * len(head) + "|\n")
    for task in given["task"].split(",") if "task" in given else TASKS:
        for split, numbers in (("random", range(1, seeds + 1)), ("own", (1,))):
            found = [run(task, output, split, seed, adapt, members) for seed in numbers]
            write(line(task, split, adapt if members == 1 else f"{members} × {adapt}", found))
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
