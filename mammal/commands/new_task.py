"""Write a task file from the columns of a data file, and report the choices that were made.

    mammal new-task assays.csv                           writes task/assays.yaml
    mammal new-task assays.csv target=ic50 name=my_assay output=configs/task/my_assay.yaml
    mammal new-task assays.csv 'target=herg,nav15'       several targets of one task
    mammal train --config-dir . task=assays              trains it

The file is a first guess for you to edit. A column has molecules if RDKit can read them, and sequences if their letters
fit; bounds such as `>10` are recognised by their sign, and units by brackets in a column's name. The targets are the
last column with labels or numbers and the columns of the same kind. Columns whose names can't be used in a prompt are
renamed there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from mammal import console
from mammal.configuration.compose import split_words
from mammal.errors import ConfigError

OPTIONS = ("target", "name", "output")


def run(argv: Sequence[str]) -> int:
    files, options = split_words("new-task", argv, OPTIONS)
    if len(files) != 1:
        raise ConfigError("one data file is needed", where="mammal new-task", hint="mammal new-task my.csv")
    return _write(Path(files[0]), options)


def _write(file: Path, options: dict[str, str]) -> int:
    from mammal.commands.guess_task import guess_task
    from mammal.tasks.tables.atomic import atomic_file

    guess = guess_task(file, options.get("target"), options.get("name"))
    output = Path(options.get("output", f"task/{guess.name}.yaml"))
    if output.suffix != ".yaml":
        raise ConfigError("a task file ends in .yaml", where=str(output), hint=f"output={output}.yaml")
    if output.exists():
        raise ConfigError("exists already", where=str(output), hint="output=ANOTHER.yaml, or remove it")
    text = guess.yaml()
    for line in guess.decisions:
        console.out(line)
    _check(text, output)
    with atomic_file(output) as partial:
        partial.write_text(text, encoding="utf-8")
    console.out(f"written: {output}; read it, then: mammal train --config-dir {output.parent.parent} task={guess.name}")
    return 0


def _check(text: str, output: Path) -> None:
    """Reads the text like training does, before the file is written.

    Raises:
        TaskError: the task can't be used.
    """
    from mammal.tasks.declaration.registry import load_task
    from mammal.tasks.errors import TaskError

    with TemporaryDirectory() as folder:
        draft = Path(folder) / output.name
        draft.write_text(text, encoding="utf-8")
        try:
            load_task(str(draft))
        except TaskError as error:
            raise TaskError(error.what, where=f"{output}, which was not written", hint=error.hint) from error
