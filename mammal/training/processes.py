"""Which of a run's processes this is, known before Lightning has started the others."""

from __future__ import annotations


def is_first() -> bool:
    """Whether this is the first process of a run, or its only one: the one that writes files and speaks."""
    from lightning.pytorch.utilities import rank_zero_only

    return getattr(rank_zero_only, "rank", 0) == 0  # set when the module loads, unknown to type checkers
