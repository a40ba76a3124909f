"""Labels of atoms: a run in a mixture, its bundle, predictions with bad rows, evaluation, and a run from the bundle."""

import numpy as np
import pandas as pd
import torch

import mammal
from mammal.training.run import train

TASK = """
defaults: [schema, _token_classification, _self_]
name: toy_tokens
prompt: {input: "{smiles:smiles@16}", target: "{hetero:labels}"}
labels: ["0", "1"]
metrics: [auroc, accuracy]
data: {source: file, path: PATH, split: random, fractions: [0.6, 0.2, 0.2]}
"""
MIXTURE = "++mixture={tasks: {toy_regression: {rate: 1.0}, toy_tokens: {rate: 1.0}}}"
QUICK = ("trainer.max_steps=4", "data.tokens_per_batch=100")
ROWS = ("CCO", "NCC", "COC", "CCN", "OCC", "CNC", "CC=O", "NCCO", "OCCN", "CC#N", "CCCO", "CON", "OCO", "NCN", "CCNC")


def test_labels_of_atoms_from_training_to_prediction(toy, tmp_path):
    table = pd.DataFrame({"smiles": ROWS})
    table["hetero"] = ["".join("01"[c in "NO"] for c in s if c.isalpha()) for s in ROWS]
    table.to_csv(tmp_path / "tokens.csv", index=False)
    (tmp_path / "configs/task/toy_tokens.yaml").write_text(TASK.lstrip().replace("PATH", str(tmp_path / "tokens.csv")))
    result = train(toy(MIXTURE, *QUICK))
    model = mammal.load(result.bundle, device="cpu")
    assert set(model.model.config.vector_heads) == {"labels_toy_tokens"}

    asked = pd.DataFrame({"smiles": ["CCO", "not a molecule", "C" * 30, "N"]}, index=["a", "b", "c", "d"])
    said = model.predict(asked, "toy_tokens", every_label=True)
    assert list(said.index) == list(asked.index) and said["error"].notna().tolist() == [False, True, False, False]
    assert said["labelled"].tolist()[0] == 3 and len(said.loc["a", "prediction"]) == 3
    assert said["cut"].tolist()[2] and 0 < said["labelled"].tolist()[2] == len(said.loc["c", "prediction"]) < 16
    both = np.stack([said.loc["a", "probability_0"], said.loc["a", "probability_1"]])
    assert both.shape == (2, 3) and np.allclose(both.sum(axis=0), 1, atol=1e-5)
    alone = model.predict(asked.loc[["a"]], "toy_tokens", every_label=True)
    assert np.allclose(alone.loc["a", "probability_1"], both[1], atol=1e-5)

    page, paths = tmp_path / "page", {"data": tmp_path}
    found = mammal.evaluate(model, "toy_tokens", data=table, sensitivity=0, output=page, paths=paths)
    evaluated = found["toy_tokens"]
    names = [contender.name for contender in evaluated.contenders]
    assert names == ["MAMMAL", "mean", "linear_window"] and (page / "report.html").exists()
    assert evaluated.answers["truth"].astype(str).str.len().max() == 4

    again = train(toy("task=toy_tokens", *QUICK, f"init={result.bundle}", "optim.lr=1e-12", f"output={tmp_path / 'b'}"))
    tuned = mammal.load(again.bundle, device="cpu").model.vector_heads["labels_toy_tokens"]
    assert torch.equal(tuned.weight, model.model.vector_heads["labels_toy_tokens"].weight)
