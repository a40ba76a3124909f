"""The jobs of a sweep: what each does, what it tells a sweeper that searches, and where they are put."""

from __future__ import annotations

import os
import sys
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from hydra.experimental.callback import Callback

from mammal import console
from mammal.commands.sweep_table import DONE, FAILED, RECORD, JobRecord, figures_of, read_record
from mammal.configuration.arguments import Arguments
from mammal.errors import ConfigError, MammalError

if TYPE_CHECKING:
    from omegaconf import DictConfig

LOSS = "valid/loss"
ERROR = "error.txt"
"""File in the folder of a job that ended by an error of ours, with the traceback."""


class SweepFolder(Callback):
    """Notes the folder of a sweep when Hydra begins it; `configs/train.yaml` names it among Hydra's callbacks.

    Records that an earlier sweep left there are taken away, but kept with `resume=auto`.
    """

    path: ClassVar[Path | None] = None

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        SweepFolder.path = folder = Path(config.hydra.sweep.dir).absolute()
        if config.resume != "auto":
            for file in folder.glob(f"*/{RECORD}"):
                file.unlink()


def sweep_words(arguments: Arguments) -> Arguments:
    """The words of a sweep for Hydra, in which `output=` is the folder over those of the jobs."""
    words = [
        word.replace("output=", "hydra.sweep.dir=", 1) if word.startswith("output=") else word
        for word in arguments.overrides
    ]
    return replace(arguments, overrides=words)


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
        record = _run(config, folder, record)
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


def _run(config: DictConfig, folder: Path, record: JobRecord) -> JobRecord:
    from omegaconf import open_dict

    from mammal.training.run import train

    with open_dict(config):
        config.output = str(folder)
    figures, bounds = figures_of(train(config))
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
    """Make `${direction:MONITOR}` of `configs/sweep/optuna.yaml` known, and SQLAlchemy silent about its version 2."""
    from omegaconf import OmegaConf

    OmegaConf.register_new_resolver("direction", direction, replace=True)
    os.environ.setdefault("SQLALCHEMY_SILENCE_UBER_WARNING", "1")
