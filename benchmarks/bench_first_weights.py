"""What the shipped weights add: the same tasks from nothing, from mammal-tiny, and by baselines.

    python benchmarks/bench_first_weights.py output=runs/first_weights                hours on one core
    python benchmarks/bench_first_weights.py output=runs/first_weights task=esol,amp seeds=1,2,3   some of it

Three ways, in the same shape and for the same number of steps: from nothing; from mammal-tiny, all weights fine-tuned
from halved matrices at the same learning rate; and a probe on the frozen encoder, which takes no steps. The validation
rows choose between the last two; the test rows are read once. A run that is done already is not repeated.
`baselines=true` adds the best baseline on the validation rows, of all those that `mammal evaluate` compares.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

TASKS = (
    *("esol", "freesolv", "lipophilicity", "bace", "bbbp", "melting_point", "clintox"),
    *("amp", "psi_solubility", "secondary_structure", "paratope"),
    *("promoter", "nucleosome", "clinvar_snv"),
)
STEPS = 400
WAYS = {
    "nothing": ["optim=adamw", "optim.lr=1.0e-3"],
    "tuned": ["optim=adamw", "optim.lr=1.0e-3", "init=mammal-tiny", "adapt.shrink=0.5"],
    "probe": ["init=mammal-tiny", "adapt=probe"],
}
"""Way -> its words of the command line."""

ONLY_PROBED = ("classification", "regression")
"""Kinds of tasks that a probe can answer; heads of numbers start as a fitted probe when all weights are tuned."""


def run(task: str, way: str, seed: int, output: Path, steps: int) -> dict[str, Any] | None:
    """Trains one way unless that is done, and returns its figures; None if the task can't be trained in this way.

    Args:
        task: name of the task.
        way: one of `WAYS`.
        seed: of the training.
        output: folder of the runs.
        steps: number of optimiser steps.
    """
    from mammal.configuration.arguments import Arguments
    from mammal.configuration.compose import compose
    from mammal.tasks.declaration.registry import load_task
    from mammal.training.run import train

    kind = load_task(task).kind
    if way == "probe" and kind not in ONLY_PROBED:
        return None
    folder = output / f"{task}-{way}-{seed}"
    file = folder / "figures.json"
    if not file.is_file():
        words = [f"task={task}", f"output={folder}", f"seed={seed}", "trainer.accelerator=cpu", *WAYS[way]]
        if way != "probe":
            words += ["trainer.precision=bf16-mixed", f"trainer.max_steps={steps}", "trainer.max_epochs=-1"]
            words += [f"trainer.val_check_interval={max(steps // 8, 1)}", "trainer.check_val_every_n_epoch=null"]
            words += ["data.tokens_per_batch=2048", "data.valid_limit=400", "resume=auto"]
        if way == "nothing":
            words += shape_words()
        if way == "tuned" and kind == "regression":
            words += ["adapt.start=probe"]
        done = train(compose("train", Arguments(overrides=words)))
        (result,) = done.results
        name = next(iter(result.ours.estimates))
        one = result.ours.estimates[name]
        found = {"metric": name, "value": one.value, "low": one.low, "high": one.high}
        found |= {"valid": done.valid.get(f"valid/{task}/{name}", math.nan), "rows": result.rows}
        file.write_text(json.dumps(found))
    found_again: dict[str, Any] = json.loads(file.read_text())
    return found_again


def shape_words() -> list[str]:
    """Returns the words that give a new model the shape of mammal-tiny."""
    from mammal.bundle.locate import locate
    from mammal.files import read_json

    stored = read_json(locate("mammal-tiny").folder / "config.json")
    config = {**stored["t5_config"], **stored["mammal"]["model"]}
    keys = ("d_model", "d_ff", "d_kv", "num_heads", "num_layers", "num_decoder_layers", "dropout_rate")
    own = ("cross_attention_num_buckets", "position_slope_scale")
    return ["model=mini", *(f"model.{key}={config[key]}" for key in (*keys, *own))]


def best_baseline(task: str, output: Path) -> dict[str, Any]:
    """Returns the baseline that is best on the validation rows, with its test figure.

    Args:
        task: name of the task.
        output: folder of the runs; one from nothing is there.
    """
    import mammal

    file = output / f"{task}-baselines.json"
    if not file.is_file():
        folder = output / f"{task}-nothing-1"
        evaluation = mammal.evaluate(mammal.load(folder / "bundle"), task, baselines=True)
        (result,) = evaluation.results
        name = next(iter(result.ours.estimates))
        named = [one for one in result.contenders[1:] if one.valid is not None and not math.isnan(one.valid)]
        if not named:
            file.write_text(json.dumps({"name": "none", "value": math.nan, "low": math.nan, "high": math.nan}))
        else:
            best = (max if _higher(name) else min)(named, key=lambda one: one.valid)
            figure = best.estimates[name]
            found = {"name": best.name, "value": figure.value, "low": figure.low, "high": figure.high}
            file.write_text(json.dumps(found))
    again: dict[str, Any] = json.loads(file.read_text())
    return again


def _higher(metric: str) -> bool:
    from mammal.tasks.metrics.registry import METRICS

    return METRICS[metric].higher_is_better


def line(task: str, seeds: Sequence[int], output: Path, steps: int, baselines: bool) -> str:
    """Returns a line of the table: means over the seeds, and the interval over rows of the first one."""
    each = {way: [run(task, way, seed, output, steps) for seed in seeds] for way in WAYS if way != "probe"}
    each["probe"] = [run(task, "probe", seeds[0], output, steps)]  # it has no random part
    metric = next(one["metric"] for one in each["nothing"] if one)
    sign = 1 if _higher(metric) else -1
    mean = {way: _mean(found, "value") for way, found in each.items()}
    valid = {way: sign * _mean(found, "valid") for way, found in each.items() if way != "nothing"}
    known = {way: value for way, value in valid.items() if not math.isnan(value)}
    chosen = max(known, key=lambda way: known[way]) if known else "tuned"
    cells = [f"`{task}`", metric]
    for way in WAYS:
        first = each[way][0]
        shown = "–" if first is None else f"{mean[way]:.3g} ({first['low']:.3g} to {first['high']:.3g})"
        cells.append(f"**{shown}**" if way == chosen else shown)
    better = sign * (mean[chosen] - mean["nothing"]) > 0
    ours, nothing = each[chosen][0], each["nothing"][0]
    apart = ours and nothing and (ours["low"] > nothing["high"] or ours["high"] < nothing["low"])
    cells.append(("better, intervals apart" if apart else "better") if better else "not better")
    if baselines:
        best = best_baseline(task, output)
        cells.append(f"{best['name']}: {best['value']:.3g} ({best['low']:.3g} to {best['high']:.3g})")
    return f"| {' | '.join(cells)} |"


def _mean(found: Sequence[dict[str, Any] | None], key: str) -> float:
    values = [one[key] for one in found if one is not None]
    return float(np.mean(values)) if values else math.nan


def main(words: list[str]) -> None:
    """Prints the table.

    Args:
        words: `output=FOLDER`, and if wanted `task=NAME,NAME`, `seeds=1,2`, `steps=N` and `baselines=true`.
    """
    given = dict(word.split("=", 1) for word in words)
    output, steps = Path(given.get("output", "runs/first_weights")), int(given.get("steps", STEPS))
    seeds = [int(seed) for seed in given.get("seeds", "1").split(",")]
    baselines = given.get("baselines", "false") == "true"
    head = ["task", "metric", "from nothing", "fine-tuned", "probe", "with the weights chosen on valid"]
    head += ["best baseline on valid"] if baselines else []
    print(f"| {' | '.join(head)} |\n{'|---' * len(head)}|", flush=True)
    for task in given["task"].split(",") if "task" in given else TASKS:
        print(line(task, seeds, output, steps, baselines), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
