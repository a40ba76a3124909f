"""The table of `mammal tasks`: all tasks that can be trained, grouped by what they read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from mammal import console
from mammal.bundle.locate import shipped_heads
from mammal.errors import ConfigError, MammalError, did_you_mean
from mammal.tasks import catalogue
from mammal.tasks.declaration.schema import KINDS, TaskConfig, unit_text

HEADER = ("task", "answer", "data", "split", "metric", "published", "licence")
WIDTHS = (25, 18, 20, 8, 10, 13, 14)
"""Widths to which cells are cut, so that a line has at most 120 characters."""

FORMATS = ("table", "markdown")
FILTERS = {"modality": catalogue.MODALITIES, "kind": tuple(KINDS)}


def print_tasks(options: Mapping[str, str], config_dirs: Sequence[Path] = ()) -> None:
    """Prints a table of tasks.

    Args:
        options: `modality` and `kind` select tasks, `format` is one of `FORMATS`.
        config_dirs: folders of the user with `task/*.yaml`.

    Raises:
        ConfigError: an option has an invalid value.
    """
    shape = _choice("format", options.get("format", FORMATS[0]), FORMATS)
    wanted = {key: _choice(key, options[key], valid) for key, valid in FILTERS.items() if key in options}
    tasks, broken = read_all_tasks(config_dirs)
    tasks = [task for task in tasks if _fits(task, wanted)]
    if shape == "markdown":
        console.out("\n".join(tasks_markdown(tasks)))
        return
    console.table(_rows(tasks), HEADER)
    for name, error in broken.items():
        console.note(f"broken: {name}: {error}")
    console.out(
        f"\n{len(tasks)} tasks. mammal tasks NAME shows one; modality= and kind= select; docs/data.md has more details"
    )
    if ready := len(shipped_heads().keys() & {task.name for task in tasks}):
        console.out(f"{ready} of them can predict without training: mammal info shows the shipped heads")


def read_all_tasks(config_dirs: Sequence[Path] = ()) -> tuple[list[TaskConfig], dict[str, str]]:
    """Reads all tasks of the package and of the user's folders.

    Args:
        config_dirs: folders of the user with `task/*.yaml`.

    Returns:
        The tasks, and for each task that can't be read the reason.
    """
    from mammal.tasks.declaration.registry import list_tasks as files
    from mammal.tasks.declaration.registry import load_task

    tasks, broken = [], {}
    for name, file in files(config_dirs).items():
        try:
            tasks.append(_checked(file, load_task(file)))
        except MammalError as error:
            broken[name] = str(error)
    return tasks, broken


def _checked(file: Path, task: TaskConfig) -> TaskConfig:
    """Sets the name of a task to that of its file, which the command line uses, and checks its prompt."""
    catalogue.modality(task)
    task.name = file.stem
    return task


def _fits(task: TaskConfig, wanted: Mapping[str, str]) -> bool:
    found = ((catalogue.modality(task) if key == "modality" else task.kind, value) for key, value in wanted.items())
    return all(fact == value for fact, value in found)


def _rows(tasks: Sequence[TaskConfig]) -> list[Sequence[str]]:
    rows: list[Sequence[str]] = []
    for name, of_it in _by_modality(tasks).items():
        rows.append((f"{name} ({len(of_it)})",))
        for task in of_it:
            origin = task.data.source if task.data.name == task.name else catalogue.source(task)
            cells = [f"  {task.name}", catalogue.what_is_predicted(task), origin, task.data.split]
            cells += [catalogue.measure(task), catalogue.published(task), _in_short(task.licence)]
            rows.append([_cut(cell, width) for cell, width in zip(cells, WIDTHS, strict=True)])
    return [[*row, *[""] * (len(HEADER) - len(row))] for row in rows]


def _by_modality(tasks: Sequence[TaskConfig]) -> dict[str, list[TaskConfig]]:
    """The tasks of each modality that has some, in the order of `catalogue.MODALITIES`."""
    groups: dict[str, list[TaskConfig]] = {name: [] for name in catalogue.MODALITIES}
    for task in tasks:
        groups[catalogue.modality(task)].append(task)
    return {name: of_it for name, of_it in groups.items() if of_it}


def tasks_markdown(tasks: Sequence[TaskConfig]) -> list[str]:
    """Returns the lines of the tables in docs/data.md, one table for each modality.

    Args:
        tasks: the tasks.
    """
    lines: list[str] = []
    for name, of_it in _by_modality(tasks).items():
        lines += [f"### {name}", "", "| task | what | data | split | metric | published | licence; citation |"]
        lines += ["|" + "---|" * 7]
        lines += [_markdown_row(task) for task in of_it] + [""]
    return lines[:-1]


def _markdown_row(task: TaskConfig) -> str:
    paper = task.published
    figure = f"{catalogue.published(task)}: {paper.source}, {paper.split}" if paper.figure is not None else paper.source
    unit = unit_text(task.unit)
    metric = f"{catalogue.measure(task)} ({unit})" if unit else catalogue.measure(task)
    rights = "; ".join(filter(None, (task.licence, task.citation)))
    cells = (f"`{task.name}`", task.about, catalogue.source(task), task.data.split, metric, figure or "–", rights)
    return "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |"


def _in_short(licence: str | None) -> str:
    """Returns the first words of a licence, such as `MIT` for `MIT (the repository); …`."""
    text = licence or "–"
    return text[: min(text.find(mark) % (len(text) + 1) for mark in (" (", ";", ","))]


def _cut(cell: str, width: int) -> str:
    return cell if len(cell) <= width else f"{cell[: width - 1]}…"


def _choice(key: str, value: str, valid: Sequence[str]) -> str:
    known = {choice.lower(): choice for choice in valid}
    if value.lower() not in known:
        hint = did_you_mean(value, valid, noun=key)
        raise ConfigError(f"{key} can't be {value!r}", where="mammal tasks", hint=hint)
    return known[value.lower()]
