from __future__ import annotations

import sys
import types
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mammal.tasks.data import load_data, load_dataset
from mammal.tasks.declaration.registry import load_task
from mammal.tasks.declaration.schema import DataConfig
from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.sources.local import find_file
from mammal.tasks.tables.cells import is_missing

TASK = {
    "name": "t",
    "kind": "classification",
    "prompt": {"input": "<SENTINEL_ID_0> {smiles:smiles}", "target": "<SENTINEL_ID_0> {y:label}"},
    "labels": ["0", "1"],
}
MOLECULES = ["C" * n + "O" for n in range(1, 21)]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    frame = pd.DataFrame({"SMILES": MOLECULES, "y": [i % 2 for i in range(20)]})
    frame.to_csv(tmp_path / "mine.csv", index=False)
    return tmp_path


def test_a_file_is_found_below_the_data_folder_and_its_columns_get_the_templates_names(table: Path):
    data = {"path": "mine.csv", "columns": {"smiles": "SMILES"}}
    loaded = load_data(load_task({**TASK, "data": data}), {"data": str(table)})
    assert [len(loaded.part(part)) for part in ("train", "valid", "test")] == [16, 2, 2]
    assert loaded.rows("test")[0]["smiles"] in MOLECULES
    assert loaded.leakage == {"test": 0, "valid": 0}


def test_the_environment_names_the_data_folder_too(table: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MAMMAL_DATA", str(table))
    assert len(load_dataset(DataConfig(path="mine.csv"))) == 20
    monkeypatch.setenv("MAMMAL_DATA", str(table / "none"))
    with pytest.raises(DataError, match="no such folder"):
        load_dataset(DataConfig(path="mine.csv"))


def test_files_by_part_make_a_given_split(tmp_path: Path):
    for part, rows in (("train", 6), ("valid", 2), ("test", 2)):
        pd.DataFrame({"smiles": MOLECULES[:rows], "y": [0, 1] * (rows // 2)}).to_csv(
            tmp_path / f"{part}.csv", index=False
        )
    files = {part: str(tmp_path / f"{part}.csv") for part in ("train", "valid", "test")}
    loaded = load_data(load_task({**TASK, "data": {"files": files, "split": "given"}}))
    assert [len(loaded.rows(part)) for part in files] == [6, 2, 2]
    assert loaded.leakage["test"] == 2, "the same molecules on both sides are reported"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"path": "mine.csv"}, "smiles"),
        ({"path": "mine.csv", "columns": {"smiles": "SMILE"}}, "did you mean SMILES"),
        ({"path": "mine.csv", "columns": {"y": "SMILES"}}, "no column .smiles"),
        ({"path": "mien.csv"}, "mine.csv"),
        ({}, "needs a path"),
        ({"files": {"trian": "mine.csv"}}, "train"),
        ({"source": "chemicals", "name": "melting_pont"}, "melting_point"),
        ({"source": "modlamp", "name": "AMPvsUniprot"}, "AMPvsUniProt"),
        ({"source": "moleculenet", "name": "bbp"}, "bbbp"),
        ({"source": "moleculenet", "name": "bbbp", "split": "given"}, "given split"),
        ({"source": "tdc", "name": "Carcinogens"}, "Group/Set"),
        ({"source": "hub"}, "owner/repository"),
    ],
)
def test_data_that_cannot_be_had_says_why(table: Path, data: dict, message: str):
    with pytest.raises((DataError, TaskError), match=message):
        load_data(load_task({**TASK, "data": data}), {"data": str(table)})


def test_melting_points_ship_with_a_package():
    frame = load_dataset(DataConfig(source="chemicals", name="melting_point"))
    assert len(frame) > 11_000 and list(frame.columns) == ["smiles", "iupac", "name", "cas", "tm"]
    naphthalene = frame[frame["cas"] == "91203"].iloc[0]
    assert float(naphthalene["tm"]) == pytest.approx(353, abs=3), "naphthalene melts at 80 °C"
    assert naphthalene["iupac"] == "naphthalene"


def test_melting_and_boiling_points_stand_side_by_side():
    frame = load_dataset(DataConfig(source="chemicals", name="phase_changes"))
    assert list(frame.columns) == ["smiles", "iupac", "name", "cas", "tm", "tb"] and frame["cas"].is_unique
    known = frame[["tm", "tb"]] != ""
    assert known.any(axis=1).all() and known.all(axis=1).sum() > 4_000
    for column, table in (("tm", "melting_point"), ("tb", "boiling_point")):
        alone = load_dataset(DataConfig(source="chemicals", name=table))
        assert dict(zip(alone["cas"], alone[column], strict=True)) == dict(
            frame[known[column]][["cas", column]].itertuples(index=False)
        )


def test_both_ways_to_predict_phase_changes_see_the_same_rows():
    ways = [load_task(name) for name in ("phase_changes", "phase_changes_decoder")]
    records = [load_data(replace(way, data=replace(way.data, limit=300))).record for way in ways]
    assert records[0].split.hash == records[1].split.hash and ways[0].data == ways[1].data


def test_iarc_groups_are_spelt_as_iarc_does():
    frame = load_dataset(DataConfig(source="chemicals", name="iarc"))
    assert set(frame["group"]) == {"1", "2A", "2B", "3", "4"} & set(frame["group"]) and len(frame) > 700
    assert frame[frame["cas"] == "50000"]["group"].iloc[0] == "1", "formaldehyde"


def test_peptides_ship_with_a_package():
    frame = load_dataset(DataConfig(source="modlamp", name="AMPvsUniProt"))
    assert frame["amp"].value_counts().to_dict() == {"1": 2600, "0": 2600}
    assert frame["sequence"].iloc[0] == "GLWSKIKEVGKEAAKAAAKAAGKAALGAVSEAV"
    assert frame.duplicated("sequence").sum() == 558 and frame["sequence"].value_counts().iloc[0] == 25


def test_every_peptide_of_the_test_part_is_another_one():
    """modlamp 4.3.3 repeats peptides: 520 test rows would hold 467 peptides."""
    found = load_data(load_task("amp"))
    assert found.part("test")["sequence"].is_unique and len(found.part("test")) == 467
    assert [len(rows) for rows in found.split.parts.values()] == [3731, 466, 467]
    assert len(found.split.left_out) == 536 and all("repeats row" in reason for _, reason in found.split.left_out)


@pytest.mark.parametrize(
    ("name", "rows", "target"), [("bbbp", 2050, "p_np"), ("esol", 1128, "esol"), ("bace", 1513, "Class")]
)
def test_moleculenet_from_local_copies(shared: Path, name: str, rows: int, target: str):
    if not (shared / "data/moleculenet_raw").is_dir():
        pytest.skip("no local copy of MoleculeNet")
    frame = load_dataset(DataConfig(source="moleculenet", name=name, split="scaffold"), {"data": shared / "data"})
    assert len(frame) == rows and {"smiles", target} <= set(frame.columns)


def test_given_lipophilicity_is_back_in_logd(shared: Path):
    if not (shared / "data/moleculenet_ibm_splits").is_dir():
        pytest.skip("no local copy of MoleculeNet")
    paths = {"data": shared / "data"}
    given = load_dataset(DataConfig(source="moleculenet", name="lipophilicity", split="given"), paths)
    raw = load_dataset(DataConfig(source="moleculenet", name="lipophilicity", split="random"), paths)
    known = dict(zip(raw["smiles"], raw["lipophilicity"].astype(float), strict=True))
    pairs = [(known[s], y) for s, y in zip(given["smiles"], given["lipophilicity"], strict=True) if s in known]
    assert len(pairs) > 4000 and all(abs(a - b) < 1e-6 for a, b in pairs)


def test_moleculenet_comes_through_deepchem_where_there_is_no_copy(monkeypatch: pytest.MonkeyPatch):
    class Dataset:
        ids, y, w = np.array(["C", "CC"]), np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[1.0, 1.0], [1.0, 0.0]])

    asked = {}
    deepchem = types.ModuleType("deepchem")
    deepchem.feat = types.SimpleNamespace(DummyFeaturizer=lambda: "dummy")
    deepchem.molnet = types.SimpleNamespace(
        load_clintox=lambda **settings: asked.update(settings) or (["FDA_APPROVED", "CT_TOX"], (Dataset,), [])
    )
    monkeypatch.setitem(sys.modules, "deepchem", deepchem)
    frame = load_dataset(DataConfig(source="moleculenet", name="clintox"))
    assert asked == {"featurizer": "dummy", "splitter": None, "transformers": []}
    assert frame["CT_TOX"].tolist()[0] == 0 and is_missing(frame["CT_TOX"].tolist()[1]), "weight 0 is no label"


def test_without_deepchem_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "deepchem", None)
    with pytest.raises(DataError, match="pip install deepchem"):
        load_dataset(DataConfig(source="moleculenet", name="clintox"))


def test_tdc_is_asked_for_its_cold_split(monkeypatch: pytest.MonkeyPatch):
    asked = []

    class DTI:
        def __init__(self, name: str, path: str):
            asked.append(name)

        def harmonize_affinities(self, mode: str):
            asked.append(mode)

        def convert_to_log(self, form: str):
            asked.append(form)

        def get_split(self, method: str, column_name: list[str]) -> dict[str, pd.DataFrame]:
            asked.append(method)
            return {p: pd.DataFrame({"Drug": ["C"], "Target": ["M"], "Y": [5.0]}) for p in ("train", "valid", "test")}

    for name in ("tdc", "tdc.single_pred", "tdc.multi_pred"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    sys.modules["tdc.multi_pred"].DTI = DTI
    loaded = load_data(load_task("dti_bindingdb_pkd"))
    assert asked == ["BindingDB_Kd", "max_affinity", "binding", "cold_split"]
    assert loaded.rows("test") == [{"drug": "C", "target": "M", "pkd": 5.0, "split": "test"}]


def test_without_pytdc_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "tdc", None)
    with pytest.raises(DataError, match="pip install PyTDC"):
        load_dataset(DataConfig(source="tdc", name="Tox/Carcinogens_Lagunin"))


def test_a_file_that_its_source_would_not_read_is_refused():
    with pytest.raises(TaskError, match="source antibodies does not read it") as refused:
        load_dataset(load_task("protein_denoising", {"data": {"path": "mine.fasta"}}).data)
    assert refused.value.hint == "data.source=file"


def test_a_misspelt_file_is_looked_for_where_it_was_typed_and_below_the_folder_of_copies(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "copies"
    for file in ("mine.csv", "copies/theirs.csv", "copies/deep/theirs.csv"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    assert find_file("theirs.csv", root) == root / "theirs.csv"
    typed = {"mime.csv": "mine.csv", "their.csv": "theirs.csv", "deep/their.csv": "deep/theirs.csv"}
    for name, meant in typed.items():
        with pytest.raises(DataError, match="no such file") as error:
            find_file(name, root)
        assert error.value.what == "no such file" and error.value.where == name
        assert f"below {root}, which" in error.value.hint and f"did you mean {meant}" in error.value.hint
    with pytest.raises(DataError, match="no such file") as error:
        find_file(str(root / "their.csv"), root)
    assert error.value.hint == "did you mean theirs.csv?"
    with pytest.raises(DataError, match="is a folder, not a file"):
        find_file("deep", root)
    with pytest.raises(DataError, match="no such file, and no such folder"):
        find_file("nowhere/mine.csv", None)
