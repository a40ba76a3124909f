"""A small model that learns to copy: the product of a substitution from the reactant, in the same order of atoms.

The molecules are those of the package `chemicals`. Each is written in a random order of atoms; in the product, each
leaving group of the same text is replaced. Most of a product is therefore a copy of the prompt.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from common import progress
from rdkit import Chem, RDLogger

from mammal.inference.api import Mammal, load
from mammal.model.config import ModelConfig
from mammal.model.model import MammalModel
from mammal.tasks import build_task, load_task
from mammal.tasks.declaration.schema import DataConfig
from mammal.tasks.sources import chemicals
from mammal.tasks.task import Task
from mammal.tokenization import Tokenizer

TASK: dict[str, Any] = {
    "name": "substitution",
    "kind": "generation",
    "mode": "decoder",
    "prompt": {
        "input": "<FORWARD_REACTION><SENTINEL_ID_0><REACTANTS> {reactants:smiles}",
        "target": "<SENTINEL_ID_0> {product:smiles}",
    },
    "standardise": "off",
    "generation": {"max_new_tokens": 128, "constraint": "grammar"},
}
LEAVING = {"Cl": "O", "Br": "N", "C#N": "C(=O)O"}
SIZES: dict[str, Any] = {
    "d_model": 128,
    "d_ff": 256,
    "d_kv": 32,
    "num_heads": 4,
    "num_layers": 3,
    "num_decoder_layers": 2,
    "dropout_rate": 0.0,
    "cross_attention_num_buckets": 64,
    "position_slope_scale": 4.0,
}
LENGTHS = (20, 90)
"""Shortest and longest SMILES, in characters."""

_BATCH, _RATE, _SEED = 24, 2e-3, 0


def copying_model(folder: Path, steps: int) -> Mammal:
    """Returns the trained model. It is trained once and kept in `folder`.

    Args:
        folder: the bundle.
        steps: optimiser steps; 24 reactions each.
    """
    if not (folder / "config.json").exists():
        tokenizer = Tokenizer.load(None)
        task = build_task(load_task(TASK), tokenizer)
        Mammal(_trained(task, tokenizer, steps), tokenizer, [task]).save(folder)
    return load(folder, device="cpu")


def reactions(molecules: Sequence[str], seed: int) -> Iterator[dict[str, str]]:
    """Yields reactants and products without end."""
    generator = random.Random(seed)
    while True:
        molecule = Chem.MolFromSmiles(generator.choice(molecules))
        if molecule is None:
            continue
        reactants = Chem.MolToSmiles(molecule, doRandom=True, canonical=False)
        product = reactants
        for old, new in LEAVING.items():
            product = product.replace(old, new)
        if LENGTHS[0] <= len(reactants) <= LENGTHS[1]:
            yield {"reactants": reactants, "product": product}


def molecules() -> tuple[list[str], list[str]]:
    """Returns molecules for training and others for measurements."""
    RDLogger.DisableLog("rdApp.*")
    table = chemicals.load(DataConfig(source="chemicals", name="molecules"), None)
    every = sorted({smiles for smiles in table["smiles"] if LENGTHS[0] <= len(smiles) <= LENGTHS[1]})
    random.Random(_SEED).shuffle(every)
    return every[500:], every[:500]


def untrained(tokenizer: Tokenizer) -> MammalModel:
    """Returns the model before training."""
    torch.manual_seed(_SEED)
    return MammalModel(ModelConfig(vocab_size=tokenizer.vocab_rows, **SIZES)).eval()


def _trained(task: Task, tokenizer: Tokenizer, steps: int) -> MammalModel:
    model = untrained(tokenizer).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=_RATE, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=steps, pct_start=0.1)
    rows = reactions(molecules()[0], _SEED)
    for step in range(steps):
        examples = [task.encode(next(rows), number, target=True) for number in range(_BATCH)]
        batch = task.collate(examples)
        loss = task.loss(model(batch), batch)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 0:
            progress(f"Step {step} of {steps}: loss {loss.item():.3f}")
    return model.eval()
