"""Train or fine-tune, evaluate on held-out rows, save a bundle.

mammal train task=bbbp                              one task, a new small model
mammal train mixture=demo trainer.max_time=00:04:30 several tasks in one model
mammal train task=bbbp init=FOLDER adapt=lora       fine-tune a bundle or a published checkpoint
mammal train task=esol init=FOLDER adapt=probe      a classical model on a frozen encoder, in seconds
mammal train -m task=bbbp,esol seed=1,2,3           a sweep: every combination, with one table at the end
mammal train sweep=moleculenet launcher=joblib      a sweep defined in a file, two jobs at a time
mammal train task=bbbp sweep=optuna                 a search for the best settings
mammal train task=bbbp debug=overfit                test: can the model memorise 32 rows?
mammal train output=runs/mine resume=auto …         continue a stopped run or sweep
mammal train task=bbbp --cfg                        print the whole configuration without running it
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from mammal import console
from mammal.configuration.arguments import Arguments, arguments_of, search_path
from mammal.configuration.compose import check_complete, compose, hydra_errors, parse_arguments
from mammal.configuration.own_tasks import own_tasks_first
from mammal.errors import ConfigError, JobError

if TYPE_CHECKING:
    from omegaconf import DictConfig


def run(argv: Sequence[str]) -> int:
    """Composes the configuration once to find mistakes early, then lets Hydra run the job or the jobs of a sweep.

    Args:
        argv: words after `mammal train`.

    Returns:
        The exit code.
    """
    from hydra.types import RunMode
    from omegaconf import OmegaConf, open_dict

    arguments = parse_arguments("train", argv, sweeps=True)
    if arguments.multirun and arguments.show:
        raise ConfigError("--cfg shows one run", where="mammal train", hint="leave out -m, one value for each key")
    sweeps = arguments.multirun
    if not arguments.multirun:
        config = compose("train", arguments, keep_hydra=True)
        with open_dict(config):
            sweeps = config.pop("hydra").mode == RunMode.MULTIRUN
        if arguments.show:
            console.out(OmegaConf.to_yaml(config).rstrip())
            return 0
        check_complete("train", config)
        if not sweeps:
            _check_folder(config, arguments)
    if sweeps:
        _sweep(arguments)
        return 0
    _run_once(arguments)
    return 0


def _check_folder(config: DictConfig, arguments: Arguments) -> None:
    """Checks the folder of the run before Hydra writes into it."""
    from mammal.training.build import task_configs
    from mammal.training.run_folder import check_run_folder

    if os.path.isdir(str(config.output)):  # noqa: PTH112 - most runs have a new folder
        check_run_folder(config, task_configs(config, arguments.config_dirs))


def _run_once(arguments: Arguments) -> None:
    """Runs once. An error is raised only after Hydra has ended, because Hydra would print additional lines about it."""
    failures: list[BaseException] = []

    def hold_failure(config: DictConfig) -> None:
        try:
            job(config)
        except (Exception, KeyboardInterrupt) as error:
            failures.append(error)

    with hydra_errors("train", arguments):
        _launch(arguments, hold_failure)
    if failures:
        raise failures[0]


def _sweep(arguments: Arguments) -> None:
    """Runs the jobs of a sweep, then prints the table. An error that ended the sweep is raised after the table."""
    from mammal.commands.sweep import begin_sweep, job_of_sweep, prepare_search
    from mammal.commands.sweep_table import summarise_sweep

    prepare_search()
    words, folder = begin_sweep(arguments)
    try:
        with hydra_errors("train", arguments):
            _launch(words, job_of_sweep)
    except KeyboardInterrupt:
        with suppress(JobError):
            summarise_sweep(folder)
        raise
    except Exception:
        summarise_sweep(folder)  # raises an error that names the failed jobs, if some failed
        raise
    summarise_sweep(folder)


def _launch(arguments: Arguments, task: Callable[[DictConfig], object]) -> None:
    """Calls `hydra.main`, which makes the folder of the run.

    Hydra reads its words from `sys.argv`. Only an environment variable makes it raise errors instead of printing them
    and exiting. Both are set during the call.
    """
    import hydra
    from hydra.core.global_hydra import GlobalHydra

    from mammal.tasks.declaration.schema import register_schema

    before = sys.argv

    @functools.wraps(task)
    def with_our_words(config: DictConfig) -> object:
        sys.argv = before  # Lightning starts further processes by repeating the command line
        return task(config)

    register_schema()
    GlobalHydra.instance().clear()
    multirun = ["--multirun"] if arguments.multirun else []
    sys.argv = ["mammal train", *arguments.overrides, *search_path(arguments), *multirun]
    try:
        with own_tasks_first(arguments), _in_environment("HYDRA_FULL_ERROR", "1"):
            hydra.main(version_base="1.3", config_path="pkg://mammal.configs", config_name="train")(with_our_words)()
    finally:
        sys.argv = before


@contextmanager
def _in_environment(name: str, value: str) -> Iterator[None]:
    """Sets an environment variable during a `with` block."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def job(config: DictConfig) -> float | None:
    """Runs training in the folder that Hydra has made.

    Args:
        config: configuration of the run.

    Returns:
        The best validation loss.
    """
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import open_dict

    from mammal.training.run import train

    console.set_up_logging()
    hydra = HydraConfig.get()
    with open_dict(config):
        config.output = hydra.runtime.output_dir
    return train(config, arguments_of(hydra).config_dirs).best_loss
