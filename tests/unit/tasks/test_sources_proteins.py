"""Single proteins: published parts and labels, a sampled validation part if none is published."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from mammal.tasks.data import load_data, load_dataset
from mammal.tasks.declaration.registry import load_task
from mammal.tasks.declaration.schema import DataConfig
from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.sources import modlamp, proteins

RESIDUES = "ACDEFGHIKLMNPQRSTVWY"
SEQUENCES = [RESIDUES[n:] + RESIDUES[:n] for n in range(20)]


def data(name: str, **settings: object) -> DataConfig:
    return DataConfig(source="proteins", name=name, **settings)  # type: ignore[arg-type]


def save(root: Path, path: str, rows: dict[str, list[object]]) -> None:
    (root / path).parent.mkdir(exist_ok=True)
    pd.DataFrame(rows).to_csv(root / path, index=False)


def save_text(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(exist_ok=True)
    with gzip.open(root / path, "wt", encoding="utf-8") as file:
        file.write(text)


@pytest.fixture
def esol(tmp_path: Path) -> Path:
    train = [*SEQUENCES, SEQUENCES[0]]
    for part, sequences in (("train", train), ("test", SEQUENCES[:2])):
        rows = {"gene": ["x"] * len(sequences), "solubility": [0.5] * len(sequences), "sequence": sequences}
        save(tmp_path, f"protein_solubility_esol/eSol_{part}.csv.gz", rows)
    return tmp_path


def test_a_tenth_of_the_training_sequences_becomes_valid(esol: Path):
    frame = load_dataset(data("esol"), {"data": esol})
    valid, train = (set(frame[frame["split"] == part]["sequence"]) for part in ("valid", "train"))
    assert len(valid) == 2 and len(train) == 18 and not valid & train, "repeated sequences stay together"
    assert (frame["split"] == "test").sum() == 2
    assert frame.equals(load_dataset(data("esol"), {"data": esol})), "drawn alike every time"
    others = [load_dataset(data("esol", split_seed=seed), {"data": esol})["split"].tolist() for seed in range(5)]
    assert any(other != frame["split"].tolist() for other in others), "data.split_seed draws another"


def test_the_published_test_rows_that_stand_in_train_are_counted(esol: Path):
    loaded = load_data(load_task("esol_solubility"), {"data": esol})
    assert [len(loaded.part(part)) for part in ("valid", "test")] == [2, 2]
    train = set(loaded.part("train")["sequence"])
    assert loaded.leakage["test"] == sum(sequence in train for sequence in SEQUENCES[:2])


def test_a_limit_keeps_every_part(esol: Path):
    frame = load_dataset(data("esol", limit=12), {"data": esol})
    assert len(frame) == 12 and {"train", "test"} <= set(frame["split"])


def test_published_folds_are_kept(tmp_path: Path):
    rows = {"sid": list("abc"), "solubility": [1, 0, 1], "fasta": SEQUENCES[:3], "partition": [0, 1, 4]}
    save(tmp_path, "protein_solubility_psi_netsolp/PSI_Biology_solubility_trainset.csv.gz", rows)
    loaded = load_data(load_task("psi_solubility", {"data": {"fold": "1"}}), {"data": tmp_path})
    assert loaded.rows("test")[0] == {"id": "b", "soluble": "0", "sequence": SEQUENCES[1], "fold": "1"}


def test_files_of_sequences_and_labels_are_read_side_by_side(tmp_path: Path):
    for file in ("val", "test"):
        save_text(tmp_path, f"protein_solubility_deepsol/{file}_src.gz", "\n".join(SEQUENCES))
        save_text(tmp_path, f"protein_solubility_deepsol/{file}_tgt.gz", "\n".join("01" * 10))
    frame = load_dataset(data("deepsol"), {"data": tmp_path})
    assert frame["split"].value_counts().to_dict() == {"train": 18, "valid": 2, "test": 20}
    assert frame["soluble"].tolist()[:3] == ["0", "1", "0"]
    save_text(tmp_path, "protein_solubility_deepsol/test_tgt.gz", "1\n0")
    with pytest.raises(DataError, match="20 sequences and 2 labels"):
        load_dataset(data("deepsol"), {"data": tmp_path})


def test_splits_of_flip_are_columns(tmp_path: Path):
    (tmp_path / "protein_flip").mkdir()
    table = "sequence,target,set,validation\n" + "".join(
        f"{'M' * 56 + tail},{n},{part},{valid}\n"
        for n, (tail, part, valid) in enumerate([("A", "train", ""), ("C", "train", "True"), ("D", "test", "")])
    )
    with zipfile.ZipFile(tmp_path / "protein_flip/gb1_splits.zip", "w") as archive:
        for split in proteins.GB1_SPLITS:
            archive.writestr(f"splits/{split}.csv", table if split != "sampled" else table.replace("test", "train"))
    frame = load_dataset(data("flip_gb1"), {"data": tmp_path})
    assert frame["low_vs_high"].tolist() == ["train", "valid", "test"]
    assert frame["sampled"].tolist() == ["train", "valid", "train"]
    assert set(frame["domain"]) == {"M" * 56} and frame["fitness"].tolist() == ["0", "1", "2"]


def test_residues_that_a_structure_does_not_resolve_have_no_label(tmp_path: Path):
    (tmp_path / "protein_flip").mkdir()
    with zipfile.ZipFile(tmp_path / "protein_flip/secondary_structure_splits.zip", "w") as archive:
        heads = ["a SET=train VALIDATION=False", "b SET=train VALIDATION=True", "c SET=test VALIDATION=False"]
        labels = "".join(f">{head}\nHHEC\n" for head in heads)
        archive.writestr("splits/sampled.fasta", labels)
        archive.writestr("splits/sequences.fasta", ">c\nCCCC\n>a\nMKVL\n>b\nAAAA\n")
        archive.writestr("splits/mask.fasta", ">a\n0110\n>b\n1111\n>c\n1111\n")
    frame = load_dataset(data("secondary_structure"), {"data": tmp_path})
    assert frame["split"].tolist() == ["train", "valid", "test"] and frame["sequence"].tolist()[0] == "MKVL"
    assert frame["structure"].tolist() == [".HE.", "HHEC", "HHEC"]


def test_proteins_of_two_places_are_left_out(tmp_path: Path):
    places = ["Nucleus-U", "Cytoplasm-Nucleus-S", "Lysosome/Vacuole-M", "Endoplasmic.reticulum-M"]
    for file, note in (("deeploc_our_val_set", ""), ("deeploc_test_set", " test")):
        records = zip(places, SEQUENCES, strict=False)
        text = "".join(f">P{i} {place}{note}\n{s[:9]}\n{s[9:]}\n" for i, (place, s) in enumerate(records))
        save_text(tmp_path, f"protein_localization_deeploc_part/{file}.fasta.gz", text)
    frame = load_dataset(data("deeploc"), {"data": tmp_path})
    test = frame[frame["split"] == "test"]
    assert test["location"].tolist() == ["nucleus", "lysosome or vacuole", "endoplasmic reticulum"]
    assert test["membrane"].tolist() == ["U", "M", "M"] and test["sequence"].iloc[0] == SEQUENCES[0]
    assert set(proteins.DEEPLOC_LOCATIONS.values()) == set(load_task("localization").labels)


@pytest.mark.parametrize("name", [*proteins.TABLES, "deepsol", "flip_gb1", "deeploc", "deeploc_hard"])
def test_a_missing_copy_is_named_with_where_to_get_it(tmp_path: Path, name: str):
    with pytest.raises(DataError, match=r"protein_\w+/.*github\.com"):
        load_dataset(data(name), {"data": tmp_path})


def test_an_unknown_set_is_reported_its_neighbour(tmp_path: Path):
    with pytest.raises(TaskError, match="did you mean psi_biology"):
        load_dataset(data("psi_biologie"), {"data": tmp_path})


def test_every_fold_of_remote_homology_has_a_code_of_its_own():
    labels = load_task("remote_homology").labels
    assert labels == [str(number) for number in range(1195)]


def test_peptides_come_from_a_copy_where_the_package_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(modlamp, "find_spec", lambda name: None)
    asked = DataConfig(source="modlamp", name="AMPvsTMset")
    with pytest.raises(DataError, match="pip install modlamp"):
        load_dataset(asked, {"data": tmp_path})
    save_text(tmp_path, "peptide_modlamp/AMPvsTMset.csv.gz", "2,1,TM,AMP\nLLVVIA,0\nGKKLAKK, 1\n")
    assert load_dataset(asked, {"data": tmp_path}).to_dict("list") == {
        "sequence": ["LLVVIA", "GKKLAKK"], "amp": ["0", "1"],
    }  # fmt: skip


def test_a_limit_of_peptides_holds_both_classes():
    frame = load_dataset(DataConfig(source="modlamp", name="AMPvsUniProt", limit=10))
    assert frame["amp"].tolist().count("1") == 5


@pytest.mark.parametrize(
    ("name", "rows", "test"),
    [
        ("psi_biology", 11_226, 0),
        ("esol", 3147, 783),
        ("deepsol", 8943, 2001),
        ("remote_homology", 13_766, 718),
        ("signal_peptide", 20_758, 4152),
        ("flip_gb1", 8733, 0),
        ("secondary_structure", 11_156, 364),
        ("disorder", 2683, 513),
        ("deeploc", 4423, 2768),
    ],
)
def test_the_published_files_have_the_published_rows(shared: Path, name: str, rows: int, test: int):
    if not (shared / "data" / "protein_flip").is_dir():
        pytest.skip("no local copies of public data")
    frame = load_dataset(data(name), {"data": shared / "data"})
    assert len(frame) == rows
    assert test == 0 or (frame["split"] == "test").sum() == test
