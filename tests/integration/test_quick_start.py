"""The notebook docs/quick-start.ipynb runs, and its stored outputs still show what a run shows today."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).resolve().parents[2] / "docs" / "quick-start.ipynb"
CELLS = [
    cell for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"
]  # fmt: skip


def run_cell(source: str, names: dict[str, Any]) -> Any:
    """Runs the code of a cell; returns the value of its last line if that is an expression, as Jupyter shows it."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, NOTEBOOK.name, "exec"), names)
    return None if last is None else eval(compile(ast.Expression(last.value), NOTEBOOK.name, "eval"), names)


def kind_of_text(text: str) -> list[str]:
    """Words of an output with every number replaced, because numbers differ slightly between machines."""
    return re.sub(r"-?\d[\d.,]*(?:e[+-]?\d+)?", "#", text).split()


def kind_of_value(value: Any) -> Any:
    """Columns and number of rows of a table; the words of everything else."""
    return (list(value.columns), len(value)) if hasattr(value, "columns") else kind_of_text(repr(value))


def kind_of_stored(output: dict[str, Any]) -> Any:
    data = output["data"]
    if "text/html" not in data:
        return kind_of_text("".join(data["text/plain"]))
    head, body = "".join(data["text/html"]).split("</thead>")
    return re.findall(r"<th>(.+?)</th>", head), body.count("<tr>")


def stored(outputs: list[dict[str, Any]]) -> tuple[Any, list[str]]:
    """Kind of the stored value and of the stored text of a cell."""
    values = [kind_of_stored(output) for output in outputs if output["output_type"] == "execute_result"]
    printed = "".join("".join(output["text"]) for output in outputs if output["output_type"] == "stream")
    return (values[0] if values else None), kind_of_text(printed)


@pytest.mark.slow
def test_cells_run_and_show_what_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, cell in enumerate(CELLS, start=1):
        value = run_cell("".join(cell["source"]), names)
        shown = (None if value is None else kind_of_value(value)), kind_of_text(capsys.readouterr().out)
        assert shown == stored(cell["outputs"]), f"code cell {number} shows something else: run `make notebook`"
    assert names["exit_code"] == 0
    assert (tmp_path / "quick-start" / "evaluation" / "evaluation.json").is_file()


def test_stored_outputs_hold_no_folders_or_times() -> None:
    outputs = [output for cell in CELLS for output in cell["outputs"]]
    assert len(outputs) >= 8 and all(output.get("name") != "stderr" for output in outputs)
    text = json.dumps(outputs)
    assert not re.findall(r"/(?:home|root|tmp|work|Users|private|var)/", text)
    assert not re.findall(r"20\d\d-\d\d-\d\d|\b\d?\d:\d\d:\d\d\b", text)
    assert NOTEBOOK.stat().st_size < 100_000


def test_a_changed_column_is_seen() -> None:
    import pandas as pd

    html = pd.DataFrame({"smiles": ["CCO"], "prediction": [1.5]}).to_html()
    output = {"output_type": "execute_result", "data": {"text/html": [html], "text/plain": [""]}}
    kind, _ = stored([output])
    assert kind == kind_of_value(pd.DataFrame({"smiles": ["C"], "prediction": [7]}))
    assert kind != kind_of_value(pd.DataFrame({"smiles": ["C"], "value": [7]}))
    assert kind_of_text("rmse 87.0 (72.9 to 1e-05)") == kind_of_text("rmse -1 (0.1 to 3)") != kind_of_text("mae 1")
