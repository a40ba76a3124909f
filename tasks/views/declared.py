"""What `views` and `view` of a task declaration may look like, before any prompt is known."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

from mammal.tasks.errors import TaskError


def check_views(views: Mapping[str, Any], view: Any, where: str | None) -> None:
    """Refuses what can't be read as views, whatever the prompt is.

    Raises:
        TaskError: names the key.
    """
    hint = "views: {mol: [smiles, iupac]}, or {mol: {smiles: 1, iupac: 2}}"
    for column, told in views.items():
        names = list(told) if isinstance(told, Mapping | list) else []
        if not names or len(set(names)) < len(names) or not all(isinstance(name, str) for name in names):
            raise TaskError(f"views.{column} is {told!r}", where=where, hint=hint)
        for weight in told.values() if isinstance(told, Mapping) else ():
            if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < inf:
                raise TaskError(
                    f"the share of a view must be a positive number, not {weight!r}", where=where, hint=hint
                )
    if not (view is None or isinstance(view, str | Mapping)):
        hint = "a name, or a mapping from columns to names"
        raise TaskError(f"view is {view!r}", where=where, hint=hint)
