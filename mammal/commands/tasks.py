"""List the tasks, or show one row of a task at every step: row, prompt, tokens, batch, answer.

mammal tasks
mammal tasks modality=protein kind=regression   molecule, protein, DNA, cell or pair
mammal tasks format=markdown                    the tables of docs/data.md
mammal tasks bbbp
mammal tasks bbbp row=17 paths.data=FOLDER      local copies of data sets; default: the folder in MAMMAL_DATA
mammal tasks bbbp bundle=runs/bbbp/bundle       with the answer of a trained model
"""

from __future__ import annotations

from collections.abc import Sequence

from mammal.configuration.compose import find_config_dirs, split_words
from mammal.errors import ConfigError

WALK = ("row", "bundle", "paths.data")
LIST = ("modality", "kind", "format")


def run(argv: Sequence[str]) -> int:
    words, config_dirs = find_config_dirs(argv)
    names, options = split_words("tasks", words, (*WALK, *LIST))
    if len(names) > 1:
        raise ConfigError("one task at a time", where="mammal tasks", hint=f"mammal tasks {names[0]}")
    if stray := sorted(set(options) & set(LIST if names else WALK)):
        meant = "can't be used with the name of a task" if names else "needs the name of a task"
        raise ConfigError(f"{stray[0]}= {meant}", where="mammal tasks", hint="see `mammal tasks --help`")
    if names:
        from mammal.commands.walk_task import walk_task

        row, data = _row(options.get("row", "1")), options.get("paths.data")
        walk_task(names[0], row, options.get("bundle"), data, config_dirs)
    else:
        from mammal.commands.list_tasks import print_tasks

        print_tasks(options, config_dirs)
    return 0


def _row(text: str) -> int:
    if not text.isdigit():
        raise ConfigError(f"row can't be {text!r}", where="mammal tasks", hint="a row number, counted from 1")
    return int(text)
