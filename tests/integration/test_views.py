"""A task with several views: trained, queried by structure and by name, stopped and resumed."""

import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import mammal
from mammal.errors import DataError
from mammal.jobs import run_job
from mammal.training.module import TrainingModule
from mammal.training.run import train

NAMES = {
    "C": "methane", "CC": "ethane", "CCC": "propane", "CCCC": "butane", "CCCCC": "pentane", "CCCCCC": "hexane",
    "CO": "methanol", "CCO": "ethanol", "CCCO": "propan-1-ol", "CC(C)O": "propan-2-ol", "CCCCO": "butan-1-ol",
    "CN": "methanamine", "CCN": "ethanamine", "CCCN": "propan-1-amine", "CC#N": "acetonitrile", "CCS": "ethanethiol",
    "CC(=O)O": "acetic acid", "CCC(=O)O": "propanoic acid", "CC(C)=O": "propan-2-one", "COC": "methoxymethane",
    "c1ccccc1": "benzene", "Cc1ccccc1": "toluene", "Oc1ccccc1": "phenol", "Nc1ccccc1": "aniline",
    "c1ccncc1": "pyridine", "c1ccsc1": "thiophene", "c1ccoc1": "furan", "C1CCNCC1": "piperidine",
    "CCF": "fluoroethane", "CCCl": "chloroethane", "CCBr": "bromoethane", "CCI": "iodoethane",
}  # fmt: skip
TASK = """
defaults: [schema, _classification, _self_]
name: toy_views
data: {{source: file, path: {file}, split: random, fractions: {fractions}}}
prompt: {{input: "<BBBP><SENTINEL_ID_0> {{mol:molecule}}", target: "<SENTINEL_ID_0> {{y:label}}"}}
labels: ["no", "yes"]
metrics: [accuracy]
"""


@pytest.fixture
def views(toy, tmp_path):
    """As `toy`, with a task whose rows have a structure, a name and a label."""

    def configuration(*words, fractions="[0.75, 0.125, 0.125]"):
        rows = [(smiles, name, "yes" if "O" in smiles or "N" in smiles else "no") for smiles, name in NAMES.items()]
        file = tmp_path / "views.csv"
        pd.DataFrame(rows, columns=["smiles", "iupac", "y"]).to_csv(file, index=False)
        declared = TASK.format(file=file, fractions=fractions)
        (tmp_path / "configs" / "task" / "toy_views.yaml").write_text(declared.lstrip())
        return toy("task=toy_views", *words)

    return configuration


@pytest.mark.slow
def test_what_was_learnt_in_several_views_is_known_in_each(views, tmp_path):
    result = train(views("debug=overfit", "trainer.max_epochs=60", fractions="[1.0, 0.0, 0.0]"))
    model = mammal.load(result.bundle)
    table = pd.read_csv(tmp_path / "views.csv")
    by_structure = model.predict(table)
    by_name = model.predict(table[["iupac"]])
    assert (by_structure["prediction"] == table["y"]).mean() > 0.9
    assert (by_name["prediction"] == by_structure["prediction"]).mean() > 0.9
    assert np.allclose(model.predict(table, view="iupac")["probability"], by_name["probability"], atol=1e-5)
    assert model.predict(["CCO"])["prediction"].tolist() == ["yes"], "bare values are SMILES"
    assert model.predict(["ethanol"], view="iupac")["prediction"].tolist() == ["yes"]
    with pytest.raises(DataError, match="no column 'smiles' or 'iupac'"):
        model.predict(table[["y"]])

    mixed = table.assign(smiles=table["smiles"].where(table.index % 2 == 0, ""), id=range(len(table)))
    mixed.loc[3, "iupac"] = ""
    mixed.to_csv(tmp_path / "mixed.csv", index=False)
    report = run_job("predict", result.bundle, tmp_path / "mixed.csv", tmp_path / "out.csv")
    assert (report.ok, report.bad) == (31, 1)
    written = pd.read_csv(tmp_path / "out.csv").set_index("id")["prediction"]
    expected = by_structure["prediction"].where(table.index % 2 == 0, by_name["prediction"])
    assert written.drop(3).tolist() == expected.drop(3).tolist() and pd.isna(written[3])
    reasons = pd.read_csv(report.errors).iloc[0].tolist()
    assert any("no value in smiles or iupac" in str(cell) for cell in reasons)


def losses(folder: Path) -> list[float]:
    logged = pd.read_csv(folder / "metrics.csv")
    return logged["train/loss"].dropna().tolist()


@pytest.mark.slow
def test_a_resumed_run_draws_what_a_straight_one_draws(views, tmp_path, monkeypatch):
    words = ["data.max_rows=6", "trainer.max_epochs=3", "trainer.log_every_n_steps=1", "test=false"]
    train(views(*words, f"output={tmp_path / 'straight'}"))
    original = TrainingModule.training_step

    def stopped_at_six(self, batch, batch_idx):
        if self.trainer.global_step == 6:
            signal.raise_signal(signal.SIGINT)
        return original(self, batch, batch_idx)

    monkeypatch.setattr(TrainingModule, "training_step", stopped_at_six)
    with pytest.raises(KeyboardInterrupt):
        train(views(*words, f"output={tmp_path / 'stopped'}"))
    monkeypatch.setattr(TrainingModule, "training_step", original)
    train(views(*words, f"output={tmp_path / 'stopped'}", "resume=auto"))
    assert losses(tmp_path / "stopped") == losses(tmp_path / "straight")
    here, there = (torch.load(tmp_path / n / "checkpoints/last.ckpt")["state_dict"] for n in ("stopped", "straight"))
    assert all(torch.equal(here[name], there[name]) for name in there)
