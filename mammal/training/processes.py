"""Identifies the process of a run, even before Lightning has started the others."""

from __future__ import annotations


def is_first() -> bool:
    """Whether this is the first or only process of a run, which writes files and messages."""
    from lightning.pytorch.utilities import rank_zero_only

    return getattr(rank_zero_only, "rank", 0) == 0  # set when the module loads, unknown to type checkers
