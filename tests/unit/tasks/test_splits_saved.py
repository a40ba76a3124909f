"""A split that a run saved selects the same rows again, and nothing else."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mammal.tasks.data import SplitData, load_data
from mammal.tasks.declaration.registry import load_task
from mammal.tasks.errors import DataError

PROMPT = {"input": "<BBBP><SENTINEL_ID_0> {smiles:smiles}", "target": "<SENTINEL_ID_0> {y:label}"}
TASK = {"name": "t", "kind": "classification", "prompt": PROMPT, "labels": ["0", "1"]}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    frame = pd.DataFrame({"smiles": ["C" * (n + 1) for n in range(30)] + ["bad("], "y": [n % 2 for n in range(31)]})
    frame.to_csv(tmp_path / "mine.csv", index=False)
    return tmp_path / "mine.csv"


def load(path: Path, **data: Any) -> SplitData:
    return load_data(load_task({**TASK, "data": {"path": str(path), **data}}))


@pytest.mark.parametrize("name", ["t.json.gz", "t.json"])
def test_a_saved_split_comes_back_row_for_row(table: Path, tmp_path: Path, name: str):
    made = load(table, split="scaffold")
    made.record.save(tmp_path / "splits" / name)
    again = load(table, split_file=str(tmp_path / "splits" / name), split_seed=5)
    assert again.split.hash == made.split.hash and again.split.how == "scaffold"
    assert again.split.left_out == made.split.left_out and len(made.split.left_out) == 1
    first = (tmp_path / "splits" / name).read_bytes()
    again.record.save(tmp_path / "splits" / name)
    assert (tmp_path / "splits" / name).read_bytes() == first


def test_a_split_that_can_not_be_written_whole_leaves_the_one_before_it(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    file = tmp_path / "splits" / "t.json"
    load(table, split="scaffold").record.save(file)
    before = file.read_bytes()

    def full_disk(path: Path, content: bytes) -> int:
        with path.open("wb") as out:
            out.write(content[:10])
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "write_bytes", full_disk)
    with pytest.raises(OSError, match="no space left"):
        load(table, split="random").record.save(file)
    assert file.read_bytes() == before and [path.name for path in file.parent.iterdir()] == ["t.json"]


def test_the_record_tells_sizes_and_leaks(table: Path):
    reported = load(table, split="scaffold").record.summary()
    assert sum(reported["rows"].values()) == 31 and reported["rows"]["left_out"] == 1
    assert reported["leakage"] == {"test": 0, "valid": 0} and len(reported["hash"]) == 64
    json.dumps(reported)


def changed(file: Path) -> None:
    whole = json.loads(gzip.decompress(file.read_bytes()))
    whole["parts"]["test"], whole["parts"]["train"] = whole["parts"]["train"], whole["parts"]["test"]
    file.write_bytes(gzip.compress(json.dumps(whole).encode()))


def test_a_file_that_was_changed_or_belongs_elsewhere_is_refused(table: Path, tmp_path: Path):
    file = tmp_path / "t.json.gz"
    load(table, split="random").record.save(file)
    text = table.read_text()
    table.write_text(text.replace("CCCC,", "CCCCO,"))
    with pytest.raises(DataError, match="other cells in smiles"):
        load(table, split_file=str(file))
    table.write_text(text + "CCN,1\n")
    with pytest.raises(DataError, match="31 rows; this one has 32"):
        load(table, split_file=str(file))
    table.write_text(text)
    changed(file)
    with pytest.raises(DataError, match="changed or damaged"):
        load(table, split_file=str(file))
    torn = bytearray(gzip.compress(b"{" * 100))
    torn[10] = 0xFF  # the first byte of what is packed
    for content in (b"no gzip", bytes(torn), gzip.compress(b"{")):
        file.write_bytes(content)
        with pytest.raises(DataError, match="not a saved split"):
            load(table, split_file=str(file))
    with pytest.raises(DataError, match=r"did you mean t\.json\.gz"):
        load(table, split_file=str(tmp_path / "u.json.gz"))
