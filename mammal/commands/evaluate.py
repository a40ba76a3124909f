"""Measure a bundle on held-out rows of its own split, beside cheap baselines trained on the same rows.

    mammal evaluate bundle=demo/bundle output=demo/evaluation
    mammal evaluate bundle=demo/bundle task=amp part=valid baselines=false

Writes evaluation.json and one table of answers per task; `mammal report` makes a page of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mammal import console
from mammal.commands.compose import run_verb
from mammal.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from mammal.inference import Mammal
    from mammal.report.results import TaskResult

PARTS = ("test", "valid", "train")


def run(argv: Sequence[str]) -> int:
    return run_verb("evaluate", argv, _work)


def _work(config: DictConfig) -> int:
    import mammal
    from mammal.locate import locate
    from mammal.report.results import save_results

    if config.part not in PARTS:
        raise ConfigError(f"there is no part {config.part!r}", where="part", hint=did_you_mean(config.part, PARTS))
    model = mammal.load(config.bundle, device=config.device, dtype=config.dtype, tokenizer=config.tokenizer)
    names = [config.task] if config.task else list(model.tasks)
    if not names:
        raise ConfigError("this model comes without a task", where=str(config.bundle), hint="task=NAME")
    results = []
    for name in names:
        results.append(_evaluate(model, name, config))
        _show(results[-1])
    output = Path(config.output) if config.output else locate(config.bundle).folder.parent / "evaluation"
    console.note(f"written: {save_results(results, output)}")
    return 0


def _evaluate(model: Mammal, name: str, config: DictConfig) -> TaskResult:
    from mammal.training.data import load_task_data
    from mammal.training.evaluation import evaluate_task

    paths = {"data": config.paths.data} if config.paths.data else None
    data = load_task_data(model.find_task(name), paths, {config.part: config.limit})
    return evaluate_task(model.model, data, part=config.part, compare=config.baselines, trees=config.trees)


def _show(result: TaskResult) -> None:
    """The table of contenders, to stdout."""
    unit = f" in {result.unit}" if result.unit else ""
    console.out(f"{result.task}{unit}: {result.rows[result.part]:,} {result.part} rows, split {result.split}")
    rows = [[c.name, *(str(c.estimates.get(metric, "")) for metric in result.metrics)] for c in result.contenders]
    console.table(rows, ["", *result.metrics])
    console.out()
