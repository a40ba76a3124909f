"""The keys of each group of `configs/`, with their types: what the code that reads a group looks up in it.

Sections that are passed on to a class or function by `_target_` have the keys of its signature
(`mammal.configuration.targets`). `task` has `mammal.tasks.declaration.schema.TaskConfig`, `model` has
`mammal.model.config.ModelConfig`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, get_type_hints

GLOBAL_GROUPS = ("launcher", "sweep", "experiment", "debug")
"""Groups whose files change the whole configuration; each opens with `# @package _global_`."""

PACKAGE_LINE = "# @package _global_"


@dataclass
class RunConfig:
    """The keys of `configs/train.yaml` outside its groups; the file says what each means."""

    name: str = "run"
    seed: int = 1
    init: str | None = None
    tokenizer: str | None = None
    new_tokens: list[str] = field(default_factory=list)
    resume: str | None = None
    output: str = ""
    monitor: str = "valid/loss"
    monitor_mode: str = "auto"
    test: bool = True
    task: Any = None
    mixture: Any = None
    model: Any = None
    adapt: Any = None
    data: Any = None
    optim: Any = None
    schedule: Any = None
    trainer: Any = None
    callbacks: Any = None
    logger: Any = None
    paths: Any = None
    hydra: Any = None


@dataclass
class LoadingConfig:
    """The group `data`: how rows become batches."""

    tokens_per_batch: int = 4096
    max_rows: int = 512
    window: int = 4096
    num_workers: int = 0
    limit: int | None = None
    overfit: bool = False
    valid_limit: int | None = None


@dataclass
class MixtureConfig:
    """The group `mixture`; `tasks` maps a task's name to its `rate` and to changes of the task, or lists names."""

    name: str = "mixture"
    temperature: float = 1.0
    max_passes: float | None = None
    tasks: Any = None


@dataclass
class RateConfig:
    """What a mixture says of a task besides changes to its declaration."""

    rate: float = 1.0


@dataclass
class PathsConfig:
    """The group `paths`: where data sets and results worth keeping are."""

    data: str | None = None
    cache: str | None = None


@dataclass
class AdaptConfig:
    """The group `adapt` for the methods `full` and `head`."""

    method: str = "full"
    save: str = "merged"


@dataclass
class LowRankConfig(AdaptConfig):
    """The group `adapt` for the method `lora`."""

    rank: int = 8
    alpha: float = 8.0
    dropout: float = 0.0
    targets: list[str] = field(default_factory=list)


SECTIONS: dict[str, type] = {"data": LoadingConfig, "mixture": MixtureConfig, "paths": PathsConfig}
"""Groups with one schema, whatever option is chosen."""

TRAINER_IS_GIVEN = {
    "logger": "the group `logger` holds the loggers",
    "callbacks": "the group `callbacks` holds the callbacks",
    "default_root_dir": "output=FOLDER names the folder of a run",
    "plugins": "checkpoints are written whole by a plugin of ours",
    "enable_progress_bar": "one line shows the progress of every verb",
    "enable_model_summary": "the first line of a run says how large the model is",
    "num_sanity_val_steps": "declarations and rows are checked before training",
    "use_distributed_sampler": "batches are shared among processes by tokens",
}
"""Arguments of `lightning.Trainer` that training sets itself, so that the group `trainer` can't, and why."""


def keys_of(schema: type) -> dict[str, Any]:
    """The fields of a dataclass and their types."""
    return get_type_hints(schema)
