"""`source: b3db`: the tables of the package qc-b3db, read without importing it, and what its tasks leave out."""

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from mammal.tasks.data import load_data, load_dataset
from mammal.tasks.declaration.registry import load_task
from mammal.tasks.declaration.schema import DataConfig
from mammal.tasks.errors import DataError, TaskError

HEADER = "NO.\tcompound_name\tIUPAC_name\tSMILES\tCID\tlogBB\tBBB+/BBB-\tInchi\tthreshold\treference\tgroup\tcomments\n"
installed = pytest.mark.skipif(find_spec("B3DB") is None, reason="qc-b3db is not installed")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package of the same name whose import fails, with tables in the format of version 1.1.1."""
    folder = tmp_path / "B3DB"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise RuntimeError('imported')\n")
    rows = [
        "1\tsulphasalazine\t\tOc1ccccc1\t5339\t-2.69\tBBB-\tx\t\tR2|\tA\t\n",
        '2\ta "b\t2-c\tCCO\t1\t\tBBB+\tx\t\tR2|\tB\t\n',
    ]
    (folder / "B3DB_classification.tsv").write_text(HEADER + "".join(rows), encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "B3DB", raising=False)
    return folder


def test_labels_names_and_values_are_read_from_the_table(package: Path):
    frame = load_dataset(DataConfig(source="b3db", name="classification"))
    assert frame.to_dict("records") == [
        {"smiles": "Oc1ccccc1", "name": "sulphasalazine", "iupac": "", "bbb": "0", "log_bb": "-2.69", "group": "A"},
        {"smiles": "CCO", "name": 'a "b', "iupac": "2-c", "bbb": "1", "log_bb": "", "group": "B"},
    ]
    assert len(load_dataset(DataConfig(source="b3db", name="classification", limit=1))) == 1


def test_a_package_or_table_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(TaskError, match="did you mean log_bb"):
        load_dataset(DataConfig(source="b3db", name="logbb"))
    monkeypatch.setattr("mammal.tasks.sources.b3db.find_spec", lambda name: None)
    with pytest.raises(DataError, match=r"qc-b3db.*mammal\[b3db\]"):
        load_dataset(DataConfig(source="b3db", name="log_bb"))


@installed
def test_the_tables_of_version_1_1_1():
    labels = load_dataset(DataConfig(source="b3db", name="classification"))
    assert labels["bbb"].value_counts().to_dict() == {"1": 4956, "0": 2851}
    assert (labels["iupac"] != "").sum() == 6170
    values = load_dataset(DataConfig(source="b3db", name="log_bb"))
    assert len(values) == 1058 and values["log_bb"].astype(float).mean() == pytest.approx(-0.077873, abs=1e-6)


@installed
@pytest.mark.parametrize(
    ("name", "sizes", "left_out"), [("b3db", (5602, 687, 781), 735), ("b3db_logbb", (748, 92, 106), 112)]
)
def test_molecules_of_the_test_parts_of_bbbp_are_not_trained_on(name: str, sizes: tuple, left_out: int):
    found = load_data(load_task(name))
    assert tuple(map(len, found.split.parts.values())) == sizes
    assert sum("data.held_out=bbbp" in reason for _, reason in found.split.left_out) == left_out
    assert found.leakage == {"test": 0, "valid": 0}
