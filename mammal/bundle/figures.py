"""Figures that are measured after a bundle was written go into its `metrics.json` and its model card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from mammal.bundle.card import with_figures
from mammal.bundle.locate import CARD, METRICS, TASKS
from mammal.errors import BundleError
from mammal.files import read_json
from mammal.tasks.tables.atomic import atomic_file


def add_figures(folder: Path, found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Writes figures into `metrics.json` and the model card of a bundle.

    Figures of a task that is not of the bundle are left out, and those of a task whose rows are split otherwise than
    the bundle records: it may have been trained on rows that they were measured on.

    Args:
        folder: of the bundle.
        found: task -> part -> figures, as in `metrics.json`.

    Returns:
        The tasks whose figures were written.

    Raises:
        BundleError: a file of the bundle is damaged or can't be written.
    """
    metrics = read_json(folder / METRICS) if (folder / METRICS).is_file() else {}
    own = _task_names(folder / TASKS)
    added = [task for task, parts in found.items() if task in own and _same_split(metrics.get(task), parts)]
    for task in added:
        metrics[task] = {**(metrics.get(task) or {}), **found[task]}
    if not added:
        return []
    try:
        with atomic_file(folder / METRICS) as partial:
            partial.write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
        if (folder / CARD).is_file():
            text = with_figures((folder / CARD).read_text(encoding="utf-8"), metrics)
            with atomic_file(folder / CARD) as partial:
                partial.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BundleError(f"can't be written: {error.strerror or error}", where=str(folder)) from error
    return added


def _task_names(file: Path) -> set[str]:
    stored = yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else None
    return set((stored or {}).get("tasks") or {})


def _same_split(recorded: Any, found: Mapping[str, Any]) -> bool:
    """Whether the figures of a task are of the split that the bundle records, or it records none."""
    known, now = (
        {part["split_hash"] for part in parts.values() if isinstance(part, Mapping) and part.get("split_hash")}
        for parts in (recorded if isinstance(recorded, Mapping) else {}, found)
    )
    return not known or known == now
