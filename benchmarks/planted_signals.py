"""Tasks whose label is one known part of each row, and models that learn them from scratch in seconds.

    sulfonamide   molecules with S(=O)(=O)N, or with a sulfone, a sulfoxide, an amide, an amine or an acid in its place
    motif         proteins with a run of six histidines at any place, or without
    base          DNA whose base 4 is G, or another base

`Planted.marks` says which parts of a row are the signal, so that attributions can be compared with it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mammal.inference.api import Mammal
from mammal.model.config import ModelConfig
from mammal.model.model import MammalModel
from mammal.tasks import build_task, load_task
from mammal.tokenization import Tokenizer

MOTIF = "HHHHHH"
PLACE = 3
"""Position of the base that is the label, from 0."""

RINGS = ("c1ccccc1", "c1ccncc1", "C1CCCCC1", "C1CCNCC1", "c1ccoc1", "c1ccsc1", "c1ccc2ccccc2c1")
CHAINS = ("C", "CC", "CCC", "CC(C)C", "OC", "CN(C)C", "FC", "CC(=O)C", "ClCC", "COC")
DECOYS = ("S(=O)(=O)C", "C(=O)N", "N", "SC", "S(C)=O", "CN", "C(=O)O")


@dataclass(frozen=True)
class Planted:
    """A task with a known signal.

    Attributes:
        name: its name.
        prompt: its input template.
        column: column of the value.
        make: makes a value with or without the signal.
        marks: returns for each part of a value, as the model reads it, whether it is the signal.
        epochs: passes over the rows until it is learned.
    """

    name: str
    prompt: str
    column: str
    make: Callable[[random.Random, bool], str]
    marks: Callable[[str], np.ndarray]
    epochs: int = 12

    def rows(self, number: int, seed: int) -> list[dict[str, Any]]:
        """Returns rows with the value and the column `label`, half of them with the signal."""
        rng = random.Random(seed)
        return [{self.column: self.make(rng, bool(i % 2)), "label": ("no", "yes")[i % 2]} for i in range(number)]


def molecule(rng: random.Random, signal: bool) -> str:
    from rdkit import Chem

    group = "S(=O)(=O)N" if signal else rng.choice(DECOYS)
    linker = rng.choice(("", "C", "CC", "CCC", "OCC", "C(C)C"))
    ring = rng.choice(RINGS)
    smiles = f"{rng.choice(CHAINS)}{linker}{ring[:-1]}({linker}{group}){ring[-1]}"
    found = Chem.MolFromSmiles(smiles)
    return molecule(rng, signal) if found is None else Chem.MolToSmiles(found)


def protein(rng: random.Random, signal: bool) -> str:
    residues = [rng.choice("ACDEFGHIKLMNPQRSTVWY") for _ in range(rng.randint(24, 40))]
    at = rng.randint(2, len(residues) - len(MOTIF) - 2)
    if signal:
        residues[at : at + len(MOTIF)] = MOTIF
    text = "".join(residues)
    return text if (MOTIF in text) == signal else protein(rng, signal)


def dna(rng: random.Random, signal: bool) -> str:
    bases = [rng.choice("ACGT") for _ in range(24)]
    bases[PLACE] = "G" if signal else rng.choice("ACT")
    return "".join(bases)


def sulfonamide_atoms(smiles: str) -> np.ndarray:
    from rdkit import Chem

    from mammal.explanation.smiles_atoms import molecule_as_written

    found = molecule_as_written(smiles)
    marks = np.zeros(found.GetNumAtoms(), dtype=bool)
    for match in found.GetSubstructMatches(Chem.MolFromSmarts("S(=O)(=O)N")):
        marks[list(match)] = True
    return marks


def motif_residues(sequence: str) -> np.ndarray:
    marks, at = np.zeros(len(sequence), dtype=bool), sequence.find(MOTIF)
    marks[at : at + len(MOTIF)] = at >= 0
    return marks


def base_of_label(sequence: str) -> np.ndarray:
    return np.arange(len(sequence)) == PLACE


PLANTED = (
    Planted("sulfonamide", "<BBBP><SENTINEL_ID_0> {smiles:smiles}", "smiles", molecule, sulfonamide_atoms, epochs=6),
    Planted("motif", "<BBBP><SENTINEL_ID_0> {protein:protein}", "protein", protein, motif_residues, epochs=6),
    Planted("base", "<BBBP><SENTINEL_ID_0> {sequence:dna}", "sequence", dna, base_of_label, epochs=14),
)


def trained(planted: Planted, rows: Sequence[dict[str, Any]], *, batch: int = 32, rate: float = 1e-3) -> Mammal:
    """Trains a model of the size `debug` on rows of a planted task.

    Args:
        planted: the task.
        rows: rows with labels.
        batch: rows of a batch.
        rate: highest learning rate.
    """
    torch.manual_seed(0)
    tokenizer = Tokenizer.load(None)
    declared = {
        "name": planted.name,
        "kind": "classification",
        "mode": "decoder",
        "prompt": {"input": planted.prompt, "target": "<SENTINEL_ID_0> {label:label}"},
        "labels": ["no", "yes"],
        "data": {"source": "file"},
    }
    task = build_task(load_task(declared), tokenizer)
    sizes = {"d_model": 64, "d_ff": 128, "d_kv": 32, "num_heads": 2, "num_layers": 2, "num_decoder_layers": 1}
    model = MammalModel(ModelConfig(tokenizer.vocab_rows, dropout_rate=0.0, **sizes))
    examples = [task.encode(row, i, target=True) for i, row in enumerate(rows)]
    steps = planted.epochs * (-(-len(rows) // batch))
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, steps, pct_start=0.1)
    order = random.Random(0)
    model.train()
    for _ in range(planted.epochs):
        order.shuffle(examples)
        for start in range(0, len(examples), batch):
            made = task.collate(examples[start : start + batch])
            task.loss(model(made), made).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            schedule.step()
    return Mammal(model.eval(), tokenizer, [task])


def found_signal(planted: Planted, explained: Any) -> float:
    """Returns how well attributions find the signal: mean AUROC of the parts of each row with the label `yes`.

    Args:
        planted: the task.
        explained: result of `Mammal.explain` for rows with the signal.
    """
    from sklearn.metrics import roc_auc_score

    scores = [
        roc_auc_score(planted.marks(read), np.nan_to_num(attribution))
        for read, attribution in zip(explained["read"], explained["attribution"], strict=True)
    ]
    return float(np.mean(scores))
