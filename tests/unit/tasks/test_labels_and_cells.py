from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.tables.cells import as_number, as_text, cell, is_missing
from mammal.tasks.targets.labels import CodeBook, LabelSet
from mammal.tokenization.template import label_code


@pytest.mark.parametrize(
    "value", [None, "", "  ", float("nan"), np.float64("nan"), pd.NA, pd.NaT, np.datetime64("NaT")]
)
def test_missing_cells(value: object):
    assert is_missing(value)


@pytest.mark.parametrize("value", ["NA", "nan", "None", 0, 0.0, False, "0", np.int64(0)])
def test_cells_that_only_look_missing(value: object):
    assert not is_missing(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (" CCO ", "CCO"),
        (1.0, "1"),
        (np.float64(2.0), "2"),
        (np.int64(7), "7"),
        (1.5, "1.5"),
        (True, "1"),
        ("1.0", "1.0"),
    ],
)
def test_text_of_cells(value: object, text: str):
    assert as_text(value) == text


@pytest.mark.parametrize("value", ["warm", "", "inf", float("nan"), None, "1,5"])
def test_numbers_must_be_finite(value: object):
    with pytest.raises(DataError, match="column tm"):
        as_number(value, "tm")


def test_a_cell_is_found_under_either_name_and_a_missing_column_suggests_one():
    assert cell({"SMILES": "C"}, "smiles", {"smiles": "SMILES"}) == "C"
    assert cell({"smiles": "N", "SMILES": "C"}, "smiles", {"smiles": "SMILES"}) == "N"
    with pytest.raises(DataError, match="smiles"):
        cell({"smile": "C"}, "smiles", {})


@pytest.mark.parametrize("value", ["1", 1, 1.0, "1.0", True, "True", np.int64(1)])
def test_a_label_is_recognised_however_the_file_types_it(value: object):
    assert LabelSet(["0", "1"]).index(value, "y") == 1


def test_exact_spelling_wins_over_numeric_equality():
    labels = LabelSet(["1", "1.0", "01"])
    assert [labels.index(text, "y") for text in ("1", "1.0", "01")] == [0, 1, 2]


def test_a_label_outside_the_set_suggests_one():
    with pytest.raises(DataError, match="soluble"):
        LabelSet(["soluble", "insoluble"]).index("solubl", "y")


def book(classes: int) -> CodeBook:
    """Codes as digits 100 + d behind a prefix of 7 and before an end of 9."""
    codes = [[100 + int(digit) for digit in label_code(i, classes)] for i in range(classes)]
    return CodeBook.from_targets([np.array([7, *code, 9]) for code in codes])


@pytest.mark.parametrize(
    ("classes", "width", "rows"), [(2, 1, 1), (10, 1, 1), (11, 2, 2), (101, 3, 11), (1195, 4, 120)]
)
def test_code_books_find_prefix_and_codes(classes: int, width: int, rows: int):
    found = book(classes)
    assert found.prefix.tolist() == [7]
    assert found.width == width and len(found.prefixes_P) == rows
    assert found.codes_CW.shape == (classes, width)


@given(st.integers(2, 400), st.data())
def test_probabilities_over_the_trie_sum_to_one(classes: int, data: st.DataObject):
    found = book(classes)
    seed = data.draw(st.integers(0, 2**16))
    tokens = len(found.tokens_V)
    logits_PWV = np.random.default_rng(seed).normal(size=(len(found.prefixes_P), found.width, tokens)) * 3
    # Rows that share a prefix see the same decoder inputs up to there, so a causal model gives them the same logits.
    for step in range(found.width):
        seen: dict[tuple[int, ...], int] = {}
        for row, c in enumerate(found.prefixes_P):
            first = seen.setdefault(tuple(found.codes_CW[c, :step]), row)
            logits_PWV[row, step] = logits_PWV[first, step]
    total = 0.0
    for c in range(classes):
        p = 1.0
        for step in range(found.width):
            scores = logits_PWV[found.readers_CW[c, step], step]
            exp = np.where(found.valid_CWV[c, step], np.exp(scores), 0)
            p *= exp[found.columns_CW[c, step]] / exp.sum()
        total += p
    assert math.isclose(total, 1.0, rel_tol=1e-9)


def test_codes_of_unequal_length_or_equal_tokens_are_refused():
    with pytest.raises(TaskError, match="equal width"):
        CodeBook.from_targets([np.array([7, 1, 9]), np.array([7, 1, 1, 9])])
    with pytest.raises(TaskError, match="the same for every class"):
        CodeBook.from_targets([np.array([7, 1, 9]), np.array([7, 1, 9])])
    with pytest.raises(TaskError, match="same tokens"):
        CodeBook.from_targets([np.array([7, 1, 9]), np.array([7, 2, 9]), np.array([7, 1, 9])])
