"""Errors of rows that are far from the training rows: probes on mammal-tiny, one for each task, on held-out rows.

    python benchmarks/bench_distance.py output=runs/distance                     about 15 minutes on one core
    python benchmarks/bench_distance.py output=runs/distance task=esol,bace      some tasks

Score (docs/trust.md): on 8 of 10 tasks, rows outside have larger errors than the others. Rows are trained and evaluated
by `mammal train`; this script reads the figures of the bundles. A task that is trained already is not trained again.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

TASKS = (
    *("esol", "freesolv", "lipophilicity", "bace", "bbbp", "clintox", "melting_point", "b3db"),
    *("amp", "enhancer"),
)

TENTHS = 10


def figures(task: str, output: Path) -> dict[str, dict[str, float]]:
    """Trains a probe unless that is done, and returns its groups of test rows by name.

    Args:
        task: name of the task.
        output: folder of the runs.
    """
    from mammal.configuration.arguments import Arguments
    from mammal.configuration.compose import compose
    from mammal.training.run import train

    folder = output / task
    if not (folder / "bundle" / "metrics.json").is_file():
        words = [f"task={task}", "init=mammal-tiny", "adapt=probe", f"output={folder}", "trainer.accelerator=cpu"]
        train(compose("train", Arguments(overrides=words)))
    measured = json.loads((folder / "bundle" / "metrics.json").read_text())[task]["test"]
    return {group["name"]: group for group in measured.get("distance", [])}


def ratio_interval(task: str, output: Path, samples: int = 2000) -> tuple[float, float]:
    """Returns the 95 % bootstrap interval over test rows of the ratio of errors, outside to the others.

    Args:
        task: name of the task, of one target column.
        output: folder of the runs.
        samples: number of bootstrap samples.
    """
    from mammal.evaluation.results import OURS, TRUTH, load_results
    from mammal.tasks.targets.labels import LabelSet

    (result,) = load_results(output / task / "evaluation")
    answers, labels = result.answers, LabelSet(list(result.labels))
    truth = answers[TRUTH] if result.kind == "regression" else [labels.index(v, TRUTH) for v in answers[TRUTH]]
    error_N = np.abs(answers[OURS].to_numpy(dtype=float) - np.array(truth, dtype=float))
    is_out_N, rng, ratios = answers["outside"].to_numpy() == 1, np.random.default_rng(0), []
    for _ in range(samples):
        picked = rng.integers(0, len(error_N), len(error_N))
        out_N = is_out_N[picked]
        if out_N.any():
            ratios.append(error_N[picked][out_N].mean() / error_N[picked][~out_N].mean())
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(low), float(high)


def line(task: str, groups: dict[str, dict[str, float]], output: Path) -> str:
    """Returns a line of the table.

    Args:
        task: name of the task.
        groups: result of `figures`.
        output: folder of the runs.
    """
    parts = [group for name, group in groups.items() if " of " in name]
    far, near, out, inside = parts[0], parts[-1], groups.get("outside"), groups.get("inside")
    ratio = "–"
    if out is not None and inside is not None:
        low, high = ratio_interval(task, output)
        ratio = f"{out['error'] / inside['error']:.2f} ({low:.2f} to {high:.2f})"
    cells = [
        task,
        f"{sum(group['rows'] for group in parts):,.0f}",
        "0" if out is None else f"{out['rows']:.0f}",
        "–" if out is None else f"{out['error']:.3f}",
        "–" if inside is None else f"{inside['error']:.3f}",
        ratio,
        f"{far['error']:.3f} ({far['low']:.2f} to {far['high']:.2f})",
        f"{near['error']:.3f} ({near['low']:.2f} to {near['high']:.2f})",
        "–" if "coverage" not in far else f"{far['coverage']:.0%}, {near['coverage']:.0%}",
    ]
    return f"| {' | '.join(cells)} |"


def parts_line(task: str, groups: dict[str, dict[str, float]]) -> str | None:
    """Returns a line with the error of each tenth of the rows; None if the rows are too few for tenths.

    Args:
        task: name of the task.
        groups: result of `figures`.
    """
    parts = [group for name, group in groups.items() if " of " in name]
    if len(parts) != TENTHS:
        return None
    mean = sum(part["error"] * part["rows"] for part in parts) / sum(part["rows"] for part in parts)
    shares = [f"{part['error'] / mean:.2f}" for part in parts]
    return f"| {' | '.join([task, f'{mean:.3g}', *shares])} |"


def main(words: list[str]) -> None:
    """Prints the tables.

    Args:
        words: `output=FOLDER` and, if wanted, `task=NAME,NAME`.
    """
    given = dict(word.split("=", 1) for word in words)
    output = Path(given.get("output", "runs/distance"))
    tasks = given["task"].split(",") if "task" in given else TASKS
    lines, by_parts = [], []
    for task in tasks:
        groups = figures(task, output)
        lines.append(line(task, groups, output))
        by_parts.append(parts_line(task, groups))
        print(lines[-1], flush=True)
    head = ["task", "test rows", "outside", "error outside", "error of the others", "ratio (95 %)"]
    head += ["error of the farthest part (similarity)", "error of the nearest part", "coverage of both"]
    print("\n".join([f"| {' | '.join(head)} |", "|---" * len(head) + "|", *lines]))
    head = ["task", "mean error", *(f"{number}" for number in range(1, TENTHS + 1))]
    print("error of each tenth of the rows divided by the mean, from the farthest to the nearest:\n")
    print("\n".join([f"| {' | '.join(head)} |", "|---" * len(head) + "|", *filter(None, by_parts)]))


if __name__ == "__main__":
    main(sys.argv[1:])
