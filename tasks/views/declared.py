"""Check of the form of `views` and `view` in a task declaration, without the prompt."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import Any

from mammal.tasks.errors import TaskError


def check_views(views: Mapping[str, Any], view: Any, where: str | None) -> None:
    """Checks that `views` and `view` have a valid form; whether the prompt has these views is not checked here.

    Args:
        views: views of each column.
        view: the view that is shown outside training.
        where: the file, for error messages.

    Raises:
        TaskError: a value has the wrong form; the message names the key.
    """
    hint = "views: {mol: [smiles, iupac]}, or {mol: {smiles: 1, iupac: 2}}"
    for column, given in views.items():
        names = list(given) if isinstance(given, Mapping | list) else []
        if not names or len(set(names)) < len(names) or not all(isinstance(name, str) for name in names):
            raise TaskError(f"views.{column} is {given!r}", where=where, hint=hint)
        for weight in given.values() if isinstance(given, Mapping) else ():
            if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < inf:
                raise TaskError(
                    f"the share of a view must be a positive number, not {weight!r}", where=where, hint=hint
                )
    if not (view is None or isinstance(view, str | Mapping)):
        hint = "a name, or a mapping from columns to names"
        raise TaskError(f"view is {view!r}", where=where, hint=hint)
