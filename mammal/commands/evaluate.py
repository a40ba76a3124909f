"""Measure a bundle on held-out rows of its own split, beside cheap baselines trained on the same rows.

    mammal evaluate bundle=demo/bundle output=demo/evaluation
    mammal evaluate bundle=demo/bundle task=amp part=valid baselines=false
    mammal evaluate bundle=runs/reactions/bundle task=retrosynthesis rerank=forward_reaction
    mammal evaluate bundle=runs/cdr/bundle generation.fill_length=marked
    mammal evaluate runs=[runs/s0,runs/s1,runs/s2] seeds=3 output=runs/seeds
    mammal evaluate 'runs=runs/sweeps/bbbp/*' seeds=3
    mammal evaluate samples=samples.csv train=train.smi test=test.smi output=judged

The third and fourth put several runs of a task together: mean, standard deviation and t-interval over seeds. The last
judges generated molecules without a model (`mammal.evaluation.sample_files`).
Writes evaluation.json, .md and .csv and one table of answers per task; `mammal report` makes a page of them. Molecules
that a task generates are also judged as a set.
What the folder holds of other tasks and parts stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mammal import console
from mammal.configuration.compose import run_verb
from mammal.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from mammal.evaluation.results import TaskResult
    from mammal.inference.api import Mammal
    from mammal.inference.reranking import Judge

PARTS = ("test", "valid", "train")


def run(argv: Sequence[str]) -> int:
    return run_verb("evaluate", argv, _work)


def _work(config: DictConfig) -> int:
    from mammal.evaluation.evaluate_bundle import depth_of, held_out, open_model
    from mammal.evaluation.evaluate_task import evaluate_task
    from mammal.evaluation.generated import drawn_freely, judge_answers, with_earlier_sets
    from mammal.evaluation.results import earlier_results
    from mammal.evaluation.sample_files import print_sets
    from mammal.evaluation.set_results import load_sets, save_sets

    if config.part not in PARTS:
        raise ConfigError(f"there is no part {config.part!r}", where="part", hint=did_you_mean(config.part, PARTS))
    if sum(given is not None for given in (config.bundle, config.runs, config.samples)) != 1:
        hint = "bundle=FOLDER, runs=[A,B,C] or samples=FILE"
        raise ConfigError("one of bundle, runs and samples must be given", where="mammal evaluate", hint=hint)
    if config.samples is not None:
        return _judge_samples(config)
    if config.train is not None or config.test is not None:
        what = "train and test are files to hold samples against; a bundle is held against its own rows"
        raise ConfigError(what, where="mammal evaluate", hint="samples=FILE, or leave them out")
    if config.runs is not None:
        from mammal.evaluation.compare_runs import check_seeds_alone
        from mammal.evaluation.runs import evaluate_runs, run_folders

        folders = run_folders(config.runs)
        if config.same_config:
            check_seeds_alone(folders)
        output = Path(config.output or folders[0].parent / "seeds")
        earlier = earlier_results(output)
        return _finish(evaluate_runs(folders, config), earlier, output)
    model = open_model(config.bundle, config)
    names = [config.task] if config.task else list(model.tasks)
    if not names:
        raise ConfigError("this model comes without a task", where=str(config.bundle), hint="task=NAME")
    output = Path(config.output or default_output(config.bundle))
    earlier = earlier_results(output)
    depth = replace(depth_of(config), judge=_judge(model, names, config))
    results, sets = [], []
    for name in names:
        data = held_out(model, name, config)
        drawn = drawn_freely(model, data.task, config)
        results.append(evaluate_task(model.model, data, part=config.part, depth=depth, drawn=drawn))
        sets += judge_answers(results[-1], data, config, drawn)
    code = _finish(results, earlier, output)
    if sets:
        print_sets(sets)
        console.note(f"written: {save_sets(with_earlier_sets(sets, load_sets(output)), output)}")
    return code


def _judge_samples(config: DictConfig) -> int:
    """Files of molecules without a model: their figures, and a page that shows them."""
    from mammal.evaluation.sample_files import evaluate_samples
    from mammal.report.gather import report, write_report

    results, output = evaluate_samples(config)
    page = output / "report.html"
    write_report(report(output, title=" and ".join(one.name for one in results)), page)
    console.note(f"written: {page}")
    return 0


def _judge(model: Mammal, names: Sequence[str], config: DictConfig) -> Judge | None:
    """The task that puts answers in order, if one is asked for and reads those of a task that is evaluated."""
    from mammal.inference.reranking import judge_of

    judge = judge_of(model, config.rerank, config.rerank_bundle, config.rerank_weight)
    if judge is not None and not any(judge.fits(model.find_task(name)) for name in names):
        judge.check(model.find_task(names[0]))
    return judge


def default_output(bundle: str) -> Path:
    """`evaluation/` beside a bundle; in the working folder for one that lies in the package or in the hub's cache."""
    from mammal.bundle.locate import locate

    named_by_path = Path(bundle).expanduser().exists()
    return (locate(bundle).folder.parent if named_by_path else Path()) / "evaluation"


def _finish(results: Sequence[TaskResult], earlier: Sequence[TaskResult], output: Path) -> int:
    """The table to stdout; everything into the folder, beside what it held of other tasks and parts."""
    from mammal.evaluation.results import save_results, with_earlier
    from mammal.evaluation.tables import contenders_table, save_tables, title

    for result in results:
        console.out(title(result))
        header, rows = contenders_table(result)
        console.table(rows, header)
        console.out()
    new = {(result.task, result.part) for result in results}
    for result in earlier:
        done = "replaced" if (result.task, result.part) in new else "kept beside it"
        console.note(f"{done}: the earlier figures of {result.task} on {result.part}")
    every = with_earlier(results, earlier)
    save_tables(every, output)
    console.note(f"written: {save_results(every, output)}")
    return 0
