"""Train or fine-tune, evaluate on held-out rows, save a bundle.

mammal train task=bbbp                              one task, a new small model
mammal train mixture=demo trainer.max_time=00:04:30 several tasks in one model
mammal train task=bbbp init=FOLDER adapt=lora       fine-tune a bundle or a published checkpoint
mammal train -m task=bbbp,esol seed=1,2,3           a sweep: every combination
mammal train task=bbbp debug=overfit                does it learn 32 rows by heart?
mammal train output=runs/mine resume=auto …         go on where a stopped run ended
mammal train task=bbbp --cfg                        the whole configuration, nothing run
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from mammal import console
from mammal.commands.compose import check_complete, compose, hydra_errors, parse, search_path

if TYPE_CHECKING:
    from omegaconf import DictConfig


def run(argv: Sequence[str]) -> int:
    """Compose once to refuse mistakes early, then let Hydra run the job, or the jobs of a sweep."""
    from omegaconf import OmegaConf

    arguments = parse("train", argv, sweeps=True)
    if not arguments.multirun:
        config = compose("train", arguments)
        if arguments.show:
            console.out(OmegaConf.to_yaml(config).rstrip())
            return 0
        check_complete("train", config)
    words = [*arguments.overrides, *search_path(arguments), *(["--multirun"] if arguments.multirun else [])]
    with hydra_errors("train", arguments):
        _launch(words, job if arguments.multirun else _hold_failure)
    if _failures:
        raise _failures.pop()
    return 0


def _launch(words: list[str], task: Callable[[DictConfig], object]) -> None:
    """Hand over to `hydra.main`, which reads `sys.argv` and makes the run's folder."""
    import hydra
    from hydra.core.global_hydra import GlobalHydra

    from mammal.tasks.schema import register_schema

    before = sys.argv

    @functools.wraps(task)
    def with_our_words(config: DictConfig) -> object:
        sys.argv = before  # Lightning starts further processes by repeating the command line
        return task(config)

    register_schema()
    GlobalHydra.instance().clear()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # raise to us instead of printing and exiting
    sys.argv = ["mammal train", *words]
    try:
        hydra.main(version_base="1.3", config_path="pkg://mammal.configs", config_name="train")(with_our_words)()
    finally:
        sys.argv = before


_failures: list[BaseException] = []


def _hold_failure(config: DictConfig) -> None:
    """One run whose error comes out after Hydra is done, without the lines Hydra would write about it."""
    _failures.clear()
    try:
        job(config)
    except (Exception, KeyboardInterrupt) as error:
        _failures.append(error)


def job(config: DictConfig) -> float | None:
    """One run; its return value is what a sweeper that searches (Optuna) minimises: the best validation loss."""
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import open_dict

    from mammal.training.run import train

    console.set_up_logging()
    with open_dict(config):
        config.output = HydraConfig.get().runtime.output_dir
    return train(config).best_loss
