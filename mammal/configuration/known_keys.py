"""The keys that the code reads from each group of `configs/`, with their types.

Sections with a `_target_` have the parameters of that class or function as keys (`mammal.configuration.targets`). The
keys of `task` are in `mammal.tasks.declaration.schema.TaskConfig`, those of `model` in
`mammal.model.config.ModelConfig`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, get_type_hints

GLOBAL_GROUPS = ("launcher", "sweep", "experiment", "debug")
"""Groups whose files change the whole configuration. Each file begins with `# @package _global_`."""

PACKAGE_LINE = "# @package _global_"


@dataclass
class RunConfig:
    """The keys of `configs/train.yaml` outside its groups. That file describes each key."""

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
    applicability: str = "distances"
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
    """The group `data`: how rows are divided into batches."""

    tokens_per_batch: int = 4096
    max_rows: int = 512
    window: int = 4096
    num_workers: int = 0
    limit: int | None = None
    overfit: bool = False
    valid_limit: int | None = None
    packed: str | None = None


@dataclass
class MixtureConfig:
    """The group `mixture`. `tasks` is a list of tasks, or maps each task to its `rate` and changes of the task."""

    name: str = "mixture"
    temperature: float = 1.0
    max_passes: float | None = None
    tasks: Any = None


@dataclass
class RateConfig:
    """Keys of a task in a mixture, in addition to changes of its declaration."""

    rate: float = 1.0


@dataclass
class PathsConfig:
    """The group `paths`: folders of data sets and of cached results."""

    data: str | None = None
    cache: str | None = None


@dataclass
class AdaptConfig:
    """Keys of the group `adapt` that every method has."""

    method: str = "full"
    save: str = "merged"


@dataclass
class TrainedConfig(AdaptConfig):
    """Keys of the group `adapt` that methods with training have."""

    start: str = "random"


@dataclass
class FullConfig(TrainedConfig):
    """The group `adapt`, for the method `full`."""

    shrink: float = 1.0
    decoder_layers: int | None = None


@dataclass
class HeadConfig(TrainedConfig):
    """The group `adapt`, for the method `head`."""

    ensemble: int = 1


@dataclass
class ProbeConfig(AdaptConfig):
    """The group `adapt`, for the method `probe`."""

    probe: str = "auto"
    features: Any = field(default_factory=list)
    site: Any = "auto"
    strands: str = "auto"
    ensemble: int = 1
    rows: str = "train"
    max_bytes: int | None = None


@dataclass
class LowRankConfig(HeadConfig):
    """The group `adapt`, for the method `lora`."""

    rank: int = 8
    alpha: float = 8.0
    dropout: float = 0.0
    targets: list[str] = field(default_factory=list)


ADAPT: dict[str, type] = {"full": FullConfig, "head": HeadConfig, "lora": LowRankConfig, "probe": ProbeConfig}
"""Keys of the group `adapt` by its method."""

SECTIONS: dict[str, type] = {"data": LoadingConfig, "mixture": MixtureConfig, "paths": PathsConfig}
"""Groups that have the same keys for all options."""

TRAINER_IS_GIVEN = {
    "logger": "use the group `logger`",
    "callbacks": "use the group `callbacks`",
    "default_root_dir": "output=FOLDER sets the folder of a run",
    "plugins": "training uses its own plugin, which writes checkpoints completely or not at all",
    "enable_progress_bar": "training shows its own progress line",
    "enable_model_summary": "the first line of a run shows the size of the model",
    "num_sanity_val_steps": "declarations and rows are checked before training",
    "use_distributed_sampler": "batches are divided among processes by their number of tokens",
}
"""Arguments of `lightning.Trainer` that the group `trainer` can't have because training sets them, and the reasons."""


Types = dict[str, Any]

_RUN: Types = {"workers": int | None, "keep_rows": bool | None, "resume": bool}
_MODEL_JOB: Types = _RUN | {"batch_tokens": int | None, "shard_rows": int | None}
VERB_TYPES: dict[str, Types] = {
    "predict": _MODEL_JOB
    | {"nearest": int, "mc_dropout": int}
    | dict.fromkeys(("every_label", "vocabulary", "name_warning", "applicability", "standardised"), bool),
    "embed": _MODEL_JOB | {"normalize": bool},
    "score": _MODEL_JOB | {"variants": bool | None, "window": int, "flank": int},
    "explain": _MODEL_JOB
    | {"steps": int, "tolerance": float, "window": int | None, "page_rows": int}
    | {"every_token": bool, "long": bool | None},
    "generate": _MODEL_JOB | {"n": int, "rerank_weight": float | None},
    "properties": _RUN | {"shard_rows": int},
    "names": _RUN | {"shard_rows": int},
    "serve": {
        **dict.fromkeys(("port", "max_rows", "max_explained", "max_characters", "max_new_tokens"), int),
        **dict.fromkeys(("max_requests", "max_waiting"), int),
        **dict.fromkeys(("timeout", "wait", "grace"), float),
        "batch_tokens": int | None,
        "allow_open": bool,
    },
    "report": {"explain": int},
    "check-data": {"limit": int | None, "neighbours": int, "label_noise": bool | None},
    "push": {"private": bool | None, "rows": bool},
    "corpus": {"workers": int},
    "pack": {"views": int, "workers": int, "limit": int | None, "valid_limit": int | None},
    "windows": {"window": int, "neighbours": bool, "shard_rows": int, "keep_rows": bool | None, "resume": bool},
    "evaluate": {
        "limit": int | None,
        "reference_limit": int | None,
        "workers": int | None,
        "rerank_weight": float | None,
        "generated": bool | None,
        **dict.fromkeys(("trees", "seeds", "sensitivity", "draws", "seed"), int),
        **dict.fromkeys(("neighbours", "same_config"), bool),
    },
}
"""Verb -> types of its keys that hold numbers or true and false. Other values are checked where they are read."""


LEAST: dict[str, float] = {
    **dict.fromkeys(("data.tokens_per_batch", "data.max_rows", "data.window", "data.limit", "data.valid_limit"), 1),
    **dict.fromkeys(("trainer.accumulate_grad_batches", "adapt.rank", "adapt.max_bytes", "adapt.decoder_layers"), 1),
    **dict.fromkeys(("data.num_workers", "optim.weight_decay", "trainer.gradient_clip_val", "model.dropout_rate"), 0),
    **dict.fromkeys(("trainer.max_epochs", "trainer.max_steps"), -1),
    **dict.fromkeys(
        ("n", "limit", "shard_rows", "batch_tokens", "window", "steps", "page_rows", "views", "seeds", "trees"), 1
    ),
    **dict.fromkeys(
        ("workers", "flank", "sensitivity", "nearest", "mc_dropout", "port", "wait", "grace", "explain"), 0
    ),
    **dict.fromkeys(("max_rows", "max_explained", "max_characters", "max_requests", "max_waiting"), 1),
}
"""Keys of numbers -> the least that they can be, -1 where it means that there is no limit."""

ABOVE_ZERO = ("tolerance", "optim.lr", "optim.adamw_lr", "optim.layer_decay", "mixture.temperature", "timeout")
"""Keys of numbers that must be greater than zero."""


def keys_of(schema: type) -> dict[str, Any]:
    """Returns the fields of a dataclass with their types."""
    return get_type_hints(schema)
