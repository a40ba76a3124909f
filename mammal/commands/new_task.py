"""Write a task file after looking at the columns of a data file, and say what was decided.

    mammal new-task assays.csv                           writes task/assays.yaml
    mammal new-task assays.csv target=ic50 name=my_assay output=configs/task/my_assay.yaml
    mammal new-task assays.csv 'target=herg,nav15'       several targets of one task
    mammal train --config-dir . task=assays              trains it

It is a first guess to be edited: molecules are known by RDKit reading them, sequences by their letters, bounds such as
`>10` by their sign, units by brackets in a column's name; the targets are the columns like the last one that holds
labels or numbers. Columns whose names no prompt could write get other names there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mammal import console
from mammal.commands.compose import split_words
from mammal.errors import ConfigError

OPTIONS = ("target", "name", "output")


def run(argv: Sequence[str]) -> int:
    files, options = split_words("new-task", argv, OPTIONS)
    if len(files) != 1:
        raise ConfigError("one data file is needed", where="mammal new-task", hint="mammal new-task my.csv")
    return _write(Path(files[0]), options)


def _write(file: Path, options: dict[str, str]) -> int:
    from mammal.commands.guess_task import guess_task
    from mammal.tasks.registry import load_task

    guess = guess_task(file, options.get("target"), options.get("name"))
    output = Path(options.get("output", f"task/{guess.name}.yaml"))
    if output.exists():
        raise ConfigError("stands there already", where=str(output), hint="output=ANOTHER.yaml, or remove it")
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(guess.yaml(), encoding="utf-8")
    for line in guess.decisions:
        console.out(line)
    load_task(output)
    console.out(f"written: {output}; read it, then: mammal train --config-dir {output.parent.parent} task={guess.name}")
    return 0
