"""The decoder memorizes numbers: two in a chain, and one after a generated molecule."""

from __future__ import annotations

import random
from pathlib import Path

import pandas as pd
import pytest

import mammal
from mammal.inference.predict import predict_rows
from mammal.tasks.molecules.chemistry import canonical_or_none
from mammal.training.run import train

CHAIN = """
defaults: [schema, _regression, _self_]
name: toy_chain
mode: decoder
chain: true
prompt: {input: "{smiles:smiles}", target: "<SENTINEL_ID_0> {first:scalar} <SENTINEL_ID_1> {second:scalar}"}
metrics: [pearson]
"""
MOLECULE = """
defaults: [schema, _generation, _self_]
name: toy_molecule
prompt: {input: "<SENTINEL_ID_0> {smiles:smiles}", target: "<SENTINEL_ID_0> {other:smiles} <SENTINEL_ID_1> {mw:scalar}"}
computed: {mw: other}
metrics: [exact_match, mae, consistency_pearson]
"""


@pytest.fixture
def rows(toy, tmp_path: Path) -> pd.DataFrame:
    """32 molecules with another one each, and two numbers that nothing tells but the molecule; some are missing."""
    molecules, rng = pd.read_csv(tmp_path / "toy.csv").smiles.tolist(), random.Random(1)
    first = [f"{rng.uniform(100, 300):.1f}" for _ in molecules]
    second = [f"{rng.uniform(-1, 1):.3f}" for _ in molecules]
    first[3] = second[5] = second[6] = ""
    others = rng.sample(molecules, len(molecules))
    frame = pd.DataFrame({"smiles": molecules, "first": first, "second": second, "other": others})
    frame.to_csv(tmp_path / "numbers.csv", index=False)
    return frame


def learned(toy, tmp_path: Path, name: str, declared: str) -> mammal.Mammal:
    source = f"data: {{source: file, path: {tmp_path / 'numbers.csv'}, split: random, fractions: [1.0, 0.0, 0.0]}}\n"
    (tmp_path / "configs" / "task" / f"{name}.yaml").write_text(declared.lstrip() + source)
    config = toy(f"task={name}", "debug=overfit")
    return mammal.load(train(config).bundle)


@pytest.mark.slow
def test_a_chain_of_two_numbers_is_learned_by_heart(toy, tmp_path: Path, rows: pd.DataFrame):
    model = learned(toy, tmp_path, "toy_chain", CHAIN)
    answers = model.predict(rows)
    assert answers.error.isna().all()
    for column in ("first", "second"):
        truth = pd.to_numeric(rows[column])
        assert answers[f"{column}_prediction"].astype(float).corr(truth) > 0.98, column


@pytest.mark.slow
def test_a_molecule_and_its_weight_are_learned_by_heart(toy, tmp_path: Path, rows: pd.DataFrame):
    model = learned(toy, tmp_path, "toy_molecule", MOLECULE)
    answers = model.predict(rows[["smiles"]])
    expected = [canonical_or_none(smiles) for smiles in rows.other]
    assert (answers.other_text == expected).mean() >= 0.8
    given = rows[["smiles", "other"]].to_dict("records")
    task = model.tasks["toy_molecule"]
    scores = task.metrics(predict_rows(model.model, task, given), given)
    assert scores["consistency_pearson"] > 0.95 and scores["mae/mw"] < 10
