"""Models learn labels that a known part of each row decides, and explanations find this part.

`benchmarks/bench_explain.py` does the same with more rows, decoys and a base at a fixed place.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from rdkit import Chem
from sklearn.metrics import roc_auc_score

from mammal.explanation.smiles_atoms import molecule_as_written
from mammal.inference.api import Mammal
from mammal.model.config import ModelConfig
from mammal.model.model import MammalModel
from mammal.tasks import build_task, load_task
from mammal.tokenization import Tokenizer

MOTIF = "HHHHHH"


def nitro_molecule(rng: random.Random, signal: bool) -> str:
    group = "[N+](=O)[O-]" if signal else rng.choice(["N", "C(=O)[O-]", "C#N", "[NH3+]", "N=O", "OC"])
    ring = rng.choice(["c1ccccc1", "c1ccncc1", "C1CCNCC1", "c1ccsc1"])
    return Chem.CanonSmiles(rng.choice(["C", "CC", "FC", "COC", "ClCC"]) + f"{ring[:-1]}(C{group}){ring[-1]}")


def nitro_atoms(smiles: str) -> np.ndarray:
    molecule = molecule_as_written(smiles)
    marks = np.zeros(molecule.GetNumAtoms(), dtype=bool)
    marks[list(molecule.GetSubstructMatch(Chem.MolFromSmarts("[N+](=O)[O-]")))] = True
    return marks


def tagged_protein(rng: random.Random, signal: bool) -> str:
    residues = [rng.choice("ACDEFGHIKLMNPQRSTVWY") for _ in range(rng.randint(20, 32))]
    at = rng.randint(2, len(residues) - 8)
    if signal:
        residues[at : at + len(MOTIF)] = MOTIF
    return "".join(residues)


def motif_residues(sequence: str) -> np.ndarray:
    marks = np.zeros(len(sequence), dtype=bool)
    marks[sequence.find(MOTIF) :][: len(MOTIF)] = True
    return marks


def dna_with_variant(rng: random.Random, signal: bool) -> str:
    """A variant whose alternate allele is G; without the signal another variant, or none."""
    bases = [rng.choice("ACGT") for _ in range(24)]
    reference = rng.choice("ACT")
    if signal or rng.random() < 0.5:
        other = rng.choice(sorted({*"ACT"} - {reference}))
        bases[rng.randint(2, 21)] = f"[{reference}/{'G' if signal else other}]"
    return "".join(bases)


def variant_base(text: str) -> np.ndarray:
    marks = np.zeros(24, dtype=bool)
    marks[text.index("[")] = True
    return marks


def trained(slot: str, rows: list[dict[str, Any]], epochs: int) -> Mammal:
    torch.manual_seed(0)
    tokenizer = Tokenizer.load(None)
    prompt = {"input": f"<BBBP><SENTINEL_ID_0> {slot}", "target": "<SENTINEL_ID_0> {label:label}"}
    declared = {
        "name": "planted",
        "kind": "classification",
        "mode": "decoder",
        "labels": ["no", "yes"],
        "prompt": prompt,
    }
    task = build_task(load_task(declared), tokenizer)
    sizes = {"d_model": 64, "d_ff": 128, "d_kv": 32, "num_heads": 2, "num_layers": 2, "num_decoder_layers": 1}
    model = MammalModel(ModelConfig(tokenizer.vocab_rows, dropout_rate=0.0, **sizes))
    examples, order = [task.encode(row, i, target=True) for i, row in enumerate(rows)], random.Random(0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, epochs * (len(rows) // 32), pct_start=0.1)
    model.train()
    for _ in range(epochs):
        order.shuffle(examples)
        for start in range(0, len(examples) - 31, 32):
            batch = task.collate(examples[start : start + 32])
            task.loss(model(batch), batch).backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            schedule.step()
    return Mammal(model.eval(), tokenizer, [task])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("slot", "make", "marks"),
    [
        ("{text:smiles}", nitro_molecule, nitro_atoms),
        ("{text:protein}", tagged_protein, motif_residues),
        ("{text:dna}", dna_with_variant, variant_base),
    ],
    ids=["nitro group", "motif", "variant"],
)
def test_attributions_find_what_decides_the_label(
    slot: str, make: Callable[[random.Random, bool], str], marks: Callable[[str], np.ndarray]
):
    rng = random.Random(0)
    rows = [{"text": make(rng, bool(i % 2)), "label": ("no", "yes")[i % 2]} for i in range(660)]
    model, held_out = trained(slot, rows[:600], epochs=3), rows[600:]
    assert (model.predict(held_out)["prediction"] == [row["label"] for row in held_out]).mean() >= 0.95
    with_signal = [row for row in held_out if row["label"] == "yes"][:20]
    for how in ({"baseline": "mask"}, {"method": "occlusion"}):
        found = model.explain(with_signal, **how)
        scores = [roc_auc_score(marks(read), a) for read, a in zip(found["read"], found["attribution"], strict=True)]
        assert np.mean(scores) >= 0.9, how
