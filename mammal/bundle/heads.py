"""Heads that are installed with the package: adapter bundles of tasks on a shipped encoder, found by their task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mammal.bundle.lazy_tasks import stored_configs
from mammal.bundle.locate import JOINS, METRICS, TASKS, shipped_heads
from mammal.errors import BundleError, ConfigError
from mammal.files import read_json
from mammal.tasks.declaration.schema import unit_text
from mammal.tasks.metrics.undefined import estimate_text, is_estimate
from mammal.tokenization.errors import likely_names

ENCODER = "mammal-tiny"
"""Name of the shipped bundle whose encoder the shipped heads read."""

FITTED_ROWS = "fitted_rows"
"""Entry of a part in `metrics.json`: number of rows that the model was fitted on after its figures were measured."""

_MODEL = "MAMMAL"


@dataclass(frozen=True)
class Head:
    """A shipped head.

    Attributes:
        name: name of its task, under which it is found.
        about: what it predicts.
        unit: unit of its numbers; empty for classes.
        rows: number of rows that it was fitted on; None: unknown.
        figure: its first metric on held-out rows, with the 95 % interval and the split; empty if it was not evaluated.
        folder: its folder.
    """

    name: str
    about: str
    unit: str
    rows: int | None
    figure: str
    folder: Path

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(file.stat().st_size for file in self.folder.rglob("*") if file.is_file())

    @property
    def line(self) -> str:
        """What it predicts, and how well, in one line."""
        rows = "" if self.rows is None else f"{self.rows:,} rows"
        unit = f"in {self.unit}" if self.unit else ""
        return "; ".join(filter(None, (f"{self.name}: {self.about}", unit, rows, self.figure)))


def read_heads() -> list[Head]:
    """Returns the heads that are installed with the package, in alphabetical order.

    Raises:
        BundleError: a file of a head is damaged.
    """
    return [read_head(folder) for folder in shipped_heads().values()]


def read_head(folder: Path) -> Head:
    """Returns what a head is, from its `task.yaml` and `metrics.json`.

    Args:
        folder: folder of the head.

    Raises:
        BundleError: a file is damaged, or the only task does not have the name of the folder.
    """
    configs = stored_configs(folder / TASKS)
    if list(configs) != [folder.name]:
        what = f"a head has one task, which has the name of its folder; this one has {', '.join(configs) or 'none'}"
        raise BundleError(what, where=str(folder))
    config = configs[folder.name]
    metrics = read_json(folder / METRICS) if (folder / METRICS).is_file() else {}
    facts = (metrics.get(folder.name) or {}).get("test") or {}
    about = (config.about or folder.name).split("; ")[0]
    figure = _figure(facts, config.metrics)
    return Head(folder.name, about, unit_text(config.unit), facts.get(FITTED_ROWS), figure, folder)


def _figure(facts: Mapping[str, Any], names: Sequence[str]) -> str:
    figures = facts.get(_MODEL) or {}
    name = next((name for name in names if name in figures), next(iter(figures), None))
    if name is None or not is_estimate(figures[name]):
        return ""
    estimate = estimate_text(figures[name], lambda number: f"{number:.3g}")
    return f"{name} {estimate} on {facts.get('rows', 0):,} test rows, split {facts.get('split', '')}"


def head_bundle(bundle: str | None, task: Any, verb: str) -> str:
    """Returns the bundle that answers: the given one, else the shipped heads of the tasks.

    Args:
        bundle: `bundle=` of the command; None: not given.
        task: `task=` of the command: a name, several names, or None.
        verb: the verb, for errors.

    Raises:
        ConfigError: no bundle is given, and a task has no shipped head, or no task is named.
    """
    if bundle is not None:
        return bundle
    heads, where = shipped_heads(), f"mammal {verb}"
    names = [task] if isinstance(task, str) else list(task or ())
    if not names:
        raise ConfigError("a bundle or the task of a shipped head is needed", where=where, hint=_known(heads))
    for name in names:
        if str(name) not in heads:
            raise ConfigError(
                f"no bundle is given, and no head of {name} ships with the package",
                where=where,
                hint=f"{_known(heads, str(name))}; mammal train task={name} init={ENCODER} adapt=probe output=my_run "
                f"trains one, and bundle=my_run uses it",
            )
    return JOINS.join(map(str, names))


def _known(heads: Mapping[str, Path], name: str | None = None) -> str:
    if not heads:
        return "bundle=FOLDER; no head ships with this installation"
    near = "bundle=FOLDER, or task=NAME" if name is None else likely_names(name, heads)
    return "; ".join(filter(None, (near, f"shipped heads: {', '.join(heads)}")))
