"""Receptors and antibodies: published folds, unclear rows left out, and negatives that are not known pairs."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mammal.tasks.data import load_data, load_dataset
from mammal.tasks.declaration.registry import load_task
from mammal.tasks.declaration.schema import DataConfig
from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.sources.immune import even_folds, linked_groups, swapped_pairs

RESIDUES = "ACDEFGHIKLMNPQRSTVWY"


def data(name: str, **settings: object) -> DataConfig:
    return DataConfig(source="immune", name=name, **settings)  # type: ignore[arg-type]


def save(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(root / path, "wt", encoding="utf-8") as file:
        file.write(text)


@pytest.fixture
def titan(tmp_path: Path) -> Path:
    folder = "tcr_epitope_titan"
    save(tmp_path, f"{folder}/tcr_full.csv.gz", "".join(f"NAGV{r}TQTP\t{n}\n" for n, r in enumerate(RESIDUES)))
    save(tmp_path, f"{folder}/tcr.csv.gz", "".join(f"CAS{r}F\t{n}\n" for n, r in enumerate(RESIDUES)))
    save(tmp_path, f"{folder}/epitopes.csv.gz", "LLQTGIHV\t7\nFLKEKGGL\t8\n")
    for fold in range(10):
        rows = f",ligand_name,sequence_id,label\n0,7,{2 * fold},1\n1,8,{2 * fold + 1},0\n"
        save(tmp_path, f"{folder}/tcr_split/fold{fold}/test+covid.csv.gz", rows)
    return tmp_path


@pytest.fixture
def sabdab(tmp_path: Path) -> Path:
    """40 complexes, each antigen with two antibodies, and the last complex again under another name."""
    folder = "antibody_antigen_sabdab_datasail"
    heavy = {f"{n:04d}": "EVQL" + RESIDUES[n % 20 :] + "W" * (n // 20) for n in range(41)}
    heavy["0040"] = heavy["0039"]
    antigens = {f"hash{n}": RESIDUES[min(n // 2, 19) :] + "GGG" for n in range(41)}
    save(tmp_path, f"{folder}/vh.fasta.gz", "".join(f">{key}\n{text}\n" for key, text in heavy.items()))
    save(tmp_path, f"{folder}/ag.fasta.gz", "".join(f">{key}\n{text}\n" for key, text in antigens.items()))
    pairs = "".join(f"hash{n}\t{n:04d}\n" for n in range(41))
    save(tmp_path, f"{folder}/inter.tsv.gz", "Antigen_ID\tAntibody_ID\n" + pairs)
    return tmp_path


def test_the_published_folds_are_the_files(titan: Path):
    loaded = load_data(load_task("tcr_epitope", {"data": {"fold": "3"}}), {"data": titan})
    rows = loaded.rows("test")
    assert [(row["tcr_beta"], row["cdr3"], row["epitope"], row["binds"]) for row in rows] == [
        ("NAGVHTQTP", "CASHF", "LLQTGIHV", "1"),
        ("NAGVITQTP", "CASIF", "FLKEKGGL", "0"),
    ]
    assert len(loaded.part("train")) == 16 and len(loaded.part("valid")) == 2


def test_a_missing_fold_is_named(titan: Path):
    with pytest.raises(DataError, match=r"strict_split/fold0/test\+covid\.csv\.gz.*PaccMann/TITAN"):
        load_dataset(data("strict_split"), {"data": titan})


def test_sequences_of_both_classes_are_left_out(tmp_path: Path):
    for file, label, sequences in (
        ("AgPos", 1, ["FSNVNYYAFA", "WCLFGFYVFN"]),
        ("AgNeg", 0, ["WCLFGFYVFN", "YTICSFYKLQ"]),
    ):
        rows = "".join(f"{n},5,0.1,TGT,{s},{label}\n" for n, s in enumerate([*sequences, sequences[0]]))
        save(tmp_path, f"antibody_her2_mason/mHER_H3_{file}.csv.gz", ",Count,Fraction,NucSeq,AASeq,AgClass\n" + rows)
    frame = load_dataset(data("her2"), {"data": tmp_path})
    assert frame[["cdrh3", "binds"]].to_numpy().tolist() == [["FSNVNYYAFA", "1"], ["YTICSFYKLQ", "0"]]
    assert "AVYYCSRFSNVNYYAFAYWGQGTLVTVSS" in frame["heavy"].iloc[0], "in the place of trastuzumab's WGGDGFYAMD"


def test_paratopes_are_one_text_for_each_chain(tmp_path: Path):
    folder = tmp_path / "antibody_sabdab_antiberta"
    folder.mkdir()
    for part in ("train", "val", "test"):
        labels = [np.array(["N", "P", "N"], dtype=object)]
        rows = {"sequence": ["EVQ"], "paratope_labels": labels, "pdb": [part], "v_gene": ["V"], "j_gene": ["J"]}
        pd.DataFrame(rows).to_parquet(folder / f"sabdab_{part}.parquet")
    frame = load_dataset(data("paratope"), {"data": tmp_path})
    assert frame["paratope"].tolist() == ["NPN"] * 3 and frame["split"].tolist() == ["train", "valid", "test"]


def test_negatives_are_no_known_pairs_and_leave_single_chains_uninformative(sabdab: Path):
    frame = load_dataset(data("sabdab_pairs"), {"data": sabdab})
    known, made = (frame[frame["binds"] == label] for label in ("1", "0"))
    assert len(known) == len(made) == 40, "equal pairs count once"
    assert not set(zip(known["heavy"], known["antigen"], strict=True)) & set(
        zip(made["heavy"], made["antigen"], strict=True)
    )
    for column in ("heavy", "antigen"):
        assert made[column].value_counts().to_dict() == known[column].value_counts().to_dict()
        assert frame.groupby(column)["fold"].nunique().max() == 1, "a chain stands in one fold"
    assert frame.equals(load_dataset(data("sabdab_pairs"), {"data": sabdab})), "drawn alike every time"


def test_pairs_that_share_a_side_are_one_group():
    groups = linked_groups(["a", "a", "b", "c", "d"], ["x", "y", "y", "z", "w"])
    assert groups[0] == groups[1] == groups[2] and len({groups[0], groups[3], groups[4]}) == 3


@pytest.mark.parametrize("pairs", [5, 20, 60])
def test_groups_are_those_of_merging_pair_by_pair(pairs: int):
    rng = np.random.default_rng(pairs)
    left, right = (rng.integers(0, 30, pairs).astype(str).tolist() for _ in range(2))
    labels = list(range(pairs))
    for a in range(pairs):
        for b in range(a):
            if left[a] == left[b] or right[a] == right[b]:
                labels = [labels[b] if label == labels[a] else label for label in labels]
    found = linked_groups(left, right).tolist()
    assert len(set(zip(found, labels, strict=True))) == len(set(found)) == len(set(labels)) > 1


def test_swapped_pairs_use_every_row_once_on_either_side():
    groups = np.array([0] * 5 + [1] * 3 + [2] * 2 + [3])
    left, right = swapped_pairs(groups, np.random.default_rng(0))
    assert sorted(left) == sorted(right) == list(range(11)) and (groups[left] != groups[right]).all()
    left, right = swapped_pairs(np.array([0, 0, 0, 1]), np.random.default_rng(0))
    assert len(left) == 2, "a group of more than half finds no other partners"


def test_folds_are_even_and_keep_groups_together():
    groups = np.repeat(np.arange(30), [20] + [5] * 10 + [2] * 19)
    folds = pd.Series(even_folds(groups, 4, np.random.default_rng(1)))
    assert folds.value_counts().max() - folds.value_counts().min() <= 2
    assert folds.groupby(groups).nunique().max() == 1


def test_an_unknown_set_is_reported_its_neighbour(tmp_path: Path):
    with pytest.raises(TaskError, match="did you mean tcr_split"):
        load_dataset(data("tcr_splt"), {"data": tmp_path})


@pytest.mark.parametrize(
    ("name", "rows"),
    [("tcr_split", 47_190), ("strict_split", 46_290), ("her2", 34_049), ("sabdab_pairs", 9440), ("paratope", 900)],
)
def test_the_published_files_have_the_published_rows(shared: Path, name: str, rows: int):
    if not (shared / "data" / "tcr_epitope_titan").is_dir():
        pytest.skip("no local copies of public data")
    frame = load_dataset(data(name), {"data": shared / "data"})
    assert len(frame) == rows and not frame.isna().any().any()
