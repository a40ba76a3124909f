"""Encoded rows on disk are the rows that a run encodes itself."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mammal.corpus import pack as packing
from mammal.corpus.pack import pack_task
from mammal.corpus.packed import PackedData
from mammal.errors import ConfigError, DataError
from mammal.evaluation.task_data import TaskData, load_task_data
from mammal.tasks import build_task, load_task
from mammal.tasks.batches.example import Example
from mammal.tasks.task import Task
from mammal.tokenization import Tokenizer

SMILES = ["CCO", "CC(=O)Oc1ccccc1C(=O)O", "CCN", "c1ccccc1", "CC(C)CO", "OCC(O)CO", "CCCC", "COC", "CC#N", "not one"]


def declared(folder: Path, kind: str, **more: Any) -> dict[str, Any]:
    data = {"source": "file", "path": str(folder / "rows.csv"), "split": "given"}
    return {"name": "t", "kind": kind, "data": data, **more}


CASES: dict[str, dict[str, Any]] = {
    "regression": {"prompt": {"input": "<MASK>{smiles:smiles}", "target": "{y:scalar}"}},
    "classification": {
        "prompt": {"input": "<BBBP><SENTINEL_ID_0>{smiles:smiles}", "target": "<SENTINEL_ID_0>{label:label}"},
        "labels": ["no", "yes"],
    },
    "generation": {
        "prompt": {"input": "<SENTINEL_ID_0>{smiles:smiles} {y:scalar}", "target": "<SENTINEL_ID_0>{canonical:smiles}"},
        "views": {"smiles": ["random_smiles"]},
    },
    "denoising": {"prompt": {"input": "{smiles:smiles}"}},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = {"smiles": SMILES * 2, "canonical": ["CCO"] * 20, "y": range(20), "label": ["no", "yes"] * 10}
    frame = pd.DataFrame(rows | {"split": ["train"] * 16 + ["valid"] * 4})
    frame.to_csv(tmp_path / "rows.csv", index=False)
    return tmp_path


def task_of(folder: Path, kind: str) -> Task:
    mode = {"regression": "encoder"}.get(kind, "decoder")
    return build_task(load_task(declared(folder, kind, mode=mode, **CASES[kind])), Tokenizer.load(None))


def prepared(task: Task) -> TaskData:
    data = load_task_data(task)
    data.prepare()
    return data


def same(one: Any, other: Any) -> bool:
    """Whether two rows are equal, field by field."""
    if isinstance(one, np.ndarray):
        return other is not None and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if hasattr(one, "__dataclass_fields__"):
        names = [f.name for f in fields(one) if f.name not in ("row_id", "locate", "is_cut", "target_is_cut")]
        return all(same(getattr(one, name), getattr(other, name)) for name in names)
    return one == other


@pytest.mark.parametrize("kind", CASES)
def test_packed_rows_are_the_rows_of_each_epoch(folder: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "CHUNK", 3)
    expected = prepared(task_of(folder, kind))
    pack_task(load_task_data(task_of(folder, kind)), folder / "packs", views=3)
    packed = PackedData(task_of(folder, kind), folder / "packs" / "t")

    for epoch in range(3):
        for data in (expected, packed):
            data.task.epoch = epoch
        rows, found = expected.examples("train"), packed.examples("train")
        assert len(rows) == len(found) == 15
        if kind == "denoising":  # the seed of a row's spans depends on its number, which counts usable rows in a pack
            assert [row.tokens for row in found] != [0] * 15
            first = packed.task.changed(Example(0, expected.task.encode({"smiles": "CCO"}).input), epoch)
            assert same(first, found[0])
        elif kind != "generation":
            assert all(map(same, rows, found))
        else:  # so does that of a row's spelling; the molecule and the target stay the same
            assert [row.input.values_L.sum() for row in rows] == [row.input.values_L.sum() for row in found]
            assert all(same(row.targets, other.targets) for row, other in zip(rows, found, strict=True))
    assert all(map(same, expected.examples("valid"), packed.examples("valid"))) or kind == "denoising"
    assert [part for part, _, _ in packed.set_aside] == ["train", "valid"]
    assert packed.task.state() == expected.task.state()


def test_views_differ_and_lengths_fit(folder: Path) -> None:
    pack_task(load_task_data(task_of(folder, "generation")), folder / "packs", views=2)
    packed = PackedData(task_of(folder, "generation"), folder / "packs" / "t")
    aspirin = []
    for epoch in (0, 1, 2):
        packed.task.epoch = epoch
        assert packed.lengths_N("train").tolist() == [row.tokens for row in packed.examples("train")]
        aspirin.append(packed.examples("train")[1].input.ids_L.tolist())
    assert aspirin[0] != aspirin[1]
    assert aspirin[0] == aspirin[2]


def test_vectors_are_stored_in_bytes_and_bits(folder: Path) -> None:
    rng = np.random.default_rng(0)
    vectors = rng.uniform(-2.5, 2.5, (4, 9)).astype(np.float32)
    vectors[1, 2] = np.nan
    bits = (rng.random((4, 11)) < 0.3).astype(np.float32)
    wide = vectors * 100
    from mammal.corpus.arrays import PackedRows, fields_of, pack_rows

    encoding = task_of(folder, "regression").encode({"smiles": "CCO"}).input
    named = [{"a": vectors[i], "b": bits[i], "c": wide[i]} for i in range(4)]
    rows = [Example(i, encoding, label_vectors=named[i]) for i in range(4)]
    for name, array in pack_rows([fields_of(row) for row in rows]).items():
        np.save(folder / f"{name}.npy", array)
    found = [row.label_vectors for row in PackedRows(folder, np.arange(4), 4)]
    for i, read in enumerate(found):
        assert read is not None
        np.testing.assert_allclose(read["a"], vectors[i], atol=0.0101)
        np.testing.assert_array_equal(read["b"], bits[i])
        np.testing.assert_allclose(read["c"], wide[i], rtol=1e-3)


def test_an_interrupted_pack_continues(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "CHUNK", 4)
    whole = pack_task(load_task_data(task_of(folder, "generation")), folder / "whole", views=2, workers=2)
    calls: list[int] = []
    real = packing._encode

    def stopping(chunk: Any) -> Any:
        calls.append(len(chunk.rows))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(chunk)

    monkeypatch.setattr(packing, "_encode", stopping)
    with pytest.raises(KeyboardInterrupt):
        pack_task(load_task_data(task_of(folder, "generation")), folder / "packs", views=2)
    assert not (folder / "packs" / "t").exists()
    made = pack_task(load_task_data(task_of(folder, "generation")), folder / "packs", views=2)
    for file in whole.rglob("*.npy"):
        np.testing.assert_array_equal(np.load(file), np.load(made / file.relative_to(whole)))
    assert calls == [4, 4, 4, 4, 4, 4]  # the third chunk twice; 16 training and 4 validation rows
    with pytest.raises(ConfigError, match="differs in views"):
        pack_task(load_task_data(task_of(folder, "generation")), folder / "packs", views=3)


def test_a_pack_of_another_task_is_refused(folder: Path) -> None:
    pack_task(load_task_data(task_of(folder, "regression")), folder / "packs")
    with pytest.raises(ConfigError, match="the declaration differs"):
        PackedData(task_of(folder, "classification"), folder / "packs" / "t")
    (folder / "packs" / "t" / "state.json").unlink()
    with pytest.raises(DataError, match="not a complete pack"):
        PackedData(task_of(folder, "regression"), folder / "packs" / "t")


def test_a_run_reads_packs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from mammal import cli

    (folder / "task").mkdir()
    (folder / "task" / "t.yaml").write_text(
        json.dumps(declared(folder, "regression", mode="encoder", **CASES["regression"]))
    )
    words = ["task=t", "--config-dir", str(folder)]
    assert cli.main(["pack", *words, f"output={folder / 'packs'}"]) == 0
    run = ["model=debug", "trainer.max_steps=2", "test=false", f"output={folder / 'run'}"]
    assert cli.main(["train", *words, *run, f"data.packed={folder / 'packs'}"]) == 0
    assert "t 15 rows" in capsys.readouterr().err
    assert (folder / "run" / "bundle" / "model.safetensors").is_file()
    assert cli.main(["train", *words, *run, f"data.packed={folder / 'none'}"]) == 2
    assert "holds no pack of a task of this run" in capsys.readouterr().err
