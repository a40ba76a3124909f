"""Evaluate a bundle on held-out rows of its own split, and compare it with baselines trained on the same rows.

    mammal evaluate bundle=demo/bundle output=demo/evaluation
    mammal evaluate bundle=demo/bundle task=amp part=valid baselines=false
    mammal evaluate bundle=demo/bundle task=[amp,bbbp]
    mammal evaluate bundle=runs/reactions/bundle task=retrosynthesis rerank=forward_reaction
    mammal evaluate bundle=runs/cdr/bundle generation.fill_length=marked
    mammal evaluate bundle=demo/bundle task=amp input=measured.csv
    mammal evaluate runs=[runs/s0,runs/s1,runs/s2] seeds=3 output=runs/seeds
    mammal evaluate 'runs=runs/sweeps/bbbp/*' seeds=3
    mammal evaluate samples=samples.csv train=train.smi test=test.smi output=judged

`input=` is a table of your own labelled rows. `runs=` combines several runs of a task: mean, standard deviation and
t-interval over seeds. `samples=` evaluates generated molecules without a model (`mammal.evaluation.sample_files`).
Writes evaluation.json, .md and .csv and one table of answers per task; `mammal report` makes an HTML page from them.
Molecules that a task generates are also evaluated as a set. Results of other tasks and parts that are already in the
folder are kept.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal import console
from mammal.configuration.compose import run_verb
from mammal.configuration.plain import plain
from mammal.errors import ConfigError, MammalError

if TYPE_CHECKING:
    from mammal.evaluation.api import Evaluation
    from mammal.evaluation.results import TaskResult
    from mammal.evaluation.set_results import SetResult
    from mammal.tasks.declaration.schema import TaskConfig

DEPTH = ("baselines", "trees", "seeds", "sensitivity", "neighbours", "draws", "seed")
"""Keys that decide what is done in addition to the evaluation of the model's answers."""

OF_BUNDLE = (
    *DEPTH,
    *("task", "encoding", "part", "limit", "generated", "generation", "rerank", "rerank_bundle", "rerank_weight"),
    *("reference_limit", "workers", "tokenizer", "device", "dtype", "paths"),
)
"""Keys that are arguments of `mammal.evaluate`."""

OF_SAMPLES = (
    *("train", "test", "column", "reference_column", "asked", "encoding", "limit", "reference_limit"),
    *("seed", "workers", "device"),
)
"""Keys that are arguments of `evaluate_samples`."""


def run(argv: Sequence[str]) -> int:
    return run_verb("evaluate", argv, lambda config, config_dirs: _work(plain(config), config_dirs))


def _work(options: Mapping[str, Any], config_dirs: Sequence[Path]) -> int:
    from mammal.bundle.heads import head_bundle
    from mammal.evaluation.evaluate_bundle import check_part

    check_part(options["part"])
    if options["task"] is not None and all(options[name] is None for name in ("bundle", "runs", "samples")):
        options = {**options, "bundle": head_bundle(None, options["task"], "evaluate")}
    if sum(options[name] is not None for name in ("bundle", "runs", "samples")) != 1:
        hint = "bundle=FOLDER, runs=[A,B,C] or samples=FILE"
        raise ConfigError("one of bundle, runs and samples must be given", where="mammal evaluate", hint=hint)
    if options["input"] is not None and options["bundle"] is None:
        what = "input is a table of labelled rows for a bundle, and no bundle is given"
        raise ConfigError(what, where="mammal evaluate", hint="bundle=FOLDER")
    if options["encoding"] is not None and options["input"] is None and options["samples"] is None:
        what = "encoding is that of input or of samples, and neither is given"
        raise ConfigError(what, where="mammal evaluate", hint="leave it out")
    if options["samples"] is not None:
        return _evaluate_samples(options)
    if options["train"] is not None or options["test"] is not None:
        what = "train and test are files that samples are compared with; a bundle is evaluated on its own rows"
        raise ConfigError(what, where="mammal evaluate", hint="samples=FILE, or leave them out")
    return (_bundle if options["runs"] is None else _runs)(options, config_dirs)


def _bundle(options: Mapping[str, Any], config_dirs: Sequence[Path]) -> int:
    """Evaluates the tasks of one bundle."""
    from mammal.evaluation.api import evaluate
    from mammal.evaluation.output_folder import check_output_folder
    from mammal.evaluation.results import earlier_results

    output = Path(options["output"] or default_output(options["bundle"]))
    own = {} if options["input"] is None else {"input": options["input"]}
    check_output_folder(output, {**own, **_data_files([options["bundle"]], options, config_dirs)})
    earlier = earlier_results(output)
    among = _among(options, OF_BUNDLE)
    found = evaluate(options["bundle"], data=options["input"], config_dirs=config_dirs, **among)
    _finish(found, earlier, output)
    if options["input"] is None and options["limit"] is None and not options["generation"]:
        _add_to_card(options["bundle"], found.figures)
    return 0


def _data_files(
    bundles: Sequence[str | Path], options: Mapping[str, Any], config_dirs: Sequence[Path]
) -> dict[str, Path]:
    """The user's files that the evaluated tasks read, by what they are."""
    from mammal.bundle.lazy_tasks import stored_configs
    from mammal.bundle.locate import TASKS, locate
    from mammal.evaluation.input_files import input_files
    from mammal.tasks.declaration.registry import load_task

    configs: dict[str, TaskConfig] = {}
    for bundle in bundles:
        with suppress(MammalError):  # opening the model reports it; a run need not have a bundle
            configs |= stored_configs(locate(bundle).folder / TASKS)
    for name in filter(None, _tasks(options)):
        if name not in configs:
            with suppress(MammalError):
                configs[f"of task={name}"] = load_task(name, config_dirs=config_dirs)
    return input_files(configs, options["paths"])


def _tasks(options: Mapping[str, Any]) -> list[str | None]:
    """The tasks of `task=`; one None if all are evaluated."""
    named = options["task"]
    return list(named) if isinstance(named, list) else [named]


def _add_to_card(bundle: str, figures: Mapping[str, Any]) -> None:
    """Figures on whole parts of the task's own split go into the card of a bundle that was named by its path."""
    from mammal.bundle.figures import add_figures
    from mammal.bundle.locate import CARD, CONFIG, locate, ships
    from mammal.files import finite, read_json

    folder = locate(bundle).folder
    own = Path(bundle).expanduser().exists() and not ships(folder) and "mammal" in read_json(folder / CONFIG)
    if own and os.access(folder, os.W_OK) and add_figures(folder, finite(figures)):
        console.note(f"figures added to: {folder / CARD}")


def _runs(options: Mapping[str, Any], config_dirs: Sequence[Path]) -> int:
    """Evaluates several runs of the same tasks and combines them."""
    from mammal.evaluation.api import Evaluation
    from mammal.evaluation.evaluate_bundle import EvaluatedRows
    from mammal.evaluation.evaluate_task import Depth
    from mammal.evaluation.output_folder import check_output_folder
    from mammal.evaluation.results import FILE, earlier_results
    from mammal.evaluation.runs import evaluate_runs, run_folders
    from mammal.inference.api import load

    folders = run_folders(options["runs"])
    output = Path(options["output"] or folders[0].parent / "seeds")
    theirs = {f"evaluation of {run}": file for run in folders for file in run.glob(f"**/{FILE}")}
    check_output_folder(output, {**theirs, **_data_files(folders, options, config_dirs)})
    earlier = earlier_results(output)
    copies = {"data": options["paths"]["data"]} if options["paths"]["data"] else None
    how: dict[str, Any] = {
        "same_config": options["same_config"],
        "rows": EvaluatedRows(paths=copies, **_among(options, ("part", "limit", "generation"))),
        "depth": Depth(**_among(options, DEPTH)),
        "open_model": partial(load, config_dirs=config_dirs, **_among(options, ("device", "dtype", "tokenizer"))),
    }
    results = [result for task in _tasks(options) for result in evaluate_runs(folders, task=task, **how)]
    _finish(Evaluation(results), earlier, output)
    return 0


def _evaluate_samples(options: Mapping[str, Any]) -> int:
    """Evaluates files of molecules without a model, and writes a page about them."""
    from mammal.evaluation.output_folder import check_output_folder
    from mammal.evaluation.sample_files import evaluate_samples
    from mammal.evaluation.set_results import save_sets
    from mammal.report.gather import report, write_report

    given = {"samples": options["samples"], "train": options["train"], "test": options["test"]}
    listed = {what: [one] if isinstance(one, str) else one or [] for what, one in given.items()}
    read = {f"file of {what} {file}": str(file) for what, files in listed.items() for file in files}
    first = next(iter(listed["samples"]), "")
    output = Path(options["output"] or Path(str(first)).parent / "judged")
    check_output_folder(output, read)
    cache = options["paths"]["cache"]
    results = evaluate_samples(options["samples"], cache=Path(cache) if cache else None, **_among(options, OF_SAMPLES))
    print_sets(results)
    console.note(f"written: {save_sets(results, output)}")
    page = output / "report.html"
    write_report(report(output, title=" and ".join(one.name for one in results)), page)
    console.note(f"written: {page}")
    return 0


def _among(options: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: options[name] for name in names}


def default_output(bundle: str) -> Path:
    """Returns the default folder of an evaluation.

    Args:
        bundle: path, name or hub id of the bundle.

    Returns:
        `evaluation/` in the folder that contains the bundle. In the working folder, if the bundle is in the package or
            in the cache of the hub.
    """
    from mammal.bundle.locate import locate

    named_by_path = Path(bundle).expanduser().exists()
    return (locate(bundle).folder.parent if named_by_path else Path()) / "evaluation"


def _finish(found: Evaluation, earlier: Sequence[TaskResult], output: Path) -> None:
    """Prints the figures and saves them. Earlier results of other tasks and parts in the folder are kept."""
    from mammal.evaluation.bar import verdict
    from mammal.evaluation.results import undefined_figures
    from mammal.evaluation.save import save_evaluation
    from mammal.evaluation.tables import contenders_table, result_title

    for result in found.results:
        console.out(result_title(result))
        header, rows = contenders_table(result)
        console.table(rows, header)
        for words in filter(None, (verdict(result), undefined_figures(result))):
            console.out(words)
        console.out()
    new = {(result.task, result.part) for result in found.results}
    for result in earlier:
        done = "replaced" if (result.task, result.part) in new else "kept"
        console.note(f"{done}: the earlier figures of {result.task} on {result.part}")
    saved = save_evaluation(found.results, found.sets, output)
    console.note(f"written: {saved.results}")
    if saved.sets is not None:
        print_sets(found.sets)
        console.note(f"written: {saved.sets}")


def print_sets(results: Sequence[SetResult]) -> None:
    """Prints the figures of all sets as one table, with a column for each set."""
    from mammal.evaluation.set_results import figures_table

    for result in results:
        valid, distinct = f"{result.valid:,} valid", f"{result.distinct:,} different"
        console.out(f"{result.name}: {result.samples:,} samples, {valid}, {distinct}")
    header, rows = figures_table(results)
    console.table(rows, header)
    console.out()
