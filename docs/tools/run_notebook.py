"""Runs docs/quick-start.ipynb again and stores its outputs (`make notebook`).

The notebook runs in a temporary folder. Log lines and progress (standard error) are not stored, because they contain
durations and folders of the machine.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).resolve().parents[1] / "quick-start.ipynb"


def executed(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Returns the notebook with the outputs of a new run, without standard error and without times."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {"timeout": 600, "record_timing": False, "coalesce_streams": True}
        client = NotebookClient(notebook, **settings, resources={"metadata": {"path": folder}})
        client.execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
    notebook.metadata.pop("widgets", None)
    notebook.metadata.language_info = {"name": "python"}
    return notebook


def run() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.write(executed(notebook), NOTEBOOK)


if __name__ == "__main__":
    run()
