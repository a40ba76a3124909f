"""One training step: tokens per second, and what the optimiser costs in it, with AdamW, Muon and torch's own Muon.

A step is forward, backward and update of one batch of at most 2,048 tokens of SMILES with hidden spans, in bfloat16
with float32 weights. Loading of rows, logging and validation are not part of it. The optimisers take turns on one
model.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from common import Options, Row, Turns, at_most, load_inputs, run_as_script, take_turns, timed

from mammal.configuration.compose import compose, parse_arguments
from mammal.model.model import MammalModel
from mammal.tasks.batches.batch import Batch
from mammal.tasks.batches.token_batches import encode_rows, token_batches
from mammal.tasks.declaration.registry import load_task
from mammal.tasks.kinds.build import build_task
from mammal.tasks.task import Task
from mammal.tokenization import Tokenizer
from mammal.training import build
from mammal.training.muon import muon
from mammal.training.optim import adamw

SHAPES = {
    "experiment=pretrain": ["experiment=pretrain"],
    "mini": ["task=pretrain_smiles", "model=mini"],
    "tiny": ["task=pretrain_smiles", "model=tiny"],
}
SMOKE = {"debug": ["task=pretrain_smiles", "model=debug"]}
TOKENS = 2048
SHARE = 0.2
STEPS = 4  # of a round


def measure(chosen: Options) -> list[Row]:
    molecules = load_inputs(chosen)["bbbp"]
    tokenizer = Tokenizer.load(None)
    return [
        row
        for name, words in (SMOKE if chosen.smoke else SHAPES).items()
        for row in rows_of_shape(name, words, molecules, tokenizer, rounds=chosen.rounds)
    ]


def rows_of_shape(name: str, words: list[str], molecules: list[str], tokenizer: Tokenizer, *, rounds: int) -> list[Row]:
    model, task = built(words, tokenizer)
    batch = batch_of(task, molecules)
    optimizers = {"AdamW": adamw(model, lr=1e-3), "Muon": muon(model, lr=2e-3), "torch's Muon": TorchMuon(model)}
    updates: dict[str, Turns] = {}

    def side(optimizer: Any) -> Callable[[int], float]:
        turns = updates.setdefault(optimizer, Turns({"update": []}))

        def steps(_: int) -> float:
            seconds, inside = 0.0, 0.0
            for _ in range(STEPS):
                seconds += timed(lambda: backward(model, task, batch))[0]
                inside += timed(optimizers[optimizer].step)[0]
                model.zero_grad(set_to_none=True)
            turns.seconds["update"].append(inside)
            return seconds + inside

        return steps

    sides = {optimizer: side(optimizer) for optimizer in optimizers}
    for warm in sides.values():
        warm(0)
    for turns in updates.values():
        turns.seconds["update"].clear()
    took = take_turns(rounds, sides)
    return [row_of(name, optimizer, took, updates, batch.tokens, model) for optimizer in sides]


def row_of(
    name: str, optimizer: str, took: Turns, updates: Mapping[str, Turns], tokens: int, model: MammalModel
) -> Row:
    step = took.median(optimizer) / STEPS
    share = updates[optimizer].median("update") / took.median(optimizer)
    parameters = sum(weight.numel() for weight in model.parameters()) / 1e6
    cells = at_most(share, SHARE, "of a step") if optimizer == "Muon" else {"measured": f"{share:.2f} of a step"}
    what = f"training step, {name} ({parameters:.1f} M parameters), {optimizer}"
    return Row(what, ours=f"{step * 1e3:,.0f} ms, {tokens / step:,.0f} tokens/s", **cells)


def built(words: list[str], tokenizer: Tokenizer) -> tuple[MammalModel, Task]:
    """A new model of the experiment's shape, and the task whose batches it reads."""
    config = compose("train", parse_arguments("train", words))
    task = build_task(load_task("pretrain_smiles"), tokenizer)
    return build.build_model(config, tokenizer, {task.name: task}).train(), task


def batch_of(task: Task, molecules: list[str]) -> Batch:
    """A batch of at most `TOKENS` tokens."""
    examples, _ = encode_rows(task, [{"smiles": text} for text in molecules], target=True, drawn=True)
    batches = token_batches([example.tokens for example in examples], TOKENS)
    return task.collate([examples[row] for row in batches[0]])


def backward(model: MammalModel, task: Task, batch: Batch) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = task.loss(model(batch), batch)
    loss.backward()


class TorchMuon:
    """torch.optim.Muon for the same matrices, AdamW for all other weights."""

    def __init__(self, model: MammalModel):
        groups = muon(model, lr=2e-3).param_groups
        self._optimizers = [
            torch.optim.Muon([w for g in groups if g["matrices"] for w in g["params"]], lr=2e-3),
            torch.optim.AdamW([w for g in groups if not g["matrices"] for w in g["params"]], lr=1e-3, fused=True),
        ]

    def step(self) -> None:
        for optimizer in self._optimizers:
            optimizer.step()


if __name__ == "__main__":
    run_as_script(__doc__, measure)
