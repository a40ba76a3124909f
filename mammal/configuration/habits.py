"""Command lines of other tools: words that are meant for Hydra or argparse, answered with the line that does it.

mammal train bbbp              mammal train task=bbbp
mammal train --task bbbp       mammal train task=bbbp
mammal predict BUNDLE FILE     mammal predict bundle=BUNDLE input=FILE
mammal train --cfg job, -c     taken as --cfg
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from mammal.configuration.arguments import package_folder

_ROWS = ("bundle", "input", "output")
_POSITIONS = {
    **dict.fromkeys(("predict", "embed", "generate", "score", "explain"), _ROWS),
    "evaluate": ("bundle", "output"),
}
"""Verb -> the keys that words without a key are meant for, in their order. Default: the keys without a default."""

_OPTION_NAMES = {"model": "bundle", "data": "input", "config": "task"}
"""What a verb that has no key of this name calls it."""

_CFG = ("-c", "--cfg")
_CFG_PARTS = ("job", "hydra", "all")


def without_hydra_parts(words: Sequence[str]) -> list[str]:
    """The words with Hydra's ways to write `--cfg` (`-c job`, `--cfg job`, `--cfg=job`) as `--cfg`."""
    plain: list[str] = []
    for word in words:
        name, _, part = word.partition("=")
        follows = bool(plain) and plain[-1] == "--cfg" and word in _CFG_PARTS
        if name in _CFG and part in ("", *_CFG_PARTS):
            plain.append("--cfg")
        elif not follows:
            plain.append(word)
    return plain


def right_line(verb: str, words: Sequence[str], options: Sequence[str]) -> str | None:
    """The command line that is meant by words such as `bbbp` or `--task bbbp`.

    Args:
        verb: of the command line.
        words: after the verb.
        options: options that the verb has.

    Returns:
        The whole line; None if a word can't be understood.
    """
    keys, fixed = _keys(verb), []
    positions = list(_POSITIONS.get(verb) or _mandatory(verb))
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if name in options or (equals and not word.startswith("-")) or word.startswith("~"):
            fixed.append(word)
        elif word.startswith("-"):
            key = name.lstrip("-").replace("-", "_")
            key = key if key in keys else _OPTION_NAMES.get(key, key)
            if key not in keys or not (equals or (rest and not rest[0].startswith("-"))):
                return None
            fixed.append(f"{key}={value if equals else rest.pop(0)}")
        else:
            found = _group_of(word) if verb == "train" else positions.pop(0) if positions else None
            if found is None:
                return None
            fixed.append(f"{found}={word}")
    return shlex.join(["mammal", verb, *fixed])


def _mandatory(verb: str) -> list[str]:
    """Keys without a default, in the order of the verb's file."""
    from mammal.configuration.sources import verb_configs

    return [key for content in verb_configs(verb).values() for key, value in content.items() if value == "???"]


def _keys(verb: str) -> set[str]:
    """Names of the keys of a verb, and of the groups of `train`."""
    import yaml

    from mammal.configuration.sources import verb_configs

    found: set[str] = set()
    for name in verb_configs(verb):
        file = package_folder() / f"{name}.yaml"
        content = yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else {}
        found |= {str(key) for key in content}
        entries = content.get("defaults", ())
        found |= {key for entry in entries if isinstance(entry, dict) for key in map(str, entry) if " " not in key}
    return found - {"defaults", "hydra"}


def _group_of(word: str) -> str | None:
    """The group of `train` that has an option of this name; a word that none has is meant for a task."""
    groups = ("task", "mixture", "experiment", "model", "sweep", "debug", "adapt")
    found = (group for group in groups if (package_folder() / group / f"{word}.yaml").is_file())
    return next(found, "task" if word.isidentifier() else None)
