"""Converts errors of Hydra and OmegaConf to errors that name what is wrong, where, and the most similar valid names."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import nullcontext
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal.configuration.known_keys import ADAPT, keys_of
from mammal.errors import ConfigError, MammalError, did_you_mean

if TYPE_CHECKING:
    from mammal.configuration.arguments import Arguments


EXTRAS = {
    "hydra/launcher/joblib": "launchers",
    "hydra/launcher/submitit_local": "launchers",
    "hydra/launcher/submitit_slurm": "launchers",
    "hydra/launcher/ray": "ray-launcher",
    "hydra/sweeper/optuna": "search",
}
"""For each Hydra plugin that a config names, the extra of `pyproject.toml` that installs it."""


_RATE, _EPOCHS, _STEPS = ("optim.lr",), ("trainer.max_epochs",), ("trainer.max_steps",)
_BATCH, _SEED = ("data.tokens_per_batch", "batch_tokens"), ("seed",)
_DEVICES, _PRECISION = ("trainer.devices", "device"), ("trainer.precision", "dtype")
_MODEL, _ROWS, _OUTPUT = ("init", "bundle"), ("input", "paths.data"), ("output",)
_WAIT, _SUM = ("callbacks.early_stopping.patience",), ("trainer.accumulate_grad_batches",)
ELSEWHERE: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("learning_rate", "base_lr", "peak_lr"), _RATE),
    **dict.fromkeys(("epochs", "num_epochs", "n_epochs", "num_train_epochs"), _EPOCHS),
    **dict.fromkeys(("steps", "num_steps", "n_steps", "iterations"), _STEPS),
    **dict.fromkeys(("batch_size", "bs", "per_device_train_batch_size", "max_tokens"), _BATCH),
    **dict.fromkeys(("random_seed", "random_state", "manual_seed"), _SEED),
    **dict.fromkeys(("gpu", "gpus", "num_gpus", "n_gpus", "accelerator"), _DEVICES),
    **dict.fromkeys(("precision", "fp16", "bf16", "torch_dtype"), _PRECISION),
    **dict.fromkeys(("checkpoint", "ckpt", "ckpt_path", "pretrained", "model_path", "weights", "model"), _MODEL),
    **dict.fromkeys(("resume_from_checkpoint",), ("resume",)),
    **dict.fromkeys(("data_path", "data_dir", "dataset_path", "file", "data", "csv"), _ROWS),
    **dict.fromkeys(("out", "output_dir", "out_dir", "save_dir", "output_path", "log_dir"), _OUTPUT),
    **dict.fromkeys(("gradient_accumulation_steps", "accumulate", "grad_accum"), _SUM),
    **dict.fromkeys(("patience", "early_stopping_patience"), _WAIT),
    **dict.fromkeys(("num_return_sequences", "num_samples", "num_sequences", "n_samples"), ("n",)),
}
"""Keys of other tools -> our keys of the same meaning. The first one that the verb has is suggested."""


def explain(error: Exception, verb: str, arguments: Arguments) -> MammalError:
    """Returns a `ConfigError` that explains an error to the user.

    Args:
        error: error that was raised while `configs/<verb>.yaml` was composed.
        verb: the verb.
        arguments: parsed words of the command line.
    """
    from hydra.errors import MissingConfigException, OverrideParseException

    where = f"mammal {verb}"
    chain = list(_causes(error))
    for cause in chain:  # an error of our own that OmegaConf has wrapped is more precise
        if isinstance(cause, MammalError):
            return cause
    if isinstance(error, OverrideParseException):
        hint = "quote a value that contains blanks, commas or brackets: 'key=\"value\"'"
        typed = str(error.override).lstrip("+")
        return ConfigError(f"can't read {typed!r}", where=where, hint=hint)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return _missing_option(error.missing_cfg_file, error.options or (), where)
    text = str(error)
    if match := re.match(r"Ambiguous value for argument '(.+?)'|Sweep parameters '(.+?)' requires", text):
        sweeps = "`mammal train -m` runs each of them, " if verb == "train" else ""
        hint = f"{sweeps}key=[a,b] is a list, key=\"'a,b'\" a text with a comma"
        return ConfigError(f"{match[1] or match[2]} has more than one value", where=where, hint=hint)
    if match := re.match(r"Could not (?:override|delete(?: from config\.)?) '(.+?)[=']", text):
        return _no_such_key(match[1], chain, verb, arguments)
    for cause in chain:
        if (known := _from_omegaconf(cause, text, where, arguments)) is not None:
            return known
    return ConfigError(_first_line(text), where=where)


def _no_such_key(name: str, chain: Sequence[BaseException], verb: str, arguments: Arguments) -> ConfigError:
    """Explains a word of the command line that sets or deletes a key that is not there.

    Args:
        name: key of the word; in a value in braces, the unknown key can be a deeper one.
        chain: the error and its causes.
        verb: the verb.
        arguments: parsed words of the command line.
    """
    where = f"mammal {verb}"
    missing = [str(key) for cause in chain if (key := getattr(cause, "full_key", None))]
    if verb == "train" and name.partition(".")[0] == "mixture" and (not missing or "mixture" in missing):
        hint = "mixture=NAME chooses one, ++mixture={…} writes its keys on the command line"
        return ConfigError("no mixture is chosen whose keys could be changed", where=where, hint=hint)
    name = next((key for key in missing if key.startswith(f"{name}.")), name)
    if any(word.startswith(f"{name}={{") for word in arguments.overrides) and name in _groups(arguments):
        return ConfigError(f"{name}= takes a name, not keys", where=where, hint=f"{name}=NAME")
    return ConfigError(f"there is no key {name!r}", where=where, hint=_nearest_key(name, verb, arguments))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _missing_option(path: str, options: Any, where: str) -> ConfigError:
    group, _, name = path.rpartition("/")
    if not group:
        return ConfigError(f"there is no config {path!r}", where=where)
    if path in EXTRAS:
        hint = f"pip install 'mammal[{EXTRAS[path]}]'"
        return ConfigError(f"{group.removeprefix('hydra/')} {name!r} is not installed", where=where, hint=hint)
    visible = [option for option in options if not option.startswith("_") and option != "schema"]
    return ConfigError(f"there is no {group} {name!r}", where=where, hint=did_you_mean(name, visible, noun=group))


def _from_omegaconf(cause: BaseException, text: str, where: str, arguments: Arguments) -> ConfigError | None:
    """Explains an unknown key or a wrong value, in a file (`In 'task/bbbp': …`) or on the command line."""
    from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

    from mammal.configuration.sources import config_file, config_file_name

    if not isinstance(cause, OmegaConfBaseException):
        return None
    file = re.match(r"In '(.+?)'", text)
    path = cause.full_key or str(cause.key or "")
    found = config_file(file[1], arguments) if file else None
    place = where if found is None else config_file_name(found)
    if isinstance(cause, ConfigKeyError | ConfigAttributeError):
        valid = [str(key) for key in cause.parent_node] if cause.parent_node is not None else []
        hint = did_you_mean(str(cause.key), valid, noun="key")
        return ConfigError(f"there is no key {path!r}", where=place, hint=hint)
    what = _first_line(cause.msg or text)
    return ConfigError(f"{path}: {what}" if path else what, where=place)


def _nearest_key(name: str, verb: str, arguments: Arguments) -> str:
    """Returns a hint with valid keys similar to `name`: those of its section, else of the whole configuration."""
    groups = _groups(arguments) if verb == "train" else ()
    valid = sorted({*_keys(verb, arguments), *groups})
    if meant := next((key for key in ELSEWHERE.get(name.rpartition(".")[2], ()) if key in valid), None):
        return f"did you mean {meant}?"
    section, _, last = name.rpartition(".")
    if section == "adapt" and (methods := [way for way, keys in ADAPT.items() if last in keys_of(keys)]):
        return f"adapt={' or '.join(methods)} has it"
    of_task = ".".join(name.split(".")[:3])
    if of_task.startswith("mixture.tasks.") and of_task != name and of_task in valid:
        key, known = name.split(".")[3], _task_keys()
        return (
            f"++{name}=VALUE changes the task in the mixture" if key in known else did_you_mean(key, known, noun="key")
        )
    beside = {key[len(section) + 1 :] for key in valid if key.startswith(f"{section}.")} if section else set()
    if beside:
        hint = did_you_mean(last, {key for key in beside if "." not in key}, noun="key")
        return hint.replace("did you mean ", f"did you mean {section}.") if hint.startswith("did you") else hint
    by_last = [key for key in valid if key.rpartition(".")[2] == last]
    if by_last:
        return f"did you mean {' or '.join(by_last[:3])}?"
    return did_you_mean(name, valid, noun="key")


def _task_keys() -> Collection[str]:
    from mammal.tasks.declaration.schema import TaskConfig

    return keys_of(TaskConfig)


def _keys(verb: str, arguments: Arguments) -> Iterator[str]:
    """Yields every dotted key of the verb's configuration, with the chosen options of groups if they are valid."""
    from hydra import compose, initialize_config_module
    from hydra.core.global_hydra import GlobalHydra
    from hydra.errors import HydraException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    from mammal.configuration.arguments import search_path
    from mammal.configuration.own_tasks import own_tasks_first

    groups = set(_groups(arguments))
    parted = [(word, *word.lstrip("+").partition("=")) for word in arguments.overrides]
    choices = [word for word, key, _, value in parted if key in groups and not value.startswith("{")]
    runs = GlobalHydra.instance().is_initialized()  # not after a sweep, which has ended Hydra

    with (
        nullcontext() if runs else own_tasks_first(arguments),
        nullcontext() if runs else initialize_config_module("mammal.configs", version_base="1.3"),
    ):
        for overrides in (choices, []):
            try:
                config = compose(verb, [*overrides, *search_path(arguments)])
            except (HydraException, OmegaConfBaseException):
                continue
            yield from _walk(OmegaConf.to_container(config, resolve=False), "")
            return


def _walk(node: Any, prefix: str) -> Iterator[str]:
    for key, child in node.items():
        yield f"{prefix}{key}"
        if isinstance(child, dict):
            yield from _walk(child, f"{prefix}{key}.")


def _groups(arguments: Arguments) -> Iterator[str]:
    for root in (Path(str(files("mammal.configs"))), *arguments.config_dirs):
        yield from (folder.relative_to(root).as_posix() for folder in root.rglob("*") if folder.is_dir())


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0] if lines else "the configuration can't be composed"
