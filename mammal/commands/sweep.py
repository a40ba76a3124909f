"""The jobs of a sweep: what each does, what it tells a sweeper that searches, and where they are put."""

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
from mammal.configuration.arguments import Arguments, arguments_of
from mammal.configuration.compose import compose, text_override
from mammal.configuration.sources import package_folder
from mammal.errors import ConfigError, MammalError

if TYPE_CHECKING:
    from omegaconf import DictConfig

LOSS = "valid/loss"
ERROR = "error.txt"
"""File in the folder of a job that ended by an error of ours, with the traceback."""


def begin_sweep(arguments: Arguments) -> tuple[Arguments, Path]:
    """Checks what the jobs of a sweep have in common, and makes its folder ready for them.

    Records that an earlier sweep left in the folder are taken away, but kept with `resume=auto`.

    Args:
        arguments: the command line of the sweep; `output=` is the folder over those of the jobs.

    Returns:
        The words for Hydra, with the folder among them (its name may hold the time, which must not be read twice), and
        the folder.

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
    """Words of one run for each option of each group that a sweep varies, for them to be checked before the first job.

    Other values that the sweep varies are left out: a job for which they are wrong fails alone.
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
    """One job, its fate recorded in its folder; returns the figure that `monitor` names.

    With `resume=auto` a job that an earlier sweep in the same folder finished is not run again.

    Raises:
        ConfigError: with `resume=auto`, what stands in its folder is of a job with other settings.
        RuntimeError: the job failed, and the sweeper is one that wants to know.
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
        how = f"repeat the command with output={hydra.sweep.dir} resume=auto to go on"
        raise KeyboardInterrupt(f"{record} has kept its last checkpoint; {how}") from None
    except Exception as error:
        record = _failed(record, error, folder)
    if first:
        replace(record, seconds=time.monotonic() - begun).write(folder)
    if record.status == FAILED and not hydra.sweeper._target_.endswith(".BasicSweeper"):
        raise RuntimeError(record.error)  # of a type that every launcher can carry between processes
    return record.objective


def _check_same(former: JobRecord, record: JobRecord, folder: Path) -> None:
    """Refuse to go on from a checkpoint of other settings: its figures would stand under the settings of this job."""
    before, now = (one.settings | {"resume": ""} for one in (former, record))
    if before != now:
        what = f"holds job {former.number} of another sweep ({' '.join(former.overrides)})"
        hint = "resume=auto needs the command that began the sweep; for another one, choose another output"
        raise ConfigError(what, where=str(folder), hint=hint)


def _speak_for_one_job(hydra: Any, record: JobRecord, folder: Path) -> None:
    """Let the command line be that of this job alone: Lightning starts further processes of a job by repeating it."""
    from omegaconf import read_write

    sys.argv = [sys.argv[0], "train", *record.overrides, "hydra.mode=RUN"]
    with read_write(hydra):
        hydra.run.dir = str(folder)


def _failed(record: JobRecord, error: Exception, folder: Path) -> JobRecord:
    told = isinstance(error, MammalError)
    if not told:
        (folder / ERROR).write_text(traceback.format_exc(), encoding="utf-8")
    record = replace(record, status=FAILED, error=str(error) if told else f"{error!r}, see {folder / ERROR}")
    console.note(f"{record} failed: {record.error}")
    return record


def _run(config: DictConfig, folder: Path, record: JobRecord, arguments: Arguments) -> JobRecord:
    """Trains; the keys of this job are checked first, because it may have chosen files that the sweep has not."""
    from omegaconf import open_dict

    from mammal.training.run import train

    with open_dict(config):
        config.output = str(folder)
    from mammal.configuration.check import check_config

    check_config("train", config, arguments)
    figures, bounds = figures_of(train(config, arguments.config_dirs))
    return replace(record, status=DONE, figures=figures, bounds=bounds, objective=figures.get(config.monitor))


def direction(monitor: str) -> str:
    """`minimize` or `maximize`, as Optuna spells it, for the figure that a search improves.

    Raises:
        ConfigError: it is neither `valid/loss` nor `valid/TASK/METRIC`.
        TaskError: there is no such metric.
    """
    from mammal.tasks.metrics.registry import metric_named

    if monitor == LOSS:
        return "minimize"
    part, _, rest = monitor.partition("/")
    metric = rest.split("/")[1:2]
    if part != "valid" or not metric:
        hint = f"{LOSS} or valid/TASK/METRIC; test rows must have no say in what is chosen"
        raise ConfigError(f"a search can't look at {monitor!r}", where="monitor", hint=hint)
    return "maximize" if metric_named(metric[0]).higher_is_better else "minimize"


def prepare_search() -> None:
    """Make `${direction:MONITOR}` of `configs/sweep/optuna.yaml` known, and SQLAlchemy silent about its version 2.

    OmegaConf keeps its resolvers in one register of the process and takes no others. SQLAlchemy, which Optuna's sweeper
    imports, announces its version 2 in a Python warning.
    """
    from omegaconf import OmegaConf

    OmegaConf.register_new_resolver("direction", direction, replace=True)
    warnings.filterwarnings("ignore", message=".*Deprecated API features detected")
