"""Makes one page with all results of a run: evaluation, learning curves, predictions, samples and its command."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mammal.bundle.locate import METRICS, WEIGHTS
from mammal.configuration.arguments import arguments_of
from mammal.configuration.compose import command_line
from mammal.errors import ConfigError, DataError
from mammal.evaluation import results, set_results
from mammal.report.curves import read_learning_curves, steps_taken
from mammal.report.explanations_section import check_examples, examples_section, explanations_section
from mammal.report.molecules import requested_captions
from mammal.report.page import Section, page
from mammal.report.runs_section import BUNDLE, EVALUATION, evaluation_folder, runs_section
from mammal.report.sections import (
    commands_section,
    overview,
    predictions_section,
    samples_section,
    training_section,
)
from mammal.report.set_section import set_section
from mammal.report.task_section import task_section
from mammal.tasks.molecules.properties import PROPERTIES
from mammal.tasks.tables.atomic import atomic_file
from mammal.version import __version__

if TYPE_CHECKING:
    import pandas as pd

    from mammal.evaluation.results import TaskResult

HYDRA = "config/hydra.yaml"
"""Where Hydra keeps the words, the config folders and the working folder of a run."""
PAGE_BEGINS = (b"<!doctype html", b"<html")
TEXT = "text"
"""Column with the sequences in a file of `mammal generate`; `TARGET_text` if a task has several targets."""


def report(
    run: Path,
    *,
    predictions: Sequence[Path] = (),
    samples: Path | None = None,
    explanations: Sequence[Path] = (),
    explain: int = 0,
    compare: Sequence[Path] = (),
    title: str = "MAMMAL",
) -> str:
    """Returns the page as HTML that needs no other files.

    Args:
        run: folder of a training run, of an evaluation, or of both.
        predictions: files that `mammal predict` wrote. The errors file of each is read, too.
        samples: file of SMILES that `mammal generate` wrote. Default: no section with samples.
        explanations: files that `mammal explain` wrote. The first rows of each are drawn.
        explain: number of evaluated rows of each task that the model in the folder `bundle` of the run explains, from
            the smallest to the largest error, at most 6. Default: 0, and the model is not opened.
        compare: folders of other evaluated runs of the same tasks. A section compares them with this run and with the
            best baseline.
        title: title of the page.

    Raises:
        DataError: a file is missing, or the folder contains nothing to show, or no model or evaluated rows to explain,
            or a run to compare has no evaluated rows in common with this one.
        ConfigError: `explain` is not between 0 and 6.
    """
    check_examples(explain)
    evaluated, generated = _evaluation(run), _sets(run)
    examples = [_examples(run, evaluated, explain)] if explain else []
    explained = [explanations_section(explanations)] if explanations else []
    judged = [overview(evaluated)] if evaluated else []
    judged += [runs_section([run, *compare])] if compare else []
    judged += map(task_section, evaluated)
    sections = [*judged, *examples, *generated, *_training(run)]
    if predictions:
        answered = {file.name: _answered(file) for file in predictions}
        set_aside = {file.name: errors for file in predictions if (errors := _errors(file)) is not None}
        sections.append(predictions_section(answered, set_aside))
    sections += explained
    if samples is not None:
        sections.append(_section_of_samples(samples))
    if not sections:
        raise DataError(
            "contains no results", where=str(run), hint="give the folder of `mammal train` or `mammal evaluate`"
        )
    sections += _commands(run)
    return page(title, _lead(run) if judged or not generated else _LEAD_OF_SETS, sections, _footer())


def write_report(html: str, file: Path) -> None:
    """Writes a page, completely or not at all.

    Args:
        html: the page.
        file: file to write. Its folder is made if it does not exist.

    Raises:
        ConfigError: the file exists and is not a page.
    """
    check_page(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(file) as unfinished:
        unfinished.write_text(html, encoding="utf-8")


def check_page(file: Path) -> None:
    """Refuses to write a page in place of a file that is not one.

    Raises:
        ConfigError: the path is such a file, or a folder.
    """
    if file.is_dir() or (file.exists() and not file.read_bytes()[:100].lstrip().lower().startswith(PAGE_BEGINS)):
        hint = "choose another output, such as report.html; nothing was changed"
        raise ConfigError("the file exists already, and is not an HTML page", where=str(file), hint=hint)


def _evaluation(run: Path) -> list[TaskResult]:
    folder = evaluation_folder(run)
    return [] if folder is None else results.load_results(folder)


def _examples(run: Path, evaluated: Sequence[TaskResult], count: int) -> Section:
    """Explanations of evaluated rows by the model of the run."""
    other = "explain=0; explanations=[FILE] shows a file of `mammal explain`"
    if not evaluated:
        hint = f"mammal evaluate bundle={run / BUNDLE} output={run / EVALUATION} chooses them; or {other}"
        raise DataError("contains no evaluated rows to explain", where=str(run), hint=hint)
    if not (run / BUNDLE).is_dir():
        raise DataError("contains no model to explain rows with", where=str(run / BUNDLE), hint=other)
    from mammal.inference.api import load

    return examples_section(evaluated, load(run / BUNDLE, dtype="float32"), count)


def _sets(run: Path) -> list[Section]:
    folder = next((f for f in (run / EVALUATION, run) if (f / set_results.FILE).is_file()), None)
    return [] if folder is None else [set_section(set_results.load_sets(folder))]


def _training(run: Path) -> list[Section]:
    curves = read_learning_curves(run)
    return [training_section(curves, _facts(run))] if curves else []


def _facts(run: Path) -> dict[str, str]:
    """Returns steps, size and seed of a training run, as far as they are in its folder."""
    facts = {"optimiser steps": f"{steps_taken(run):,}"}
    weights, figures = run / BUNDLE / WEIGHTS, run / BUNDLE / METRICS
    if weights.is_file():
        facts["weights"] = f"{weights.stat().st_size / 1e6:.1f} MB"
    if figures.is_file():
        facts["seed"] = str(json.loads(figures.read_text(encoding="utf-8")).get("seed", "not recorded"))
    return facts


def _section_of_samples(file: Path) -> Section:
    frame = _answered(file)
    columns = [TEXT] if TEXT in frame else [name for name in frame.columns if _is_generated(str(name), frame.columns)]
    if not columns:
        raise DataError(f"has no column {TEXT!r}", where=str(file), hint="give a file that `mammal generate` wrote")
    texts = frame[columns].fillna("").astype(str)
    smiles = [text for row in texts.itertuples(index=False) for text in row]
    how = f"{len(smiles)} strings as the model wrote them, without any selection."
    if len(columns) > 1:
        captions = [
            f"row {row}, {name.removesuffix(TEXT).strip('_')}" for row in range(1, len(frame) + 1) for name in columns
        ]
        return samples_section(smiles, how, captions)
    requested = [str(column) for column in frame.columns if column in PROPERTIES]
    return samples_section(smiles, how, requested_captions(frame[requested], smiles) if requested else None)


def _is_generated(name: str, columns: Iterable[object]) -> bool:
    """Whether a column has the text of one of several targets: text and its likelihood have the same beginning."""
    return name.endswith(f"_{TEXT}") and f"{name.removesuffix(TEXT)}score" in columns


def _commands(run: Path) -> list[Section]:
    """The command that made a run, as a shell reads it, with the folder in which it was run."""
    file = run / HYDRA
    if not file.is_file():
        return []
    from omegaconf import OmegaConf

    hydra = OmegaConf.load(file).hydra
    folder = str(hydra.runtime.cwd)
    return [commands_section([command_line("train", arguments_of(hydra), Path(folder))], folder)]


def _with_numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """Converts columns of numbers, which the reader returns as text. Cells without a value are allowed in them."""
    import pandas as pd

    for column in frame.columns:
        known = frame[column].notna() & (frame[column] != "")
        numbers = pd.to_numeric(frame[column], errors="coerce")
        if numbers.notna().sum() == known.sum() > 0:
            frame[column] = numbers
    return frame


def _answered(file: Path) -> pd.DataFrame:
    """The rows of a job that have an answer."""
    from mammal.jobs.outputs import answered_rows
    from mammal.tasks.tables.readers import read_table

    return _with_numbers(answered_rows(read_table(file), file).copy())


def _errors(file: Path) -> pd.DataFrame | None:
    from mammal.jobs.store import find_errors
    from mammal.tasks.tables.readers import read_table

    errors = find_errors(file)
    return None if errors is None else _with_numbers(read_table(errors))


_LEAD_OF_SETS = "Generated molecules compared with the training molecules and with the reference molecules."


def _lead(run: Path) -> str:
    return f"Folder {run.name or run}: figures on held-out rows, with simple baselines, and the answers of the model."


def _footer() -> str:
    import torch

    return f"mammal {__version__}, torch {torch.__version__}, Python {platform.python_version()}, {platform.machine()}"
