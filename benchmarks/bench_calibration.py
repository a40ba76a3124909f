"""What calibration changes in probabilities of classes: probes on mammal-tiny, on random splits and that of the task.

    python benchmarks/bench_calibration.py output=runs/calibration                         about 40 minutes on one core
    python benchmarks/bench_calibration.py output=runs/calibration task=bace,amp seeds=2   some of it
    python benchmarks/bench_calibration.py output=runs/calibration ensemble=5              ensembles of five members

Each model answers the test rows twice: with the calibration that was fitted on the validation rows, and without it.
The table has expected calibration error (ten bins of equally many rows), Brier score and log loss, means over the
seeds. A model that is trained already is not trained again. `adapt=head` (or lora) compares fine-tuned models.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

TASKS = ("bbbp", "bace", "clintox", "b3db", "amp", "enhancer")
SEEDS, SAME = 5, 5e-4
"""Number of random splits, and the difference of ECE below which two figures count as equal."""

METRICS = ("ece", "brier", "log_loss")


def trained(task: str, output: Path, split: str, seed: int, adapt: str, members: int) -> Path:
    """Returns the bundle of a trained model; trains it unless that is done.

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
    if not (folder / "bundle" / "metrics.json").is_file():
        words = [f"task={task}", "init=mammal-tiny", f"adapt={adapt}", f"output={folder}", "trainer.accelerator=cpu"]
        words += [f"adapt.ensemble={members}"] if members > 1 else []
        words += ["optim.lr=5.0e-4", "trainer.max_epochs=10"] if adapt != "probe" else []
        words += [] if split == "own" else ["task.data.split=random", f"task.data.split_seed={seed}"]
        train(compose("train", Arguments(overrides=words)))
    return folder / "bundle"


def before_and_after(bundle: Path, name: str) -> np.ndarray:
    """Returns the metrics and AUROC without and with calibration, float [2, M + 1], means over the target columns.

    Args:
        bundle: the trained model.
        name: its task.
    """
    import mammal
    from mammal.evaluation.evaluate_task import answers_of
    from mammal.evaluation.reliability import reliability
    from mammal.evaluation.task_data import load_task_data
    from mammal.tasks.metrics.registry import compute_metrics

    model = mammal.load(bundle)
    task = model.tasks[name]
    rows = load_task_data(task, {}).rows["test"]
    found = []
    for calibrated in (False, True):
        kept = task.calibrations
        task.calibrations = kept if calibrated else {}
        answers = task.answers(answers_of(model.model, task, rows), rows)
        task.calibrations = kept
        figures = [figure for one in answers.values() if (figure := reliability(one)) is not None]
        figure_M = [np.mean([getattr(figure, metric) for figure in figures]) for metric in METRICS]
        found.append([*figure_M, compute_metrics(["auroc"], answers)["auroc"]])
    return np.array(found)


def line(task: str, output: Path, split: str, seeds: int, adapt: str, members: int) -> str:
    """Returns a line of the table: means over the seeds."""
    numbers = range(1, seeds + 1) if split == "random" else (1,)
    runs = [before_and_after(trained(task, output, split, seed, adapt, members), task) for seed in numbers]
    before_M, after_M = np.mean(runs, axis=0)
    better = sum(run[1, 0] < run[0, 0] - SAME for run in runs)
    cells = [f"`{task}`", f"random, {seeds}" if split == "random" else "of the task"]
    cells += [f"{before:.3f} → {after:.3f}" for before, after in zip(before_M[:-1], after_M[:-1], strict=True)]
    return f"| {' | '.join(cells)} | {better} of {len(runs)} | {after_M[-1]:.3f} |"


def main(words: list[str]) -> None:
    """Prints the table.

    Args:
        words: `output=FOLDER`, and if wanted `task=NAME,NAME`, `seeds=N`, `adapt=METHOD` and `ensemble=N`.
    """
    given = dict(word.split("=", 1) for word in words)
    output, adapt = Path(given.get("output", "runs/calibration")), given.get("adapt", "probe")
    seeds, members = int(given.get("seeds", SEEDS)), int(given.get("ensemble", 1))
    print("| task | split, seeds | ECE | Brier score | log loss | ECE lower | AUROC |\n|---|---|---|---|---|---|---|")
    for task in given["task"].split(",") if "task" in given else TASKS:
        for split in ("random", "own"):
            print(line(task, output, split, seeds, adapt, members), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
