"""Pretraining on computed features: it learns, its bundle predicts and is a start for another task."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import mammal
from mammal.tasks.features.rdkit_names import NAMES

CHAINS = [head + "C" * n + tail for head in ("O", "N", "Cl", "c1ccccc1") for n in range(1, 13) for tail in "ONS"]
BROKEN = [f"C{element}(" for element in "CNOSFIP"]


@pytest.mark.slow
def test_a_pretrained_encoder_explains_held_out_molecules_and_is_fine_tuned(tmp_path: Path, monkeypatch) -> None:
    from mammal.configuration.compose import compose, parse_arguments
    from mammal.training.run import train

    monkeypatch.setenv("MAMMAL_CONFIGS", "")
    smiles = [*CHAINS, *BROKEN]
    pd.DataFrame({"smiles": smiles, "esol": range(len(smiles))}).to_csv(tmp_path / "own.csv", index=False)
    rows = ["task.data.source=file", f"task.data.path={tmp_path / 'own.csv'}", "task.data.split=random"]

    def run(name: str, *words: str):
        sizes = ["model=debug", "model.d_model=48", "optim.lr=4e-3", "data.tokens_per_batch=1024", "schedule=constant"]
        return train(compose("train", parse_arguments("train", [*words, *rows, *sizes, f"output={tmp_path / name}"])))

    words = ["monitor=valid/molecule_features/explained_variance", "trainer.max_epochs=25"]
    result = run("features", "task=molecule_features", *words)
    assert result.results[0].ours.estimates["explained_variance"].value > 0.2
    assert "explained_variance/counts" in result.results[0].ours.estimates
    assert (tmp_path / "features/set_aside.csv").read_text(encoding="utf-8").count("invalid SMILES") > 2

    pretrained = mammal.load(result.bundle)
    assert pretrained.model.config.vector_heads == {"descriptors": 215, "morgan": 2048}
    frame = pretrained.predict(["OCCCCN", "CC("])
    assert list(frame.columns) == ["smiles", "descriptors", "morgan", "similarity", "error"]
    values = np.asarray(frame.descriptors[0])
    assert values.shape == (215,) and 60 < values[NAMES.index("MolWt")] < 160 and "invalid" in frame.error[1]
    assert np.min(frame.morgan[0]) >= 0 and np.max(frame.morgan[0]) <= 1
    paths = {"data": str(tmp_path)}
    found = mammal.evaluate(pretrained, "molecule_features", output=tmp_path / "evaluated", limit=10, paths=paths)
    assert "explained_variance" in found.figures["molecule_features"]["test"]["MAMMAL"]
    assert (tmp_path / "evaluated/report.html").is_file()

    tuned = run("tuned", "task=esol", f"init={result.bundle}", "trainer.max_steps=2")
    model = mammal.load(tuned.bundle)
    assert not model.model.config.vector_heads and model.predict(["CCO"]).prediction.notna().all()
