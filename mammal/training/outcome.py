"""Evaluates what a run has trained, and saves it as a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal import console
from mammal.files import finite

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from mammal.evaluation.results import TaskResult
    from mammal.evaluation.task_data import TaskData
    from mammal.model.model import MammalModel
    from mammal.tokenization.tokenizer import Tokenizer
    from mammal.training.record import Trained


def evaluate_tasks(
    model: MammalModel, data: Mapping[str, TaskData], *, test: bool, applicability: str = "off"
) -> tuple[list[TaskResult], dict[str, float]]:
    """Evaluates and calibrates each task on its validation rows, then evaluates it on its test rows.

    What is kept of the training rows is set first, so the calibration sees how near validation rows are to them.

    Args:
        model: the trained model.
        data: rows by task.
        test: whether test rows are evaluated.
        applicability: what is kept of the training rows (`mammal.training.applicability`).

    Returns:
        Results on the test rows, and the figures on the validation rows as `valid/TASK/METRIC`.
    """
    from mammal.evaluation.evaluate_task import answers_of, evaluate_task
    from mammal.training.applicability import keep_training_rows, report_stored_texts
    from mammal.training.module import READ_FAMILIES

    results, valid = [], {}
    for d in data.values():
        if applicability != "off" and d.task.family in READ_FAMILIES:
            keep_training_rows(model, d.task, d.rows["train"], applicability)
            report_stored_texts(d.task)
        if d.task.family in READ_FAMILIES and len(d.rows["valid"]):
            answers = answers_of(model, d.task, d.rows["valid"])
            if d.task.training_rows is not None:
                answers = d.task.training_rows.compare_with(answers)
            figures = d.task.metrics(answers, d.rows["valid"])
            valid.update({f"valid/{d.task.name}/{name}": value for name, value in figures.items()})
            d.task.calibrate(answers, d.rows["valid"])
        if test and len(d.rows["test"]):
            result = evaluate_task(model, d)
            results.append(result)
            estimates = ", ".join(f"{name} {estimate}" for name, estimate in result.ours.estimates.items())
            console.note(f"test {d.task.name}: {estimates}")
    return results, valid


def save_trained(
    output: Path,
    model: MammalModel,
    tokenizer: Tokenizer,
    data: Mapping[str, TaskData],
    results: list[TaskResult],
    config: DictConfig,
    trained: Trained | None = None,
) -> Path:
    """Writes the evaluation and the bundle of a run.

    Args:
        output: folder of the run.
        model: the trained model.
        tokenizer: its tokenizer.
        data: rows by task.
        results: results on the test rows.
        config: configuration of the run.
        trained: what the training was. None: probes were fitted.

    Returns:
        The folder of the bundle.

    Raises:
        BundleError: the bundle can't be written.
    """
    from mammal.bundle.card import TRAINING, Card
    from mammal.bundle.folder import save_bundle
    from mammal.evaluation.results import as_metrics, save_results
    from mammal.tasks.probes.task_probes import ALL
    from mammal.training import adapt
    from mammal.training.build import vector_widths
    from mammal.training.pretraining_rows import rows_to_save

    metrics_of = as_metrics(results)
    if results:
        save_results(results, output / "evaluation")
    card = Card(
        name=str(config.name),
        data={
            name: f"{d.task.config.about}. Licence: {d.task.config.licence or 'not stated'}" for name, d in data.items()
        },
        command=_command(),
    )
    for name, d in data.items():
        if d.task.probes is not None and d.task.probes.fitted_on == ALL:
            _mark_figures(metrics_of.get(name), sum(len(rows) for rows in d.rows.values()))
    splits = {name: {"test": _split_of(d)} for name, d in data.items() if len(d.rows["test"])}
    metrics = finite({**splits, **metrics_of, "seed": config.seed})
    if trained is not None:
        metrics[TRAINING] = trained.facts
    losses = None if trained is None else trained.losses
    folder, tasks = output / "bundle", [d.task for d in data.values()]
    model.keep_vector_heads(vector_widths({task.name: task for task in tasks}))  # others belong to the model at init
    adaptation = adapt.record(model, config, folder)
    delta = config.adapt.save == "adapters"
    how: dict[str, Any] = {"adaptation": adaptation, "delta": delta, "losses": losses}
    how["pretraining"] = rows_to_save(data, config)
    how["data"] = {name: _data_record(d) for name, d in data.items()}
    return save_bundle(folder, model, tokenizer, tasks, metrics, card, **how)


def _mark_figures(parts: dict[str, Any] | None, rows: int) -> None:
    """Says of which model the figures are, in a bundle whose model was fitted on all rows afterwards."""
    from mammal.bundle.heads import FITTED_ROWS

    for facts in (parts or {}).values():
        facts[FITTED_ROWS] = rows
        facts["measured"] = f"before the model was fitted on all {rows:,} rows, with the model of the training rows"


def _split_of(data: TaskData) -> dict[str, Any]:
    """Record of test rows that were not evaluated: it shows whether another run had the same test rows."""
    from mammal.evaluation.results import in_pretraining

    record = data.record
    facts = {"split": record.split.how, "split_hash": record.split.hash, "rows": len(data.rows["test"])}
    seen = data.pretraining.get("test")
    return facts | {"leaking_rows": record.leakage.get("test")} | in_pretraining(None if seen is None else seen.seen)


def _data_record(data: TaskData) -> dict[str, Any]:
    """Which rows a task was trained on, for the bundle: a copy of the same rows has the same hashes."""
    split = data.record.split
    rows = {part: len(rows) for part, rows in data.rows.items()}
    return {"rows": rows, "split": split.how, "split_hash": split.hash, "content": data.record.content}


def _command() -> str:
    """The command line of this run, as a shell reads it; empty for a run from Python."""
    from hydra.core.hydra_config import HydraConfig

    from mammal.configuration.arguments import arguments_of
    from mammal.configuration.compose import command_line

    return command_line("train", arguments_of(HydraConfig.get())) if HydraConfig.initialized() else ""
