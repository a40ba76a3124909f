"""List the tasks, or walk one row of a task through every step: row, prompt, tokens, batch, answer.

mammal tasks
mammal tasks bbbp
mammal tasks bbbp row=17
mammal tasks bbbp bundle=runs/bbbp/bundle       its answer comes from a trained model
"""

from __future__ import annotations

from collections.abc import Sequence

from mammal import console
from mammal.commands.compose import find_config_dirs
from mammal.errors import ConfigError, MammalError, did_you_mean

OPTIONS = ("row", "bundle")


def run(argv: Sequence[str]) -> int:
    words, _ = find_config_dirs(argv)
    names = [word for word in words if "=" not in word]
    options = dict(word.split("=", 1) for word in words if "=" in word)
    for option in options:
        if option not in OPTIONS:
            hint = did_you_mean(option, OPTIONS, noun="key")
            raise ConfigError(f"there is no key {option!r}", where="mammal tasks", hint=hint)
    if len(names) > 1:
        raise ConfigError("one task at a time", where="mammal tasks", hint=f"mammal tasks {names[0]}")
    if names:
        from mammal.commands.walk_task import walk_task

        walk_task(names[0], _row(options.get("row", "0")), options.get("bundle"))
    else:
        _list()
    return 0


def _row(text: str) -> int:
    if not text.isdigit():
        raise ConfigError(f"row is {text!r}", where="mammal tasks", hint="a row number, from 0")
    return int(text)


def _list() -> None:
    from mammal.tasks.registry import list_tasks, load_task

    rows = []
    for name, file in list_tasks().items():
        try:
            task = load_task(file)
            data = task.data
            rows.append((name, task.kind, " ".join(filter(None, (data.source, data.name or data.path))), task.about))
        except MammalError as error:
            rows.append((name, "broken", "", str(error)))
    console.table(rows, ("task", "kind", "data", "about"))
