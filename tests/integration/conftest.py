"""A data set of 32 rows and tasks for it, which are trained with the same `train` as on the command line."""

import random
from pathlib import Path

import pytest

MOLECULES = [
    "CCO",
    "CCN",
    "c1ccccc1",
    "CC(=O)O",
    "CCCC",
    "CCOC(=O)C",
    "c1ccncc1",
    "CC(C)C",
    "CCCl",
    "CCBr",
    "CC#N",
    "C1CCCCC1",
    "OCCO",
    "NCCN",
    "CC(C)O",
    "c1ccccc1O",
    "c1ccccc1N",
    "CC(=O)C",
    "CCS",
    "CCCCO",
    "CCCN",
    "OC(=O)C(=O)O",
    "CC=C",
    "C=CC=C",
    "CC(N)C(=O)O",
    "c1ccsc1",
    "c1ccoc1",
    "C1CCNCC1",
    "C1COCCO1",
    "CN(C)C",
    "COC",
    "CCF",
]
TASKS = {
    "toy_regression": """
defaults: [schema, _regression, _self_]
name: toy_regression
prompt: {input: "<MELTING_POINT><MASK> {smiles:smiles}", target: "{number:scalar}"}
metrics: [pearson]
""",
    "toy_classification": """
defaults: [schema, _classification, _self_]
name: toy_classification
prompt: {input: "<BBBP><SENTINEL_ID_0> {smiles:smiles}", target: "<SENTINEL_ID_0> {label:label}"}
labels: ["no", "yes"]
metrics: [accuracy]
""",
    "toy_generation": """
defaults: [schema, _generation, _self_]
name: toy_generation
prompt: {input: "<SENTINEL_ID_0> {smiles:smiles}", target: "<SENTINEL_ID_0> {other:smiles}"}
metrics: [exact_match]
""",
    "toy_denoising": """
defaults: [schema, _denoising, _self_]
name: toy_denoising
prompt: {input: "{smiles:smiles}"}
""",
}


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Composes a training configuration over the toy tasks: `toy("task=toy_regression", "model=debug", …)`."""
    from mammal.configuration.compose import compose, parse_arguments

    rng = random.Random(0)
    lines = [f"{s},{rng.random():.4f},{rng.choice(['no', 'yes'])},{rng.choice(MOLECULES)}" for s in MOLECULES]
    data = tmp_path / "toy.csv"
    data.write_text("\n".join(["smiles,number,label,other", *lines]) + "\n")
    folder = tmp_path / "configs" / "task"
    folder.mkdir(parents=True)
    source = f"data: {{source: file, path: {data}, split: random, fractions: [0.75, 0.125, 0.125]}}\n"
    for name, text in TASKS.items():
        (folder / f"{name}.yaml").write_text(text.lstrip() + source)
    monkeypatch.setenv("MAMMAL_CONFIGS", str(folder.parent))
    output = tmp_path / "run"

    def configuration(*words: str):
        return compose("train", parse_arguments("train", ["model=debug", f"output={output}", *words]))

    return configuration
