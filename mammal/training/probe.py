"""`adapt=probe`: fits classical models on the states of a frozen encoder, in place of training.

Shapes: N rows, F entries of a row's vector.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mammal import console
from mammal.errors import ConfigError, TaskError, TrainingError, did_you_mean
from mammal.rows.batched import Pace, Refused, TaskEncoder

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from mammal.evaluation.task_data import TaskData
    from mammal.model.model import MammalModel
    from mammal.tasks.batches.batch import Batch
    from mammal.tasks.probes.task_probes import TaskProbes
    from mammal.tasks.tables.cells import Row
    from mammal.tasks.task import Task

logger = logging.getLogger(__name__)

KINDS = ("auto", "linear", "svm", "gp", "landmarks")
MOST_MEMBERS = 50
AUTO = "auto"
AUTO_FEATURES = AUTO
"""Value of `adapt.features`: validation rows choose between none and all that fit the task."""

SITES = (AUTO, True, False)
ONE, BOTH = "one", "both"
STRANDS = (AUTO, ONE, BOTH)


def check_probe(config: DictConfig, tasks: Mapping[str, Task]) -> None:
    """Refuses, before data are loaded, a probe that can't work.

    Args:
        config: configuration of the run.
        tasks: tasks of the run, by name.

    Raises:
        ConfigError: there is no `init`, rows are packed, or a value of `adapt` is wrong.
        TaskError: a task predicts neither classes nor numbers, or `adapt.features`, `adapt.site` or `adapt.strands`
            does not fit it.
    """
    from mammal.tasks.probes.reader import RowReader
    from mammal.tasks.probes.task_probes import ALL, FITTED_ON

    section = config.adapt
    if not 1 <= section.ensemble <= MOST_MEMBERS:
        hint = "5 is usual; 1 is a single probe"
        raise ConfigError(f"must be 1 to {MOST_MEMBERS}, not {section.ensemble}", where="adapt.ensemble", hint=hint)
    if not config.init:
        what = "a probe of random weights would learn from noise"
        raise ConfigError(what, where="adapt=probe", hint="init=BUNDLE gives the encoder; adapt=full trains a new one")
    if section.probe not in KINDS:
        hint = did_you_mean(str(section.probe), KINDS, noun="probe")
        raise ConfigError(f"adapt.probe is {section.probe!r}", where="adapt=probe", hint=hint)
    if section.rows not in FITTED_ON:
        hint = did_you_mean(str(section.rows), FITTED_ON, noun="value")
        raise ConfigError(f"adapt.rows is {section.rows!r}", where="adapt=probe", hint=hint)
    _check_dna_settings(section, tasks)
    if section.rows == ALL and config.data.overfit:
        raise ConfigError("validates on the training rows", where="data.overfit", hint="adapt.rows=train")
    if config.data.packed:
        raise ConfigError("a probe reads rows, not packs", where="data.packed", hint="data.packed=null")
    for task in tasks.values():
        task.check_probes()
        if section.probe == "gp" and task.family == "classification":
            what = f"a Gaussian process predicts numbers, and {task.name} is a classification task"
            raise ConfigError(what, where="adapt.probe=gp", hint="adapt.probe=auto, linear or svm")
        for features in feature_sets(task, section.features):
            RowReader(task, features, site=section.site is True)


def _check_dna_settings(section: DictConfig, tasks: Mapping[str, Task]) -> None:
    from mammal.tasks.probes.site import dna_inputs

    if section.site not in SITES:
        what = f"adapt.site is {section.site!r}"
        raise ConfigError(what, where="adapt=probe", hint="auto, true or false")
    if section.strands not in STRANDS:
        hint = did_you_mean(str(section.strands), STRANDS, noun="value")
        raise ConfigError(f"adapt.strands is {section.strands!r}", where="adapt=probe", hint=hint)
    for task in tasks.values() if section.strands == BOTH else ():
        if not dna_inputs(task):
            read = ", ".join(task.identities) or "nothing"
            what = f"only DNA has another strand, and {task.name} reads none (it reads {read})"
            raise TaskError(what, where="adapt.strands", hint="adapt.strands=auto")


def feature_sets(task: Task, features: Sequence[str] | str, *, variants: bool = True) -> list[list[str]]:
    """Returns the sets of features with which probes are fitted and compared.

    Args:
        task: the task.
        features: `adapt.features`: names, or `auto`.
        variants: whether the DNA of every row has a variant in place.

    Raises:
        ConfigError: it is another text.
    """
    from mammal.tasks.probes.reader import DNA_FEATURES, MOLECULE_FEATURES
    from mammal.tasks.probes.site import dna_inputs

    if not isinstance(features, str):
        return [[str(name) for name in features]]
    if features != AUTO_FEATURES:
        hint = f"adapt.features=[{features}], or {AUTO_FEATURES}"
        raise ConfigError(f"is {features!r}, not a list", where="adapt.features", hint=hint)
    of_molecules = MOLECULE_FEATURES if any(column in task.molecules for column in task.identities) else ()
    of_dna = DNA_FEATURES if variants and dna_inputs(task) else ()
    every = [*of_molecules, *of_dna]
    return [[], every] if every else [[]]


def check_encoder(model: MammalModel, tasks: Mapping[str, Task]) -> None:
    """Refuses prompts with features that the model at `init` can't read: their projection would stay random.

    Args:
        model: the model at `init`.
        tasks: tasks of the run, by name.

    Raises:
        ConfigError: the model lacks the projection of a feature.
    """
    for task in tasks.values():
        for feature in task.features.values():
            if feature.name not in model.config.external_embeddings:
                what = f"the prompt of {task.name} has {feature.name}, which the model at init was not trained to read"
                hint = "take it out of the prompt; adapt.features=[descriptors,morgan] gives features to the probe"
                raise ConfigError(what, where="adapt=probe", hint=hint)


def fit_probes(model: MammalModel, data: Mapping[str, TaskData], config: DictConfig) -> None:
    """Fits the probes of every task of a run, and sets `Task.probes`. Only training rows are fitted on.

    Args:
        model: model with the frozen encoder; it is moved to the device of the run.
        data: rows by name of their task; the tasks are fitted.
        config: configuration of the run.

    Raises:
        TaskError: a column has too few labelled rows, or too many for the requested model; or no row has a variant in
            place, which the probe would read.
        TrainingError: no training row can be read.
    """
    from mammal.training.trainer import device_before_fit

    model.to(device_before_fit(config))
    section = config.adapt
    how: dict[str, Any] = {
        "kind": str(section.probe),
        "members": int(section.ensemble),
        "max_bytes": None if section.max_bytes is None else int(section.max_bytes),
    }
    for d in data.values():
        variants = _variants(d.task, d.rows["train"], section)
        site = variants if section.site == AUTO else bool(section.site)
        both = site if section.strands == AUTO else section.strands == BOTH
        sets = feature_sets(d.task, section.features, variants=variants)
        fitted = [_fitted(model, d, names, site=site, both_strands=both, **how) for names in sets]
        d.task.probes = max(fitted, key=lambda probes: probes.validation_score)  # the first one of equals
        _report(d.task, d.task.probes)


def _variants(task: Task, rows: Sequence[Row], section: DictConfig) -> bool:
    """Whether every training row shows a variant in place. It reports rows that don't, if some do.

    False, without a look at the rows, if the settings say that probes read no variant.
    """
    from mammal.tasks.probes.site import rows_with_variants

    if section.site is False and section.features != AUTO and "variant" not in section.features:
        return False
    found, written = rows_with_variants(task, rows)
    reader = "adapt.site" if section.site is True else "adapt.features"
    reads = section.site is True or (section.features != AUTO and "variant" in section.features)
    if reads and not found:
        what = f"no training row of {task.name} has a variant in place, such as ACGT[A/G]TTC"
        raise TaskError(what, where=reader, hint=f"leave {reader} out")
    if 0 < found < written:
        few = f"{task.name}: {written - found:,} of {written:,} training rows have no variant in place"
        unread = "the probe reads no site; adapt.site=true reads it and leaves these rows out"
        console.note(f"{few} and are left out" if reads else f"{few}: {unread}")
    return 0 < found == written


def _fitted(
    model: MammalModel, data: TaskData, features: Sequence[str], *, site: bool, both_strands: bool, **how: Any
) -> TaskProbes:
    """The probes of a task with a set of features."""
    from mammal.tasks.probes.task_probes import TaskProbes

    task = data.task
    probes = task.probes = TaskProbes(task, features, site=site)
    probes.reader.fit_features(data.rows["train"])
    found = [read_vectors(model, task, data.rows[part]) for part in ("train", "valid")]
    (train, train_NF), (valid, valid_NF) = found
    if not train:
        raise TrainingError("no training row can be read", where=f"task {task.name}")
    other_NF = read_other_strand(model, task, train, train_NF) if both_strands else None
    probes.fit(train_NF, valid_NF, task.probe_columns([*train, *valid]), other_NF=other_NF, **how)
    return probes


def _report(task: Task, probes: TaskProbes) -> None:
    for column, sentence in probes.summary().items():
        where = task.name if len(task.target_columns) == 1 else f"{task.name}, {column}"
        console.note(f"{where}: {sentence}")
        if len(task.target_columns) > 1:  # task.yaml of the bundle has all figures
            continue
        for title, figure in probes.choices[column].scores.items():
            logger.info("%s: %s: %s %.4g", where, title, probes.choices[column].metric, figure)


def read_vectors(model: MammalModel, task: Task, rows: Sequence[Row]) -> tuple[list[Row], np.ndarray]:
    """Returns the rows that can be read, and what the probes read of them, float32 [N, F].

    Args:
        model: model with the frozen encoder.
        task: the task, with probes.
        rows: the rows.
    """
    answers = _answers(model, task, rows)
    read = [(row, given) for row, given in zip(rows, answers, strict=True) if not isinstance(given, Refused)]
    return [row for row, _ in read], np.array([vector for _, vector in read], dtype=np.float32)


def read_other_strand(model: MammalModel, task: Task, rows: Sequence[Row], vectors_NF: np.ndarray) -> np.ndarray:
    """Returns what the probes read of rows on the other strand of their DNA, float32 [N, F].

    A row that can be read on one strand only, because truncation removes another end, keeps its vector.

    Args:
        model: model with the frozen encoder.
        task: the task, with probes.
        rows: the rows.
        vectors_NF: what the probes read of them on the strand as written.
    """
    with task.reading_other_strand():
        answers = _answers(model, task, rows)
    pairs = zip(answers, vectors_NF, strict=True)
    return np.array([as_written if isinstance(given, Refused) else given for given, as_written in pairs], np.float32)


def _answers(model: MammalModel, task: Task, rows: Sequence[Row]) -> list[np.ndarray | Refused]:
    """What the probes read of each row, float32 [F]."""
    from mammal.rows.run_model import run

    assert task.probes is not None, "the probes say what is read"
    vectors_of = task.probes.reader.vectors

    def answer(batch: Batch) -> Sequence[np.ndarray]:
        batch = batch.to(model.device)
        return list(vectors_of(model(batch), batch))

    return run(model, rows, TaskEncoder(task), answer, Pace.of_device(model.device.type), None)
