"""Composes the Hydra configuration of a command line. Errors of Hydra are converted to `ConfigError`.

Configs are searched in the package (`pkg://mammal.configs`), then in `--config-dir` and the folders in
`MAMMAL_CONFIGS`. Hydra is imported only when a verb is run.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from mammal import console
from mammal.configuration.arguments import Arguments, package_folder, search_path
from mammal.configuration.file_lists import quoted_list
from mammal.configuration.habits import right_line, without_hydra_parts
from mammal.errors import ConfigError, MammalError, did_you_mean

if TYPE_CHECKING:
    from omegaconf import DictConfig

TEXT_KEYS = (
    "base",
    "bundle",
    "column",
    "init",
    "input",
    "label",
    "message",
    "names",
    "output",
    "page",
    "paths.data",
    "prompt",
    "reference",
    "reference_column",
    "repo",
    "resume",
    "revision",
    "run",
    "sample",
    "scaffold",
    "starts_with",
    "target",
    "task.data.path",
    "task.data.split_column",
)
"""Keys whose value is a path, a hub id, a prompt or a column. It is used as typed, although Hydra interprets signs
such as `(`, `=` and `[`."""

_COLUMN = re.compile(r"(task\.data\.)?columns\.")
"""Keys below these have the name of a column as their value, too."""

_OPEN = re.compile(
    r"(task\.(views?|unit|computed|class_weights|example|standardise|data\.columns|data\.files)|conditions|generation)"
    r"[.=]|columns\."
)
"""Keys below these are columns of the data and keys of tasks. Hydra must not require a `+` before them."""


WITHOUT_SCHEMA = ("predict", "embed", "score", "explain")
"""Verbs whose config files refer to neither tasks nor settings of generation, whose schemas then need not be made."""

FILE_WORDS = {"check-data": "input"}
"""Verbs of which a word without a key is a file -> the key that the file is given to."""

TASK_FILE = ("train", "pack")
"""Verbs whose key `task` chooses a file of the group `task`; for others it is a name."""


SEVERAL_TASKS = ("predict", "evaluate")
"""Verbs whose key `task` can be a list of names, `[a,b]`."""


def parse_arguments(verb: str, argv: Sequence[str], *, sweeps: bool = False) -> Arguments:
    """Parses the words after the verb.

    Only `train` composes the group `task/`. For other verbs, `task=` can name a task of a bundle without a config file,
    so it is not passed to Hydra.

    Args:
        verb: the verb.
        argv: words after the verb.
        sweeps: whether the verb has the option `-m`.

    Raises:
        ConfigError: the verb does not have an option, or a word is not a `key=value`.
    """
    options = {"--config-dir", "--cfg"} | ({"-m", "--multirun"} if sweeps else set())
    overrides, seen, task = [], set(), None
    others, dirs = find_config_dirs(argv)
    words = without_hydra_parts(others)
    for word in words:
        name, _, value = word.partition("=")
        if word.startswith("-") and name not in options:
            hint = _meant(verb, argv, options) or did_you_mean(name, options, noun="option")
            hint = f"mammal {verb} --cfg prints the configuration" if name == "--info" else hint
            raise ConfigError(f"{name!r} is not an option of this verb", where=f"mammal {verb}", hint=hint)
        if word in options:
            seen.add(word)
        elif name == "task" and verb not in TASK_FILE:
            task = value
        elif name == "task":
            _refuse_list(verb, value)
            overrides.append(f"task={_known_task(value, dirs)}")
        elif "=" in word or word.startswith("~"):
            overrides.append(f"++{word}" if _OPEN.match(word) or _is_unlisted_of_model(name) else word)
        elif verb in FILE_WORDS and not any(given.startswith(f"{FILE_WORDS[verb]}=") for given in overrides):
            overrides.append(f"{FILE_WORDS[verb]}={word}")
        else:
            meant = _meant(verb, argv, options)
            hint = f"{meant}; " if meant else ""
            hint += f"see `mammal {verb} --help`"
            raise ConfigError(f"{word!r} is not a key=value", where=f"mammal {verb}", hint=hint)
    multirun = bool(seen & {"-m", "--multirun"})
    overrides = [word if multirun else quoted_list(verb, word, text_override) or quoted(word) for word in overrides]
    return Arguments(overrides, task, dirs, "--cfg" in seen, multirun)


def _is_unlisted_of_model(key: str) -> bool:
    """Whether a key is below `model`, and the files of sizes do not list it, so that Hydra would require a `+`.

    `mammal.configuration.check` refuses those that are not settings of `mammal.model.config.ModelConfig`.
    """
    section, _, setting = key.partition(".")
    if section != "model" or not setting:
        return False
    listed = (package_folder() / "model" / "debug.yaml").read_text(encoding="utf-8")
    return re.search(rf"(?m)^{re.escape(setting.partition('.')[0])}:", listed) is None


def _named_tasks(text: str) -> str | list[str]:
    """The names of a list `[a,b]`; other text as it is."""
    if not (text.startswith("[") and text.endswith("]")):
        return text
    return [name.strip(" \t'\"") for name in text[1:-1].split(",") if name.strip()]


def _refuse_list(verb: str, value: str) -> None:
    """Refuses a list of tasks where one is chosen: Hydra would merge their files into one task without a word."""
    if value.lstrip().startswith("["):
        names = [name.strip() for name in value.strip().strip("[]").split(",")]
        hint = f"mammal {verb} '++mixture={{tasks: {{{', '.join(f'{name}: {{}}' for name in names)}}}}}'"
        if verb == "train":
            hint += f" trains one model for all; mammal train -m task={','.join(names)} one for each"
        raise ConfigError("one task is chosen, and the value is a list", where=f"task={value}", hint=hint)


def _known_task(name: str, dirs: Sequence[Path]) -> str:
    """The name of the task that a user means; other words (a sweep, a slip) as they are, for Hydra to read."""
    from mammal.tasks.declaration.registry import list_tasks
    from mammal.tokenization.errors import meant_name

    return meant_name(name, list_tasks(dirs)) or name


def _meant(verb: str, argv: Sequence[str], options: set[str]) -> str | None:
    """The line that a user of other tools means; the folders of `--config-dir` are kept."""
    words = [word for word in argv if word != "--config-dir"]
    folders = {after for word, after in pairwise(argv) if word == "--config-dir"}
    line = right_line(verb, [word for word in words if word not in folders], sorted(options))
    kept = [part for folder in sorted(folders) for part in ("--config-dir", folder)]
    return line and " ".join([line, *([shlex.join(kept)] if kept else [])])


def split_words(verb: str, words: Sequence[str], known: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Returns the plain words and the options `key=value` of a verb without a Hydra configuration.

    Args:
        verb: the verb.
        words: words after the verb.
        known: keys that the verb has.

    Raises:
        ConfigError: the verb does not have a key, or an option begins with a dash.
    """
    plain = [word for word in words if "=" not in word]
    options = dict(word.split("=", 1) for word in words if "=" in word)
    for key in [*options, *(word for word in plain if word.startswith("-"))]:
        if key not in known:
            hint = did_you_mean(key, known, noun="key")
            raise ConfigError(f"there is no key {key!r}", where=f"mammal {verb}", hint=hint)
    return plain, options


def true_or_false(verb: str, options: Mapping[str, str], key: str) -> bool:
    """Returns an option of a verb without a Hydra configuration that is true or false. Default: false.

    Args:
        verb: the verb.
        options: the options of the command line.
        key: name of the option.

    Raises:
        ConfigError: the option has another value.
    """
    value = options.get(key, "false").lower()
    if value not in ("true", "false"):
        raise ConfigError(f"{key} is {value!r}", where=f"mammal {verb}", hint=f"{key}=true or {key}=false")
    return value == "true"


def find_config_dirs(argv: Sequence[str]) -> tuple[list[str], list[Path]]:
    """Finds the config folders of the user.

    Args:
        argv: words of the command line.

    Returns:
        The words without `--config-dir DIR`, and the folders that `MAMMAL_CONFIGS` and `--config-dir` name, each once.
        Configs and tasks are searched there by name.

    Raises:
        ConfigError: a folder does not exist.
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
    """Composes the configuration of one run from `configs/<verb>.yaml` and the overrides.

    Args:
        verb: the verb.
        arguments: parsed words of the command line (`parse_arguments`). With `multirun`, the result is the
            configuration that all jobs of a sweep have in common: Hydra leaves out the values that the sweep varies.
        keep_hydra: keep the section `hydra`.

    Raises:
        ConfigError: Hydra refuses a key, an option of a group or a value; or a config file has an unknown key
            (`mammal.configuration.check`). The hint contains the most similar valid names.
    """
    from hydra.core.global_hydra import GlobalHydra
    from hydra.types import RunMode
    from omegaconf import open_dict

    from mammal.configuration.check import check_config
    from mammal.configuration.sources import config_loader
    from mammal.tasks.declaration.schema import register_schema

    GlobalHydra.instance().clear()
    if verb not in WITHOUT_SCHEMA:
        register_schema()
    mode = RunMode.MULTIRUN if arguments.multirun else RunMode.RUN
    with config_loader(arguments) as loader, hydra_errors(verb, arguments):
        try:
            words = [*arguments.overrides, *search_path(arguments)]
            config: DictConfig = loader.load_configuration(verb, words, mode, from_shell=False)
        except ValueError as error:  # Hydra raises it for values such as `group=3`; our own errors are ValueErrors too
            raise (
                error if isinstance(error, MammalError) else ConfigError(str(error), where=f"mammal {verb}")
            ) from error
        check_config(verb, config, arguments)
        if not keep_hydra:
            with open_dict(config):
                config.pop("hydra")
        if arguments.task is not None:
            config.task = _named_tasks(arguments.task) if verb in SEVERAL_TASKS else arguments.task
        return config


def run_verb(verb: str, argv: Sequence[str], work: Callable[[DictConfig, list[Path]], int]) -> int:
    """Composes the configuration of a verb and runs it. With `--cfg`, the configuration is only printed.

    Args:
        verb: the verb.
        argv: words after the verb.
        work: function that runs the verb. It gets the configuration and the user's config folders, and returns the
            exit code.
    """
    from omegaconf import OmegaConf

    from mammal.tasks.declaration.registry import searching

    arguments = parse_arguments(verb, argv)
    config = compose(verb, arguments)
    if arguments.show:
        console.out(OmegaConf.to_yaml(config).rstrip())
        return 0
    check_complete(verb, config)
    console.set_up_logging()
    with searching(arguments.config_dirs):
        return work(config, arguments.config_dirs)


def check_complete(verb: str, config: DictConfig) -> None:
    """Checks that all mandatory keys (`???`) of a configuration were given.

    Raises:
        ConfigError: a key is missing.
    """
    from omegaconf import OmegaConf

    if missing := sorted(OmegaConf.missing_keys(config)):
        keys = ", ".join(missing)
        hint = f"mammal {verb} {' '.join(f'{key}=…' for key in missing)}"
        raise ConfigError(f"{keys} must be given", where=f"mammal {verb}", hint=hint)


def quoted(override: str) -> str:
    """Quotes the value of a key that takes plain text (paths, columns), so that Hydra does not interpret its signs."""
    key, _, value = override.partition("=")
    plain = _is_text(key) and value not in ("", "null", "???") and value[:1] not in "'\""
    return text_override(key, value) if plain else override


def _is_text(key: str) -> bool:
    name = key.lstrip("+")
    return name in TEXT_KEYS or _COLUMN.match(name) is not None


def command_line(verb: str, arguments: Arguments, here: Path | None = None) -> str:
    """Returns the command line that gave the words, as a shell reads it.

    Args:
        verb: the verb.
        arguments: the words.
        here: the folder in which it is run. Config folders in it are written relative to it. Default: the working
            folder.
    """
    here = here or Path.cwd()
    folders = [folder.relative_to(here) if folder.is_relative_to(here) else folder for folder in arguments.config_dirs]
    options = [word for folder in folders for word in ("--config-dir", str(folder))]
    return shlex.join(["mammal", verb, *options, *map(_as_typed, arguments.overrides)])


def _as_typed(override: str) -> str:
    """The override without the quotes that `quoted` adds."""
    key, _, value = override.partition("=")
    if not _is_text(key) or value[:1] != "'":
        return override
    from hydra.core.override_parser.overrides_parser import OverridesParser

    plain = f"{key}={OverridesParser.create().parse_override(override).value()}"
    return plain if quoted(plain) == override else override


def text_override(key: str, value: str) -> str:
    """Returns the override that sets a key to a text, which may contain any signs."""
    if re.fullmatch(r"[^\W\d][\w./:-]*", value) and value.casefold() not in _WORDS_OF_HYDRA:
        return f"{key}={value}"
    escaped = re.sub(r"(\\*)'", r"\1\1\\'", value)
    trailing = len(escaped) - len(escaped.rstrip("\\"))
    return f"{key}='{escaped}{chr(92) * trailing}'"


_WORDS_OF_HYDRA = ("true", "false", "null", "nan", "inf")
"""Words that Hydra does not read as text."""


@contextmanager
def hydra_errors(verb: str, arguments: Arguments) -> Iterator[None]:
    """Converts errors of Hydra and OmegaConf to a `ConfigError`."""
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
