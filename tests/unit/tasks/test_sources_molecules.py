"""Molecule tasks of the catalogue: sizes, labels and units of their data, and the prompts of tasks with many labels."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pandas as pd
import pytest

from mammal.tasks.data import load_dataset
from mammal.tasks.declaration.registry import load_task
from mammal.tasks.declaration.schema import DataConfig
from mammal.tasks.kinds.build import build_task
from mammal.tokenization import Tokenizer

CLASSIFICATION = ("bace", "clintox", "sider", "tox21", "hiv", "tdc_carcinogens")
REGRESSION = ("esol", "freesolv", "lipophilicity", "boiling_point")


def raw(root: Path, name: str, rows: dict[str, list[str]]) -> dict[str, str]:
    (root / "moleculenet_raw").mkdir()
    pd.DataFrame(rows).to_csv(root / f"moleculenet_raw/{name}.csv.gz", index=False)
    return {"data": str(root)}


@pytest.mark.parametrize("name", [*CLASSIFICATION, *REGRESSION])
def test_the_example_of_every_molecule_task_is_read_by_our_own_vocabulary(name: str, tokenizer: Tokenizer):
    config = load_task(name)
    task = build_task(config, tokenizer)
    if name in REGRESSION:
        task.fit([config.example, {**config.example, task.target_columns[0]: "1.5"}])
    example = task.encode(config.example, target=True)
    assert tokenizer.unk_id not in example.input.ids_L
    assert example.input.ids_L[-1] == tokenizer.eos_id


@pytest.mark.parametrize(("name", "labels"), [("clintox", 2), ("tox21", 12), ("sider", 27)])
def test_every_label_of_a_task_has_a_sentinel_of_its_own(name: str, labels: int, tokenizer: Tokenizer):
    config = load_task(name)
    task = build_task(config, tokenizer)
    full = dict.fromkeys(task.target_columns, "1") | {"smiles": "CCO"}
    target = str(task.render(full, target=True).target)
    assert re.findall(r"<SENTINEL_ID_(\d+)><1>", target) == [str(k) for k in range(labels)]


def test_an_assay_that_was_not_run_is_left_out_of_the_target(tokenizer: Tokenizer):
    task = build_task(load_task("tox21"), tokenizer)
    target = str(task.render(load_task("tox21").example, target=True).target)
    assert "<SENTINEL_ID_2><1>" in target, "NR-AhR is 1"
    assert "<SENTINEL_ID_3>" not in target and "<SENTINEL_ID_4>" not in target, "NR-Aromatase and NR-ER are empty"


def test_columns_of_sider_are_reached_under_the_names_of_the_file(tokenizer: Tokenizer):
    config = load_task("sider")
    task = build_task(config, tokenizer)
    file_row = {config.data.columns.get(c, c): "0" for c in task.target_columns} | {"smiles": "CCO"}
    file_row["Injury, poisoning and procedural complications"] = "1"
    assert str(task.render(file_row, target=True).target).endswith("<SENTINEL_ID_25><0><SENTINEL_ID_26><1><EOS>")


def test_tox21_rows_of_one_molecule_are_merged(tmp_path: Path):
    rows = {"NR-AR": ["0", "1", "", ""], "SR-p53": ["", "0", "1", ""], "mol_id": ["a", "b", "c", "d"]}
    paths = raw(tmp_path, "tox21", {**rows, "smiles": ["CC", "CC", "CCO", "CCN"]})
    frame = load_dataset(DataConfig(source="moleculenet", name="tox21", split="scaffold"), paths)
    assert frame["mol_id"].tolist() == ["a", "c", "d"], "the first row of a molecule keeps its place"
    assert frame["NR-AR"].tolist() == ["1", "", ""] and frame["SR-p53"].tolist() == ["0", "1", ""]


def test_of_molecules_that_hiv_repeats_the_first_counts(tmp_path: Path):
    paths = raw(tmp_path, "HIV", {"smiles": ["CC", "CCO", "CC"], "HIV_active": ["0", "1", "1"]})
    frame = load_dataset(DataConfig(source="moleculenet", name="hiv", split="scaffold"), paths)
    assert frame.values.tolist() == [["CC", "0"], ["CCO", "1"]]


def test_solubility_keeps_repeated_molecules_as_the_published_set_does(tmp_path: Path):
    measured = "measured log solubility in mols per litre"
    paths = raw(tmp_path, "delaney-processed", {"smiles": ["CC", "CC"], measured: ["-1.0", "-1.5"]})
    frame = load_dataset(DataConfig(source="moleculenet", name="esol", split="scaffold"), paths)
    assert frame["esol"].tolist() == ["-1.0", "-1.5"]


def test_a_limit_reads_no_further(tmp_path: Path):
    paths = raw(tmp_path, "lipo", {"smiles": ["C", "CC", "CCC"], "lipo": ["1", "2", "3"]})
    frame = load_dataset(DataConfig(source="moleculenet", name="lipophilicity", split="random", limit=2), paths)
    assert frame["lipophilicity"].tolist() == ["1", "2"]


def test_carcinogens_come_from_a_local_copy_without_pytdc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "tdc", None)
    (tmp_path / "tdc_carcinogens").mkdir()
    text = 'Drug_ID\tDrug\tY\n"Drug_1"\t"CC(CCl)OC(C)CCl"\t1\n"Drug_2"\t"CCO"\t0\n'
    (tmp_path / "tdc_carcinogens/carcinogens_lagunin.tab").write_text(text)
    frame = load_dataset(load_task("tdc_carcinogens").data, {"data": str(tmp_path)})
    assert frame["smiles"].tolist() == ["CC(CCl)OC(C)CCl", "CCO"] and frame["y"].tolist() == ["1", "0"]


def test_boiling_points_ship_with_a_package():
    frame = load_dataset(load_task("boiling_point").data)
    assert len(frame) > 11_000
    assert float(frame[frame["cas"] == "64175"]["tb"].iloc[0]) == pytest.approx(351.4, abs=1), "ethanol boils at 78 °C"


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("bace", 1513), ("clintox", 1484), ("sider", 1427), ("tox21", 7831), ("hiv", 41127), ("esol", 1128),
        ("freesolv", 642), ("lipophilicity", 4200), ("tdc_carcinogens", 280),
    ],
)  # fmt: skip
def test_sizes_of_the_real_data(shared: Path, name: str, rows: int):
    if not (shared / "data/moleculenet_raw").is_dir():
        pytest.skip("no local copy of the data")
    assert len(load_dataset(load_task(name).data, {"data": shared / "data"})) == rows


def test_lipophilicity_is_raw_log_d(shared: Path):
    if not (shared / "data/moleculenet_raw").is_dir():
        pytest.skip("no local copy of the data")
    frame = load_dataset(load_task("lipophilicity").data, {"data": shared / "data"})
    values = frame["lipophilicity"].astype(float)
    assert values.mean() == pytest.approx(2.186, abs=1e-3) and values.std() == pytest.approx(1.203, abs=1e-3)


def test_a_limit_takes_moses_molecules_from_all_over_its_files(tmp_path: Path):
    (tmp_path / "pretrain_moses").mkdir()
    for name, count in (("train", 100), ("test", 3)):
        frame = pd.DataFrame({"SMILES": ["C" * number for number in range(1, count + 1)]})
        frame.to_csv(tmp_path / f"pretrain_moses/{name}.csv.gz", index=False)
    frame = load_dataset(DataConfig(source="moses", limit=4), {"data": str(tmp_path)})
    assert frame["smiles"].str.len().tolist() == [1, 34, 67, 100, 1, 2, 3]
    assert frame["split"].tolist() == ["train"] * 4 + ["test"] * 3 and frame.index.tolist() == list(range(7))
    assert len(load_dataset(DataConfig(source="moses"), {"data": str(tmp_path)})) == 103
