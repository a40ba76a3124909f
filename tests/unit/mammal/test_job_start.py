"""A job on a text file starts without the libraries that it does not need, and builds its columns without pandas."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from mammal.jobs.arrow_arrays import array_of, rows_of

NOT_NEEDED = {"pandas", "pyarrow.compute", "pyarrow.parquet", "scipy", "sklearn", "lightning", "transformers", "rich"}


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_prediction_of_a_text_file_needs_no_pandas(tiny_bundle: Path, tmp_path: Path, suffix: str):
    given, output = tmp_path / "given.csv", tmp_path / f"predicted{suffix}"
    given.write_text('smiles,name\nCCO,ethanol\nc1ccccc1,"benzene, pure"\n')
    words = ["predict", f"bundle={tiny_bundle}", "task=bbbp", f"input={given}", f"output={output}", "device=cpu"]
    code = (
        f"import json, sys\nfrom mammal.cli import main\nassert main({words!r}) == 0\nprint(json.dumps([*sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout.splitlines()[-1])) & NOT_NEEDED == set()
    assert len(output.read_text().splitlines()) == (3 if suffix == ".csv" else 2)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["a", None, "", "Å²", "x" * 1000], pa.string()),
        ([], pa.string()),
        ([1.5, None, float("nan"), float("inf"), np.float64(2)], pa.float64()),
        ([1, 2.5, None], pa.float64()),
        ([np.float32(0.1)], pa.float64()),
        ([1, None, 3], pa.int64()),
        ([True, None], pa.bool_()),
        ([np.ones(2, np.float32), None], pa.list_(pa.float32())),
    ],
)
def test_arrays_are_those_of_pyarrow(values: list, kind: pa.DataType):
    ours, theirs = array_of(values, kind), pa.array(values, kind)
    assert ours.type == kind and ours.null_count == theirs.null_count
    ours.validate(full=True)
    assert repr(ours.to_pylist()) == repr(theirs.to_pylist())


def test_values_of_another_type_are_refused():
    with pytest.raises(pa.ArrowException):
        array_of(["a", 1], pa.string())


@pytest.mark.parametrize("rows", [[], [0, 1, 2], [2, 0], [1, 1, 1, 1], [0, 2, 1]])
def test_rows_are_picked_by_position(rows: list[int]):
    table = pa.table({"x": ["a", "b", "c"], "y": [1, 2, 3]})
    assert rows_of(table, rows).equals(table.take(pa.array(rows, pa.int64())))
