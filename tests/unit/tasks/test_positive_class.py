"""Which of two labels is positive, which cells have no label, and which spellings are one label."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mammal.tasks.declaration.registry import list_tasks, load_task
from mammal.tasks.targets.labels import LabelSet
from mammal.tasks.targets.measurements import Measurements
from mammal.tasks.targets.positive import known_positive, positive_last


@pytest.mark.parametrize(
    ("negative", "positive"),
    [
        ("inactive", "active"),
        ("Inactive", "ACTIVE"),
        ("non-binder", "binder"),
        ("nonbinder", "binder"),
        ("no", "yes"),
        ("nontoxic", "toxic"),
        ("not toxic", "toxic"),
        ("non_toxic", "toxic"),
        ("false", "true"),
        ("False", "True"),
        ("negative", "positive"),
        ("insoluble", "soluble"),
        ("impermeable", "permeable"),
        ("unstable", "stable"),
        ("0", "1"),
        ("-1", "1"),
        ("-", "+"),
        ("N", "Y"),
    ],
)
def test_the_positive_of_a_known_pair_is_last_however_it_is_given(negative: str, positive: str):
    assert known_positive([negative, positive]) == known_positive([positive, negative]) == positive
    assert positive_last([positive, negative]) == positive_last([negative, positive]) == (negative, positive)


@pytest.mark.parametrize("labels", [["cis", "trans"], ["hibitor", "tor"], ["a", "ina"], ["red", "green", "non-red"]])
def test_nothing_is_said_of_other_labels(labels: list[str]):
    assert known_positive(labels) is None and positive_last(labels) == tuple(labels)


def test_tasks_that_ship_have_the_positive_class_last():
    for name in list_tasks():
        labels = load_task(name).labels
        assert known_positive(labels) in (None, labels[-1] if labels else None), name


@pytest.mark.parametrize(
    "word", ["NA", "N/A", "nan", "NaN", "null", "None", "n.d.", "?", "-", " NA ", "", float("nan")]
)
def test_words_for_missing_are_no_label(word: object):
    assert LabelSet(["0", "1"]).index_or_missing(word, "y") == -1


def test_a_word_for_missing_that_is_declared_is_a_label():
    assert LabelSet(["-", "+"]).index_or_missing("-", "charge") == 0
    assert LabelSet(["EU", "NA"]).index_or_missing("NA", "region") == 1
    assert LabelSet(["EU", "NA"]).index_or_missing("", "region") == -1


def test_one_label_in_several_spellings():
    labels = LabelSet(["inactive", "active"])
    assert [labels.index(text, "y") for text in ("Active", "ACTIVE ", "InActive")] == [1, 1, 0]
    assert [LabelSet(["a", "A"]).index(text, "y") for text in ("a", "A")] == [0, 1]


def test_words_for_missing_are_no_measurement():
    task = load_task("esol")
    column = "y"
    numbers_K, _ = Measurements(task, [column]).of({column: "ND"})
    assert math.isnan(numbers_K[0])
    numbers_NK, _ = Measurements(task, [column]).table([{column: "n/a"}, {column: "2.5"}, {column: "warm"}])
    np.testing.assert_array_equal(numbers_NK[:, 0], [np.nan, 2.5, np.nan])


@pytest.mark.parametrize("positive", ["BBB+", "+", "mutant", "Mutant"])
def test_signs_and_mutants(positive: str) -> None:
    negative = {"BBB+": "BBB-", "+": "-", "mutant": "wild type", "Mutant": "wildtype"}[positive]
    assert known_positive([positive, negative]) == known_positive([negative, positive]) == positive
    assert known_positive(["A+", "B-"]) is None and known_positive(["x-", "x*"]) is None
