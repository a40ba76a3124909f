"""A published checkpoint asked through our tasks gives the numbers of the published code."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mammal.model.checkpoint import load_checkpoint
from mammal.tasks.batches.prediction import Prediction
from mammal.tasks.declaration.registry import load_task
from mammal.tasks.kinds.build import build_task
from mammal.tokenization import Tokenizer

SOLUBILITY, AFFINITY = 2, 4
"""Recorded prompts, by number, that two of the tasks would have written."""


class Recorded:
    """What the published code said of its prompts, and the checkpoint that said it."""

    def __init__(self, folder: Path):
        record = json.loads((folder / "golden_outputs.json").read_text(encoding="utf-8"))
        self.prompts, self.columns = record["prompts"], record["cols"]
        self.arrays = np.load(folder / "golden_outputs.npz")
        self.tokenizer = Tokenizer.load(folder / "tokenizer_modular/tokenizer")
        self.model = load_checkpoint(folder / "checkpoints/gated")[0].eval()

    def values(self, number: int) -> list[str]:
        """The sequences inside a recorded prompt."""
        return re.findall("<SEQUENCE_NATURAL_START>(.*?)<SEQUENCE_NATURAL_END>", self.prompts[number])

    def ask(self, name: str, row: dict[str, str], **changes: Any) -> tuple[str, Prediction]:
        task = build_task(load_task(name, changes), self.tokenizer)
        batch = task.collate([task.encode(row)])
        with torch.inference_mode():
            return task.render(row).input, task.decode(self.model(batch), batch)[0]


@pytest.fixture(scope="module")
def recorded(shared: Path) -> Recorded:
    folder = shared / "compat/fixtures"
    if not (folder / "golden_outputs.npz").is_file():
        pytest.skip(f"no recorded outputs at {folder}")
    return Recorded(folder)


def test_class_probabilities(recorded: Recorded):
    row = {"sequence": recorded.values(SOLUBILITY)[0]}
    prompt, normalised = recorded.ask("protein_solubility", row)
    _, raw = recorded.ask("protein_solubility", row, probability="vocabulary")
    specials = recorded.tokenizer.specials
    columns = [recorded.columns.index(specials[tag]) for tag in ("<0>", "<1>")]
    no, yes = recorded.arrays["gated.dec.logits.cols"][SOLUBILITY, 1, columns]
    everything = recorded.arrays["gated.dec.logits.logsumexp"][SOLUBILITY, 1]
    assert prompt == recorded.prompts[SOLUBILITY]
    assert normalised.probability == pytest.approx(1 / (1 + np.exp(no - yes)), abs=1e-5)
    assert np.log(raw.probability) == pytest.approx(yes - everything, abs=1e-4)


def test_affinities(recorded: Recorded):
    target, drug = recorded.values(AFFINITY)
    prompt, prediction = recorded.ask("dti_bindingdb_pkd", {"target": target, "drug": drug}, standardise="off")
    scalar = recorded.arrays["gated.enc.scalars"][AFFINITY, 0]
    assert prompt == recorded.prompts[AFFINITY]
    assert prediction.value == pytest.approx(scalar * 1.33808027428196 + 5.79384684128215, abs=1e-4)
