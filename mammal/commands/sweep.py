"""The jobs of a sweep: what each job does, the figure that it returns to a search, and its folder."""

from __future__ import annotations

import re
import sys
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal import console
from mammal.commands.sweep_table import DONE, FAILED, RECORD, JobRecord, figures_of, read_record
from mammal.configuration.arguments import Arguments, arguments_of, package_folder
from mammal.configuration.compose import compose, text_override
from mammal.errors import ConfigError, MammalError

if TYPE_CHECKING:
    from omegaconf import DictConfig

LOSS = "valid/loss"
ERROR = "error.txt"
"""File with the traceback, in the folder of a job that failed with an unexpected error."""


def begin_sweep(arguments: Arguments) -> tuple[Arguments, Path]:
    """Checks the configuration that all jobs of a sweep have in common, and prepares the folder of the sweep.

    Records of an earlier sweep in the folder are deleted, unless `resume=auto` is set.

    Args:
        arguments: parsed command line of the sweep. `output=` is the folder that contains the folders of the jobs.

    Returns:
        The words for Hydra, which include the folder, and the folder. The folder is determined only once because its
        default name contains the time.

    Raises:
        ConfigError: a key or value is wrong.
    """
    words = [re.sub(r"^output=", "hydra.sweep.dir=", word) for word in arguments.overrides]
    config = compose("train", replace(arguments, overrides=words, multirun=True), keep_hydra=True)
    for option in _swept_options(words, config):
        compose("train", replace(arguments, overrides=option, multirun=False))
    folder = Path(config.hydra.sweep.dir).absolute()
    if config.resume != "auto":
        for file in folder.glob(f"*/{RECORD}"):
            file.unlink()
    others = [word for word in words if not word.startswith("hydra.sweep.dir=")]
    return replace(
        arguments, overrides=[*others, text_override("hydra.sweep.dir", str(config.hydra.sweep.dir))]
    ), folder


def _swept_options(words: Sequence[str], config: DictConfig) -> Iterator[list[str]]:
    """Yields the words of one run for each option of a group that a sweep varies, to check them before the first job.

    Other values that the sweep varies are not checked. If one is wrong, only its job fails.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser

    params = [f"{key}={value}" for key, value in (config.hydra.sweeper.get("params") or {}).items()]
    parsed = OverridesParser.create().parse_overrides([*params, *words])
    swept = {one.key_or_group: one for one in parsed if one.is_sweep_override()}
    fixed = [word for word, one in zip(words, parsed[len(params) :], strict=True) if one.key_or_group not in swept]
    options = {
        key: list(one.sweep_string_iterator())
        for key, one in swept.items()
        if (package_folder() / key).is_dir() and one.is_discrete_sweep()
    }
    first = {key: values[0] for key, values in options.items()}
    for key, values in options.items():
        for value in values:
            yield [*fixed, *(f"{name}={chosen}" for name, chosen in (first | {key: value}).items()), "hydra.mode=RUN"]


def job_of_sweep(config: DictConfig) -> float | None:
    """Runs one job of a sweep and records the result in its folder.

    With `resume=auto`, a job that an earlier sweep in the same folder has finished is not run again.

    Args:
        config: configuration of the job.

    Returns:
        The figure that `monitor` names. None: there is none.

    Raises:
        ConfigError: with `resume=auto`, the folder contains a job with other settings.
        RuntimeError: the job failed, and the sweeper is a search, which needs to know this.
    """
    from hydra.core.hydra_config import HydraConfig

    from mammal.training.processes import is_first

    console.set_up_logging()
    hydra = HydraConfig.get()
    folder = Path(hydra.runtime.output_dir)
    record = JobRecord(int(hydra.job.num), list(hydra.overrides.task))
    former = read_record(folder) if config.resume == "auto" else None
    if former is not None:
        _check_same(former, record, folder)
        if former.status == DONE:
            console.note(f"{record}: done before")
            return former.objective
    first = is_first()
    if first:
        console.note(str(record))
        record.write(folder)
        (folder / ERROR).unlink(missing_ok=True)
    _speak_for_one_job(hydra, record, folder)
    begun = time.monotonic()
    try:
        record = _run(config, folder, record, arguments_of(hydra))
    except KeyboardInterrupt:
        how = f"repeat the command with output={hydra.sweep.dir} resume=auto to continue"
        raise KeyboardInterrupt(f"{record} has kept its last checkpoint; {how}") from None
    except Exception as error:
        record = _failed(record, error, folder)
    if first:
        replace(record, seconds=time.monotonic() - begun).write(folder)
    if record.status == FAILED and not hydra.sweeper._target_.endswith(".BasicSweeper"):
        raise RuntimeError(record.error)  # a type that every launcher can send between processes
    return record.objective


def _check_same(former: JobRecord, record: JobRecord, folder: Path) -> None:
    """Refuses to continue from a checkpoint with other settings: its figures would be listed under this job's."""
    before, now = (one.settings | {"resume": ""} for one in (former, record))
    if before != now:
        what = f"contains job {former.number} of another sweep ({' '.join(former.overrides)})"
        hint = "resume=auto needs the same command that began the sweep; for another one, choose another output"
        raise ConfigError(what, where=str(folder), hint=hint)


def _speak_for_one_job(hydra: Any, record: JobRecord, folder: Path) -> None:
    """Sets the command line to that of this job: Lightning repeats it to start further processes of the job."""
    from omegaconf import read_write

    sys.argv = [sys.argv[0], "train", *record.overrides, "hydra.mode=RUN"]
    with read_write(hydra):
        hydra.run.dir = str(folder)


def _failed(record: JobRecord, error: Exception, folder: Path) -> JobRecord:
    expected = isinstance(error, MammalError)
    if not expected:
        (folder / ERROR).write_text(traceback.format_exc(), encoding="utf-8")
    record = replace(record, status=FAILED, error=str(error) if expected else f"{error!r}, see {folder / ERROR}")
    console.note(f"{record} failed: {record.error}")
    return record


def _run(config: DictConfig, folder: Path, record: JobRecord, arguments: Arguments) -> JobRecord:
    """Trains. The keys are checked before, because the job may use config files that the sweep did not check."""
    from omegaconf import open_dict

    from mammal.training.run import train

    with open_dict(config):
        config.output = str(folder)
    from mammal.configuration.check import check_config

    check_config("train", config, arguments)
    figures, bounds = figures_of(train(config, arguments.config_dirs))
    return replace(record, status=DONE, figures=figures, bounds=bounds, objective=figures.get(config.monitor))


def direction(monitor: str) -> str:
    """Returns `minimize` or `maximize` (words of Optuna) for the figure that a search improves.

    Args:
        monitor: name of the figure: `valid/loss` or `valid/TASK/METRIC`.

    Raises:
        ConfigError: the name has another form.
        TaskError: there is no such metric.
    """
    from mammal.tasks.metrics.registry import metric_named

    if monitor == LOSS:
        return "minimize"
    part, _, rest = monitor.partition("/")
    metric = rest.split("/")[1:2]
    if part != "valid" or not metric:
        hint = f"{LOSS} or valid/TASK/METRIC; test rows must not influence what is chosen"
        raise ConfigError(f"a search can't use {monitor!r}", where="monitor", hint=hint)
    return "maximize" if metric_named(metric[0]).higher_is_better else "minimize"


def prepare_search() -> None:
    """Registers the resolver `${direction:MONITOR}` of `configs/sweep/optuna.yaml`, and silences a warning.

    OmegaConf accepts resolvers only in its global register. SQLAlchemy, which Optuna's sweeper imports, announces its
    version 2 in a Python warning.
    """
    from omegaconf import OmegaConf

    OmegaConf.register_new_resolver("direction", direction, replace=True)
    warnings.filterwarnings("ignore", message=".*Deprecated API features detected")
