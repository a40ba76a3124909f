"""Which of two labels is the positive class: the one that `probability`, auroc, auprc and f1 are about.

A task declares it by order: the last of two labels is positive. For common pairs of words the meaning is known, so a
task file is written in the right order, and a declared order that contradicts the words is reported.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mammal.tasks.targets.labels import label_key, numeric_text

_PAIRS = {
    ("0", "1"),
    ("-1", "1"),
    ("no", "yes"),
    ("n", "y"),
    ("non", "oui"),
    ("nein", "ja"),
    ("f", "t"),
    ("-", "+"),
    ("negative", "positive"),
    ("neg", "pos"),
    ("off", "on"),
    ("absent", "present"),
    ("fail", "pass"),
    ("failed", "passed"),
    ("low", "high"),
    ("weak", "strong"),
    ("decoy", "active"),
    ("decoy", "ligand"),
    ("decoy", "binder"),
    ("control", "case"),
    ("healthy", "disease"),
    ("healthy", "diseased"),
    ("benign", "malignant"),
    ("benign", "pathogenic"),
    ("safe", "toxic"),
    ("sensitive", "resistant"),
    ("susceptible", "resistant"),
    ("background", "hit"),
    ("miss", "hit"),
    ("wildtype", "mutant"),
    ("wild type", "mutant"),
    ("wild-type", "mutant"),
    ("wt", "mut"),
    ("wt", "mutant"),
}
"""Negative and positive word."""

_NEGATIONS = ("non", "not", "no", "in", "im", "ir", "un")
"""What turns a word into its opposite: `inactive`, `non-binder`, `not toxic`, `impermeable`."""


def known_positive(labels: Sequence[str]) -> str | None:
    """The label that is positive by the meaning of the words, such as `active` of `active` and `inactive`.

    Args:
        labels: the two labels of a task, in any order.

    Returns:
        One of the labels; None if there are not two, or the words do not say.
    """
    if len(labels) != 2:
        return None
    for negative, positive in (labels, labels[::-1]):
        if _is_pair(_word(negative), _word(positive)):
            return positive
    return None


def positive_last(labels: Sequence[str]) -> tuple[str, ...]:
    """The labels with the positive one at the end, if the words say which one it is; otherwise in the order given."""
    positive = known_positive(labels)
    return tuple(labels) if positive is None else tuple(sorted(labels, key=lambda label: label == positive))


def _is_pair(negative: str, positive: str) -> bool:
    if (negative, positive) in _PAIRS:
        return True
    if negative[:-1] == positive[:-1] and (negative[-1:], positive[-1:]) == ("-", "+"):  # BBB- and BBB+
        return True
    bare = _bare(positive)
    return len(bare) > 1 and _bare(negative) in {f"{negation}{bare}" for negation in _NEGATIONS}


def _word(label: str) -> str:
    return label_key(numeric_text(label.strip())).casefold()


def _bare(word: str) -> str:
    return re.sub(r"[\W_]+", "", word)
