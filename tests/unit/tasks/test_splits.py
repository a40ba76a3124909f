from __future__ import annotations

import importlib.util
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammal.tasks.declaration.schema import DataConfig
from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.sequences.clusters import by_kmers, jaccard_of
from mammal.tasks.splits import PARTS, Split, fill, leakage, split_frame

SMILES = ["CCO", "CCN", "c1ccccc1C", "c1ccccc1O", "c1ccccc1N", "C1CCNCC1", "C1CCNCC1C", "c1ccncc1", "CC(=O)O", "CCCC"]


def config(**declared: Any) -> DataConfig:
    return DataConfig(**{"fractions": [0.6, 0.2, 0.2], **declared})


def rows_of(split: Split) -> list[int]:
    return sorted(row for part in PARTS for row in split.parts[part].tolist())


@pytest.mark.parametrize("way", ["random", "scaffold", "cluster"])
def test_every_row_is_in_one_part_and_the_hash_is_stable(way: str):
    frame = pd.DataFrame({"smiles": SMILES})
    first, again = (split_frame(frame, config(split=way), "smiles") for _ in range(2))
    assert rows_of(first) == list(range(len(SMILES)))
    assert first.hash == again.hash and len(first.hash) == 64


def test_another_seed_is_another_random_split():
    frame = pd.DataFrame({"smiles": SMILES})
    hashes = {split_frame(frame, config(split="random", split_seed=seed)).hash for seed in range(4)}
    assert len(hashes) > 1


def test_a_scaffold_is_in_one_part_only():
    from mammal.tasks.molecules.chemistry import murcko_scaffold

    split = split_frame(pd.DataFrame({"smiles": SMILES}), config(split="scaffold"), "smiles")
    homes: dict[str | None, set[str]] = {}
    for part in PARTS:
        for row in split.parts[part]:
            homes.setdefault(murcko_scaffold(SMILES[row]), set()).add(part)
    assert all(len(parts) == 1 for parts in homes.values())


def test_invalid_molecules_are_left_out_with_the_reason():
    split = split_frame(pd.DataFrame({"smiles": [*SMILES, "CC(", ""]}), config(split="scaffold"), "smiles")
    assert [row for row, _ in split.left_out] == [10, 11]
    assert "syntax" in split.left_out[0][1] and split.left_out[1][1] == "empty cell"
    assert rows_of(split) == list(range(10))


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("deepchem") is None, reason="deepchem is not installed")
def test_scaffold_split_equals_deepchems():
    rng = np.random.default_rng(0)
    heads, tails = ["C", "CC", "CCC", "N", "O", "CN"], ["c1ccccc1", "C1CCNCC1", "c1ccncc1", "c1ccc2ccccc2c1", "C", "CO"]
    smiles = [
        heads[rng.integers(6)] + tails[rng.integers(6)] + ("Cl" if rng.random() < 0.3 else "") for _ in range(300)
    ]
    frame = pd.DataFrame({"smiles": smiles})
    for fractions in ([0.8, 0.1, 0.1], [0.5, 0.25, 0.25]):
        ours = split_frame(frame, DataConfig(split="scaffold", fractions=fractions), "smiles")
        theirs = split_frame(frame, DataConfig(split="deepchem:ScaffoldSplitter", fractions=fractions), "smiles")
        assert ours.hash == theirs.hash
    with pytest.raises(TaskError, match="ScaffoldSplitter"):
        split_frame(frame, DataConfig(split="deepchem:ScafoldSplitter"), "smiles")


@given(st.lists(st.integers(1, 9), min_size=1, max_size=40))
def test_filling_places_every_row_and_never_exceeds_the_share_of_train(sizes: list[int]):
    starts = np.cumsum([0, *sizes])
    groups = [list(range(a, b)) for a, b in pairwise(starts.tolist())]
    total = int(starts[-1])
    parts = fill(groups, total, [0.7, 0.2, 0.1])
    assert len(parts["train"]) <= 0.7 * total
    assert sorted(np.concatenate(list(parts.values())).tolist()) == list(range(total))


def test_given_splits_accept_common_spellings_and_refuse_others():
    frame = pd.DataFrame({"fold": ["Train", "val", "TEST", "dev"]})
    split = split_frame(frame, config(split="given", split_column="fold"))
    assert [split.parts[part].tolist() for part in PARTS] == [[0], [1, 3], [2]]
    with pytest.raises(DataError, match="'holdout'"):
        split_frame(pd.DataFrame({"split": ["train", "holdout"]}), config(split="given"))
    with pytest.raises(DataError, match="fold"):
        split_frame(frame, config(split="given", split_column="folds"))


@pytest.mark.parametrize(
    ("declared", "on", "message"),
    [
        ({"split": "scafold"}, "smiles", "scaffold"),
        ({"split": "cluster"}, None, "split_on"),
        ({"split": "scaffold"}, "x", "x"),
    ],
)
def test_a_split_that_cannot_be_made_says_why(declared: dict, on: str | None, message: str):
    with pytest.raises((TaskError, DataError), match=message):
        split_frame(pd.DataFrame({"smiles": SMILES}), config(**declared), on)


def random_sequences(count: int, length: int, seed: int = 0) -> list[str]:
    rng = np.random.default_rng(seed)
    return ["".join(rng.choice(list("ACDEFGHIKLMNPQRSTVWY"), length)) for _ in range(count)]


def test_kmers_join_relatives_and_part_strangers():
    families = random_sequences(12, 60)
    relatives = [family[:57] + "WWW" for family in families]
    labels = by_kmers([*families, *relatives, families[0]], 0.6)
    assert (labels[:12] == labels[12:24]).all() and labels[24] == labels[0]
    assert len(set(labels[:12].tolist())) == 12


def test_sequences_alike_never_face_each_other_across_parts():
    families = random_sequences(30, 40, seed=1)
    sequences = [variant for family in families for variant in (family, family[:38] + "GG", family)]
    split = split_frame(pd.DataFrame({"s": sequences}), config(split="cluster", identity=0.7), "s")
    parts = [{row // 3 for row in split.parts[part].tolist()} for part in PARTS]
    assert not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])
    assert leakage(pd.DataFrame({"s": sequences}), split, ["s"], []) == {"test": 0, "valid": 0}


def test_the_mash_model_is_monotone_and_one_at_identity():
    values = [jaccard_of(identity) for identity in (0.3, 0.5, 0.7, 0.9, 1.0)]
    assert values == sorted(values) and values[-1] == 1.0


def test_leakage_counts_molecules_written_in_another_way():
    frame = pd.DataFrame({"drug": ["CCO", "OCC", "C", "N"], "target": ["M", "M", "M", "K"]})
    parts = {"train": np.array([0]), "valid": np.array([2]), "test": np.array([1, 3])}
    assert leakage(frame, Split("by hand", parts), ["drug", "target"], ["drug"]) == {
        "test": 1,
        "valid": 0,
        "test/drug": 1,
        "test/target": 1,
        "valid/drug": 0,
        "valid/target": 1,
    }
