"""From the words of a command line to a Hydra configuration, errors told in our own form.

Configs come from the package (`pkg://mammal.configs`), then from `--config-dir` and the folders in `MAMMAL_CONFIGS`.
Hydra is imported when a verb is run, never before.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mammal import console
from mammal.configuration.arguments import Arguments, search_path
from mammal.errors import ConfigError, MammalError, did_you_mean

if TYPE_CHECKING:
    from omegaconf import DictConfig

TEXT_KEYS = (
    "bundle",
    "init",
    "input",
    "output",
    "prompt",
    "reference",
    "resume",
    "sample",
    "scaffold",
    "starts_with",
    "target",
)
"""Keys whose value is a path, a hub id or a prompt: taken as typed, though `(`, `=` and `[` mean something to Hydra."""

_OPEN = re.compile(r"(task\.views?|conditions|generation)[.=]")
"""Below these stand columns of the data and keys of tasks: Hydra may not ask for a `+` before them."""


def parse(verb: str, argv: Sequence[str], *, sweeps: bool = False) -> Arguments:
    """Sort the words after the verb.

    Only `train` composes the group `task/`. Elsewhere `task=` names a task that may live in a bundle alone, so it is
    kept from Hydra, which would look for a file.

    Raises:
        ConfigError: for an option that the verb does not have, or a word that is no `key=value`.
    """
    options = {"--config-dir", "--cfg"} | ({"-m", "--multirun"} if sweeps else set())
    overrides, seen, task = [], set(), None
    words, dirs = find_config_dirs(argv)
    for word in words:
        name, _, value = word.partition("=")
        if word.startswith("-") and name not in options:
            hint = did_you_mean(name, options, noun="option")
            raise ConfigError(f"{name!r} is no option of this verb", where=f"mammal {verb}", hint=hint)
        if word in options:
            seen.add(word)
        elif name == "task" and verb != "train":
            task = value
        elif "=" in word or word.startswith("~"):
            overrides.append(f"++{word}" if _OPEN.match(word) else word)
        else:
            raise ConfigError(
                f"{word!r} is not a key=value", where=f"mammal {verb}", hint=f"see `mammal {verb} --help`"
            )
    multirun = bool(seen & {"-m", "--multirun"})
    overrides = [word if multirun else quoted(word) for word in overrides]
    return Arguments(overrides, task, dirs, "--cfg" in seen, multirun)


def split_words(verb: str, words: Sequence[str], known: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The plain words and the options `key=value` of a verb that Hydra has no part in.

    Raises:
        ConfigError: for a key that the verb does not have, or an option that begins with a dash.
    """
    plain = [word for word in words if "=" not in word]
    options = dict(word.split("=", 1) for word in words if "=" in word)
    for key in [*options, *(word for word in plain if word.startswith("-"))]:
        if key not in known:
            hint = did_you_mean(key, known, noun="key")
            raise ConfigError(f"there is no key {key!r}", where=f"mammal {verb}", hint=hint)
    return plain, options


def find_config_dirs(argv: Sequence[str]) -> tuple[list[str], list[Path]]:
    """The words other than `--config-dir DIR`, and every folder of configs besides our own.

    Returns:
        The other words; the folders that `MAMMAL_CONFIGS` and `--config-dir` name, each once. They are handed on to
        whatever looks up configs or tasks by name.

    Raises:
        ConfigError: there is no such folder.
    """
    others, dirs = [], _env_dirs()
    words = iter(argv)
    for word in words:
        name, _, value = word.partition("=")
        if name == "--config-dir":
            dirs.append(_directory(value or next(words, ""), "--config-dir"))
        else:
            others.append(word)
    return others, list(dict.fromkeys(folder.resolve() for folder in dirs))


def compose(verb: str, arguments: Arguments, *, keep_hydra: bool = False) -> DictConfig:
    """The configuration of one run: `configs/<verb>.yaml` and what was overridden.

    Args:
        verb: whose configuration to compose.
        arguments: sorted words of the command line (`parse`). With `multirun` this is the configuration that the jobs
            of a sweep have in common: Hydra leaves out what the sweep varies.
        keep_hydra: leave Hydra's own section in it.

    Raises:
        ConfigError: for a key, group option or value that Hydra refuses, and for a key of any config file that nothing
            reads (`mammal.configuration.check`), with the nearest valid names.
    """
    from hydra.core.global_hydra import GlobalHydra
    from hydra.types import RunMode
    from omegaconf import open_dict

    from mammal.configuration.check import check_config
    from mammal.configuration.sources import config_loader
    from mammal.tasks.declaration.schema import register_schema

    GlobalHydra.instance().clear()
    register_schema()
    mode = RunMode.MULTIRUN if arguments.multirun else RunMode.RUN
    with config_loader() as loader, hydra_errors(verb, arguments):
        try:
            words = [*arguments.overrides, *search_path(arguments)]
            config: DictConfig = loader.load_configuration(verb, words, mode, from_shell=False)
        except ValueError as error:  # Hydra's word for `group=3` and the like; our own errors are ValueErrors too
            raise (
                error if isinstance(error, MammalError) else ConfigError(str(error), where=f"mammal {verb}")
            ) from error
        check_config(verb, config, arguments)
        if not keep_hydra:
            with open_dict(config):
                config.pop("hydra")
        if arguments.task is not None:
            config.task = arguments.task
        return config


def run_verb(verb: str, argv: Sequence[str], work: Callable[[DictConfig, list[Path]], int]) -> int:
    """Compose the verb's configuration and do its work; `--cfg` shows it and does nothing.

    Args:
        verb: whose work it is.
        argv: words after the verb.
        work: takes the configuration and the user's own config folders, gives the exit code.
    """
    from omegaconf import OmegaConf

    arguments = parse(verb, argv)
    config = compose(verb, arguments)
    if arguments.show:
        console.out(OmegaConf.to_yaml(config).rstrip())
        return 0
    check_complete(verb, config)
    console.set_up_logging()
    return work(config, arguments.config_dirs)


def check_complete(verb: str, config: DictConfig) -> None:
    """Refuse a configuration in which a mandatory key (`???`) was not given."""
    from omegaconf import OmegaConf

    if missing := sorted(OmegaConf.missing_keys(config)):
        keys = ", ".join(missing)
        hint = f"mammal {verb} {' '.join(f'{key}=…' for key in missing)}"
        raise ConfigError(f"{keys} must be given", where=f"mammal {verb}", hint=hint)


def quoted(override: str) -> str:
    """Quote the value of a key that takes plain text, so that SMILES and odd paths pass Hydra's grammar unharmed."""
    key, _, value = override.partition("=")
    plain = key.lstrip("+") in TEXT_KEYS and value not in ("", "null", "???") and value[:1] not in "'\""
    return text_override(key, value) if plain else override


def text_override(key: str, value: str) -> str:
    """The override that gives a key a text, whatever signs it holds."""
    if re.fullmatch(r"[\w./:-]+", value):
        return f"{key}={value}"
    escaped = re.sub(r"(\\*)'", r"\1\1\\'", value)
    trailing = len(escaped) - len(escaped.rstrip("\\"))
    return f"{key}='{escaped}{chr(92) * trailing}'"


@contextmanager
def hydra_errors(verb: str, arguments: Arguments) -> Iterator[None]:
    """Turn what Hydra and OmegaConf raise into a `ConfigError`."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    try:
        yield
    except (HydraException, OmegaConfBaseException) as error:
        from mammal.configuration.errors import explain

        raise explain(error, verb, arguments) from error


def _env_dirs() -> list[Path]:
    names = os.environ.get("MAMMAL_CONFIGS", "").split(os.pathsep)
    return [_directory(name, "MAMMAL_CONFIGS") for name in names if name]


def _directory(name: str, where: str) -> Path:
    folder = Path(name).expanduser()
    if not name or not folder.is_dir():
        raise ConfigError(f"there is no folder {name!r}", where=where)
    return folder
