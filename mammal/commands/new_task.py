"""Write a task file from the columns of a data file, and report the choices that were made.

    mammal new-task assays.csv                           writes task/assays.yaml
    mammal new-task assays.csv target=ic50 name=my_assay output=configs/task/my_assay.yaml
    mammal new-task assays.csv 'target=herg,nav15'       several targets of one task
    mammal new-task assays.csv overwrite=true            replaces the file that an earlier run wrote
    mammal new-task assays.csv encoding=latin-1          a text file in another encoding than UTF-8
    mammal train --config-dir . task=assays              trains it

The file is a first guess for you to edit. A column has molecules if RDKit can read them, and sequences if their letters
fit; bounds such as `>10` are recognised by their sign, and units by brackets in a column's name. The targets are the
last column with labels or numbers and the columns of the same kind. Columns whose names can't be used in a prompt are
renamed there. More than three columns are targets only if `target=` names them. The positive class of two labels is the
last one of `labels`; it is chosen for common words (`active`, `binder`, `yes`, `toxic`, `1`) and always reported.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from mammal import console
from mammal.commands.task_names import check_name
from mammal.configuration.compose import split_words, true_or_false
from mammal.errors import ConfigError

OPTIONS = ("target", "name", "output", "overwrite", "encoding")


def run(argv: Sequence[str]) -> int:
    files, options = split_words("new-task", argv, OPTIONS)
    if len(files) != 1:
        raise ConfigError("one data file is needed", where="mammal new-task", hint="mammal new-task my.csv")
    return _write(Path(files[0]), options)


def _write(file: Path, options: dict[str, str]) -> int:
    from mammal.commands.guess_task import guess_task
    from mammal.tasks.declaration.registry import list_tasks
    from mammal.tasks.tables.atomic import atomic_file

    if options.get("name"):
        check_name(options["name"], "name")
    guess = guess_task(file, options.get("target"), options.get("name"), options.get("encoding"))
    output = Path(options.get("output", f"task/{guess.name}.yaml")).expanduser()
    path = _path_for(guess.file, output)
    if output.suffix != ".yaml":
        raise ConfigError("a task file ends in .yaml", where=str(output), hint=f"output={output}.yaml")
    if output.exists() and not true_or_false("new-task", options, "overwrite"):
        raise ConfigError("exists already", where=str(output), hint="overwrite=true, or output=ANOTHER.yaml")
    check_name(output.stem, "output")
    text = replace(guess, path=path).yaml()
    for line in guess.decisions:
        console.out(line)
    if path != guess.file:
        console.out(f"data: {path}, the whole path, because the task file is outside of the working folder")
    _check(text, output)
    with atomic_file(output) as partial:
        partial.write_text(text, encoding="utf-8")
    console.out(f"written: {output}; {_next_step(output, everywhere=path.is_absolute())}")
    if output.stem in list_tasks():
        console.note(f"mammal also has a task {output.stem}; with this --config-dir, yours is used instead of it")
    return 0


def _path_for(file: Path, output: Path) -> Path:
    """The path of the table in the task file: as it was given, or the whole path if the task file is written elsewhere.

    A relative path is read from the folder in which a command is run.
    """
    elsewhere = not output.resolve().is_relative_to(Path.cwd())
    return file.resolve() if elsewhere and not file.is_absolute() else file


def _next_step(output: Path, *, everywhere: bool) -> str:
    """The command that trains the task, as a shell reads it.

    Args:
        output: the task file.
        everywhere: the task file has the whole path of its data, so the command names its folder in the same way.
    """
    if output.resolve().parent.name != "task":
        return f"`mammal train` finds it in a folder called task: output=task/{output.name}"
    folder = output.parent.parent if output.parent.name else Path("..")
    if everywhere:
        folder = folder.resolve()
    return f"read it, then: {shlex.join(['mammal', 'train', '--config-dir', str(folder), f'task={output.stem}'])}"


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
