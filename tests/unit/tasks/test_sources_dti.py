"""Drug-target pairs: their published splits, joined from local copies."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from mammal.tasks.data import load_data, load_dataset
from mammal.tasks.declaration.registry import load_task
from mammal.tasks.declaration.schema import DataConfig
from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.kinds.build import build_task
from mammal.tasks.splits import split_frame
from mammal.tokenization import Tokenizer

SEQUENCE = "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEG"


def dti(name: str, **settings: object) -> DataConfig:
    return DataConfig(source="dti", name=name, split="given", **settings)  # type: ignore[arg-type]


def save(root: Path, path: str, rows: dict[str, list[object]]) -> None:
    (root / path).parent.mkdir(exist_ok=True)
    pd.DataFrame(rows).to_csv(root / path, index=False)


@pytest.fixture
def davis(tmp_path: Path) -> Path:
    folds = ["train_fold0", "train_fold1", "train_fold4", "test"]
    pairs = {"drug_id": ["7", "7", "8", "8"], "target_id": ["A", "B", "A", "B"], "affinity": [5.0, 7.5, 6.0, 8.0]}
    save(tmp_path, "dti_davis_deepdta/pairs.csv.gz", {**pairs, "split": folds})
    save(tmp_path, "dti_davis_deepdta/drugs.csv", {"drug_id": ["7", "8"], "smiles": ["CCO", "CCN"]})
    save(tmp_path, "dti_davis_deepdta/targets.csv.gz", {"target_id": ["A", "B"], "sequence": [SEQUENCE, SEQUENCE[3:]]})
    return tmp_path


@pytest.fixture
def bindingdb(tmp_path: Path) -> Path:
    for number, file in enumerate(("train", "test", "ER", "GPCR", "channel", "kinase")):
        count = 40 if file == "train" else number
        rows = {"smiles": ["C" * (n + 1) for n in range(count)], "sequence": [SEQUENCE] * count, "pKd": [6.5] * count}
        save(tmp_path, f"dti_bindingdb_kd_deepaffinity/{file}.csv.gz", rows)
    return tmp_path


def test_pairs_are_joined_to_their_drug_and_target(davis: Path):
    frame = load_dataset(dti("davis"), {"data": davis})
    assert frame.iloc[1][["smiles", "protein", "pkd"]].tolist() == ["CCO", SEQUENCE[3:], "7.5"]


def test_one_published_fold_is_valid_and_the_test_fold_test(davis: Path):
    loaded = load_data(load_task("davis"), {"data": davis})
    assert {part: rows.tolist() for part, rows in loaded.split.parts.items()} == {
        "train": [1, 2], "valid": [0], "test": [3],
    }  # fmt: skip
    assert loaded.frame["fold"].tolist() == ["train_fold0", "train_fold1", "train_fold4", "test"]


def test_a_limit_counts_pairs(davis: Path):
    assert len(load_dataset(dti("davis", limit=2), {"data": davis})) == 2


def test_a_pair_without_its_drug_is_named(davis: Path):
    save(davis, "dti_davis_deepdta/drugs.csv", {"drug_id": ["7"], "smiles": ["CCO"]})
    with pytest.raises(DataError, match=r"drugs\.csv.*2 pairs name an id"):
        load_dataset(dti("davis"), {"data": davis})


def test_a_missing_copy_says_which_file_and_where_to_get_it(tmp_path: Path):
    with pytest.raises(DataError) as found:
        load_dataset(dti("kiba"), {"data": tmp_path})
    assert str(tmp_path / "dti_kiba_deepdta/pairs.csv.gz") in str(found.value) and "DeepDTA" in str(found.value)


def test_without_a_data_folder_the_error_names_the_setting(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("MAMMAL_DATA", raising=False)
    with pytest.raises(DataError, match=r"paths\.data"):
        load_dataset(dti("human_cold"))


def test_a_misspelt_set_has_a_hint():
    with pytest.raises(TaskError, match="kd_kinase"):
        load_dataset(dti("kd_kinases"))


def test_what_is_judged_changes_and_what_is_learned_from_does_not(bindingdb: Path):
    learned, sizes = [], {}
    for name in ("kd_test", "kd_er", "kd_gpcr", "kd_channel", "kd_kinase", "kd_heldout"):
        loaded = load_data(load_task("bindingdb_kd", {"data": {"name": name}}), {"data": bindingdb})
        learned.append([loaded.split.parts[part].tolist() for part in ("train", "valid")])
        sizes[name] = len(loaded.rows("test"))
    assert all(rows == learned[0] for rows in learned)
    assert [len(rows) for rows in learned[0]] == [36, 4], "a tenth of the training rows is valid"
    assert sizes == {"kd_test": 1, "kd_er": 2, "kd_gpcr": 3, "kd_channel": 4, "kd_kinase": 5, "kd_heldout": 14}


def test_human_pairs_keep_their_published_parts(tmp_path: Path):
    for part, count in (("train", 3), ("val", 2), ("test", 1)):
        rows = {"SMILES": ["CCO"] * count, "Protein": [SEQUENCE] * count, "Y": [1] * count}
        save(tmp_path, f"dti_human_drugban/cold_{part}.csv.gz", rows)
    frame = load_dataset(dti("human_cold"), {"data": tmp_path})
    assert frame["split"].tolist() == ["train"] * 3 + ["valid"] * 2 + ["test"]
    assert {"smiles", "protein", "interacts"} <= set(frame.columns)


@pytest.mark.parametrize("name", ["davis", "kiba", "bindingdb_kd", "human_dti"])
def test_the_example_of_every_pair_task_is_read_by_our_own_vocabulary(name: str, tokenizer: Tokenizer):
    config = load_task(name)
    task = build_task(config, tokenizer)
    if config.kind == "regression":
        task.fit([config.example, {**config.example, task.target_columns[0]: "1.5"}])
    assert tokenizer.unk_id not in task.encode(config.example, target=True).input.ids_L


@pytest.mark.parametrize(
    ("task", "name", "sizes"),
    [
        ("davis", "davis", (20036, 5010, 5010)), ("kiba", "kiba", (78836, 19709, 19709)),
        ("bindingdb_kd", "kd_heldout", (7900, 878, 5230)), ("bindingdb_kd", "kd_test", (7900, 878, 3811)),
        ("human_dti", "human_random", (4197, 600, 1200)), ("human_dti", "human_cold", (3453, 155, 311)),
    ],
)  # fmt: skip
def test_sizes_of_the_real_data(shared: Path, task: str, name: str, sizes: tuple[int, int, int]):
    if not (shared / "data/dti_davis_deepdta").is_dir():
        pytest.skip("no local copy of the data")
    config = load_task(task, {"data": {"name": name}})
    frame = load_dataset(config.data, {"data": shared / "data"})
    parts = split_frame(frame, config.data).parts
    assert tuple(len(parts[part]) for part in ("train", "valid", "test")) == sizes


def test_davis_is_pkd(shared: Path):
    if not (shared / "data/dti_davis_deepdta").is_dir():
        pytest.skip("no local copy of the data")
    values = load_dataset(dti("davis"), {"data": shared / "data"})["pkd"].astype(float)
    assert values.min() == 5.0 and values.max() == pytest.approx(10.8, abs=0.05)
    assert (values == 5.0).mean() == pytest.approx(0.70, abs=0.01), "the end of the assay's range"
