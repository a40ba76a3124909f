from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammal.tasks.batches.token_batches import encode_rows, token_batches
from mammal.tasks.task import Task

LENGTHS = st.lists(st.integers(1, 60), max_size=200)


@given(LENGTHS, st.integers(10, 100), st.integers(1, 9), st.one_of(st.none(), st.integers(0, 9)))
def test_every_row_is_in_one_batch_within_the_budget(lengths: list[int], budget: int, max_rows: int, seed: int | None):
    batches = token_batches(lengths, budget, max_rows=max_rows, window=50, seed=seed)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    assert all(batch and len(batch) <= max_rows for batch in batches)
    assert all(sum(lengths[row] for row in batch) <= budget or len(batch) == 1 for batch in batches)


@given(LENGTHS)
def test_a_batch_holds_rows_of_like_length(lengths: list[int]):
    batches = token_batches(lengths, 100, window=10_000)
    flat = [lengths[row] for batch in batches for row in batch]
    assert flat == sorted(flat)


def test_windows_read_one_by_one_give_the_same_batches():
    lengths = [(7 * i) % 31 + 1 for i in range(100)]
    parts = []
    for start in range(0, 100, 25):
        batches = token_batches(lengths[start : start + 25], 64)
        parts += [[row + start for row in batch] for batch in batches]
    assert token_batches(lengths, 64, window=25) == parts


def test_seeds_shuffle_and_repeat():
    lengths = [(7 * i) % 31 + 1 for i in range(100)]
    first, again, other = (token_batches(lengths, 64, seed=seed) for seed in (1, 1, 2))
    assert first == again != other


@pytest.fixture
def task(make: Callable[..., Task]) -> Task:
    return make("classification", "<SENTINEL_ID_0> {s:peptide}", "<SENTINEL_ID_0> {y:label}", labels=["0", "1"])


CELLS = [("MKT", "1"), ("", "1"), ("MK1", "0"), ("AAA", "2"), ("GG", 0)]
ROWS = [{"s": sequence, "y": label} for sequence, label in CELLS]


def test_each_row_is_encoded_or_set_aside_with_its_reason(task: Task):
    examples, errors = encode_rows(task, ROWS, ["a", "b", "c", "d", "e"], target=True)
    assert [example.row_id for example in examples] == ["a", "e"]
    assert [row_id for row_id, _ in errors] == ["b", "c", "d"]
    reasons = dict(errors)
    assert "empty cell" in reasons["b"] and "'1'" in reasons["c"] and "label '2'" in reasons["d"]


def test_labels_are_not_read_for_predictions(task: Task):
    examples, errors = encode_rows(task, [{"s": "MKT"}, {"s": "AAA", "y": "2"}])
    assert len(examples) == 2 and errors == []


def test_rows_encoded_together_equal_rows_encoded_alone(task: Task):
    rows = [{"s": s, "y": "1"} for s in ("MKT", "AAAA", "G")]
    together, _ = encode_rows(task, rows, target=True)
    for i, example in enumerate(together):
        alone = task.encode(rows[i], i, target=True)
        assert alone.input.ids_L.tolist() == example.input.ids_L.tolist()
        assert alone.targets[0].ids_T.tolist() == example.targets[0].ids_T.tolist() and example.tokens == alone.tokens
