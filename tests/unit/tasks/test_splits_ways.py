"""Splits by column, fold, label, time, group and cold entity: what parts may share, and which rows are left out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mammal.tasks.declaration.schema import DataConfig
from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.splits import PARTS, Split, split_frame
from mammal.tasks.splits.split import cuts


def split(frame: pd.DataFrame, *, on: Any = None, targets: Any = (), molecules: Any = (), **declared: Any) -> Split:
    data = DataConfig(**{"fractions": [0.6, 0.2, 0.2], **declared})
    return split_frame(frame, data, on, targets=targets, molecules=molecules)


def values(frame: pd.DataFrame, made: Split, column: str) -> list[set[Any]]:
    return [set(frame[column].iloc[made.parts[part]]) for part in PARTS]


def disjoint(sets: list[set[Any]]) -> bool:
    return sum(map(len, sets)) == len(set.union(*sets))


@pytest.mark.parametrize("column", ["split", "Split", "SET", "partition", "Data Split"])
def test_a_split_column_is_found_by_its_usual_names(column: str):
    made = split(pd.DataFrame({"x": list("abcd"), column: ["train", "Training", "VAL", "tst"]}), split="given")
    assert [made.parts[part].tolist() for part in PARTS] == [[0, 1], [2], [3]]


def test_a_column_that_says_something_else_is_no_split_column():
    frame = pd.DataFrame({"set": ["kinases", "proteases"], "partition": ["train", "test"]})
    assert split(frame, split="given").how == "given by partition"
    with pytest.raises(DataError, match="no column 'split'"):
        split(frame.drop(columns="partition"), split="given")


def test_rows_that_a_given_split_says_nothing_of_are_left_out():
    made = split(pd.DataFrame({"split": ["train", "", "test", None]}), split="given")
    assert made.left_out == [(1, "column 'split' is empty"), (3, "column 'split' is empty")]
    with pytest.raises(DataError, match=r"data\.split=fold"):
        split(pd.DataFrame({"split": ["0", "1"]}), split="given")


def test_a_published_split_without_validation_takes_a_share_of_train():
    frame = pd.DataFrame({"split": ["train"] * 10 + ["test"] * 5})
    made = split(frame, split="given", valid_share=0.2)
    assert [len(made.parts[part]) for part in PARTS] == [8, 2, 5]
    assert made.parts["test"].tolist() == list(range(10, 15))
    assert len(split(frame, split="given").parts["valid"]) == 0


def test_folds_of_a_column_rotate():
    frame = pd.DataFrame({"fold": [0, 1, 2, 3, 4, 10] * 2})
    by = {"split": "fold", "split_column": "fold"}
    last = split(frame, **by)
    assert values(frame, last, "fold") == [{0, 1, 2, 3}, {4}, {10}], "folds are numbers, not words"
    first = split(frame, **by, fold="0")
    assert values(frame, first, "fold") == [{1, 2, 3, 4}, {10}, {0}]
    assert values(frame, split(frame, **by, fold="0", valid_fold="2.0"), "fold")[1] == {2}


def test_a_test_fold_among_numbered_ones_is_test():
    frame = pd.DataFrame({"split": ["0", "1", "2", "test"]})
    assert values(frame, split(frame, split="fold", split_column="split"), "split") == [{"0", "1"}, {"2"}, {"test"}]


def test_two_folds_leave_no_validation_unless_it_is_named():
    made = split(pd.DataFrame({"part": ["a", "b", "a"]}), split="fold", split_column="part")
    assert [len(made.parts[part]) for part in PARTS] == [2, 0, 1]


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"split_column": "fold", "fold": "7"}, "no fold '7'"),
        ({"split_column": "fold", "fold": "1", "valid_fold": "1"}, "both test and valid"),
        ({"split_column": "foldd"}, "did you mean fold"),
        ({"split_column": "same"}, "1 fold"),
        ({"folds": 1}, "data.folds"),
    ],
)
def test_folds_that_cannot_be_used_say_why(declared: dict, message: str):
    with pytest.raises((TaskError, DataError), match=message):
        split(pd.DataFrame({"fold": [0, 1, 2], "same": [5, 5, 5]}), split="fold", **declared)


def test_seeded_folds_test_every_row_once():
    frame = pd.DataFrame({"x": range(23)})
    tests = [split(frame, split="fold", fold=str(fold)).parts["test"] for fold in range(5)]
    assert sorted(np.concatenate(tests).tolist()) == list(range(23))
    assert {len(rows) for rows in tests} == {4, 5}


@pytest.mark.parametrize("way", ["random", "fold"])
@pytest.mark.parametrize("seed", range(3))
def test_a_stratified_split_keeps_the_share_of_a_rare_class(way: str, seed: int):
    frame = pd.DataFrame({"y": ["yes"] * 20 + ["no"] * 180})
    made = split(frame, split=way, stratify=True, split_seed=seed, targets=["y"], fractions=[0.6, 0.2, 0.2])
    sizes = [len(made.parts[part]) for part in PARTS]
    assert sizes == [120, 40, 40]
    shares = [(frame.y.iloc[made.parts[part]] == "yes").sum() for part in PARTS]
    assert all(abs(found - wanted) <= 1 for found, wanted in zip(shares, [12, 4, 4], strict=True))


def test_numbers_are_stratified_by_their_size():
    frame = pd.DataFrame({"y": np.arange(500) ** 2 / 7})
    made = split(frame, split="random", stratify=True, targets=["y"])
    middle = [(frame.y.iloc[made.parts[part]] > frame.y.median()).mean() for part in PARTS]
    assert np.allclose(middle, 0.5, atol=0.03)
    with pytest.raises(TaskError, match="stratify"):
        split(frame, split="random", stratify=True)


@pytest.mark.parametrize(
    "when",
    [
        list(range(1990, 2010)),
        [f"20{n:02d}-03-01" for n in range(20)],
        [f"2020-01-{n + 1:02d}T10:00:00Z" for n in range(20)],
    ],
)
def test_time_goes_forward_from_train_to_test(when: list[Any]):
    order = np.random.default_rng(0).permutation(20)
    frame = pd.DataFrame({"when": [when[i] for i in order]})
    made = split(frame, split="time", split_column="when")
    train, valid, test = values(frame, made, "when")
    assert [len(train), len(valid), len(test)] == [12, 4, 4]
    assert max(train) < min(valid) and max(valid) < min(test)


def test_equal_times_stay_together_and_unknown_ones_are_left_out():
    frame = pd.DataFrame({"year": [2001] * 7 + [2002] * 6 + [2003] * 2 + [None]})
    made = split(frame, split="time", split_column="year")
    assert disjoint(values(frame, made, "year")) and all(len(made.parts[part]) for part in PARTS)
    assert made.left_out == [(15, "column 'year' is empty")]


@pytest.mark.parametrize(
    ("declared", "message"),
    [({"split_column": "d"}, "not an ISO date"), ({}, "needs a column"), ({"split_column": "x"}, "no column 'x'")],
)
def test_times_that_cannot_be_read_are_reported(declared: dict, message: str):
    with pytest.raises((TaskError, DataError), match=message):
        split(pd.DataFrame({"d": ["2020-01-01", "03/04/2020"]}), split="time", **declared)


def test_groups_stay_together_and_molecules_are_grouped_in_any_spelling():
    rng = np.random.default_rng(1)
    frame = pd.DataFrame({"assay": rng.integers(0, 40, 200).astype(str)})
    made = split(frame, split="group", split_column="assay")
    assert disjoint(values(frame, made, "assay"))
    assert sorted(np.concatenate(list(made.parts.values())).tolist()) == list(range(200))
    spelt = pd.DataFrame({"smiles": ["CCO", "OCC", "C", "N", "O", "CN", "NC"]})
    for seed in range(5):
        homes = split(spelt, split="group", split_column="smiles", molecules=["smiles"], split_seed=seed).parts
        part_of = {row: part for part, rows in homes.items() for row in rows.tolist()}
        assert part_of[0] == part_of[1] and part_of[5] == part_of[6]


def pairs() -> pd.DataFrame:
    """30 drugs by 20 targets; each drug is spelt in two ways."""
    drugs = [("C" * (n + 1) + "O", "O" + "C" * (n + 1)) for n in range(30)]
    lines = [(drugs[d][(d + t) % 2], f"M{'AG' * (t + 1)}") for d in range(30) for t in range(20)]
    return pd.DataFrame(lines, columns=["drug", "target"])


@pytest.mark.parametrize("column", ["drug", "target"])
def test_one_cold_entity_is_new_in_every_part(column: str):
    from mammal.tasks.molecules.chemistry import canonical_or_none

    frame = pairs()
    made = split(frame, split="cold", split_on=column, molecules=["drug"])
    assert not made.left_out and sum(map(len, made.parts.values())) == len(frame)
    keys = frame.assign(drug=[canonical_or_none(smiles) for smiles in frame.drug])
    sets = values(keys, made, column)
    assert disjoint(sets)
    assert [len(found) for found in sets] == ([18, 6, 6] if column == "drug" else [12, 4, 4])


def test_two_cold_entities_are_both_new_and_mixed_pairs_are_counted():
    frame = pairs()
    made = split(frame, split="cold", split_on=["drug", "target"], molecules=["drug"])
    assert disjoint(values(frame, made, "target"))
    assert [len(made.parts[part]) for part in PARTS] == [18 * 12, 6 * 4, 6 * 4]
    assert len(made.left_out) == 600 - 216 - 24 - 24
    assert "different parts: drug is of" in made.left_out[0][1]
    unnamed = split(frame, on=["drug", "target"], split="cold", molecules=["drug"])
    assert unnamed.hash == made.hash, "without split_on all entities of the prompt are cold"


def test_a_value_of_both_sides_of_a_pair_is_cold_on_either():
    proteins = [f"P{n}" for n in range(30)]
    frame = pd.DataFrame([(a, b) for a in proteins for b in proteins if a != b], columns=["a", "b"])
    made = split(frame, split="cold", split_on=["a", "b"])
    either = [a | b for a, b in zip(values(frame, made, "a"), values(frame, made, "b"), strict=True)]
    assert disjoint(either) and [len(found) for found in either] == [18, 6, 6]


def test_a_cold_split_does_not_depend_on_the_order_of_rows():
    frame = pairs()
    shuffled = frame.sample(frac=1, random_state=3)
    first, second = (split(f, split="cold", split_on="target", molecules=["drug"]) for f in (frame, shuffled))
    assert values(frame, first, "target") == values(shuffled, second, "target")


@pytest.mark.parametrize("way", ["random", "cold", "time"])
@pytest.mark.parametrize("rows", [3, 4, 5])
def test_a_handful_of_rows_still_fills_every_part(way: str, rows: int):
    frame = pd.DataFrame({"x": [f"M{n}" for n in range(rows)], "year": range(rows)})
    made = split(frame, split=way, split_on="x", split_column="year", fractions=[0.8, 0.1, 0.1])
    assert all(len(made.parts[part]) for part in PARTS)


def test_a_part_without_a_share_stays_empty():
    assert cuts(10, [1, 0, 0]) == (10, 10)
    assert cuts(2, [0.9, 0, 0.1]) == (1, 1)
    assert cuts(1, [0.8, 0.1, 0.1])[0] in (0, 1) and cuts(0, [0.8, 0.1, 0.1]) == (0, 0)


def test_only_a_cold_split_takes_several_columns():
    frame = pd.DataFrame({"a": ["CCO"], "b": ["CC"]})
    with pytest.raises(TaskError, match="cold takes several"):
        split(frame, split="scaffold", split_on=["a", "b"])
    with pytest.raises(TaskError, match="needs a column"):
        split(frame, split="group")
