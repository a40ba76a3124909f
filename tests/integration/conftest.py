"""A data set of 32 rows and tasks for it, which are trained with the same `train` as on the command line."""

import random

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


@pytest.fixture
def toy(toy_runs):
    """Composes a training configuration over the toy tasks: `toy("task=toy_regression", "model=debug", …)`."""
    rng = random.Random(0)
    return toy_runs([f"{s},{rng.random():.4f},{rng.choice(['no', 'yes'])},{rng.choice(MOLECULES)}" for s in MOLECULES])
