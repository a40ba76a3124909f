"""Two hundred molecules classified in batches, tokenization included, compared with the published loop.

The published script takes one molecule at a time: tokenize, generate five tokens with scores, softmax over the whole
vocabulary. Our code reads the class with one decoder step, for batches, and scores only the two class tokens; the raw
full-vocabulary probability is available on request. All molecules differ, so no answer is reused.
"""

from __future__ import annotations

import statistics
from typing import Any

import torch
from common import MEASURED, PUBLISHED, Options, Row, Turns, at_least, load_inputs, run_as_script, timed
from models import checkpoint
from peer import Peer, take_turns_with_peer

from mammal.inference.api import Mammal, load
from mammal.tasks.declaration.registry import load_task

MOLECULES = 200
TASK, TAG = "moleculenet_clintox_tox", "TOXICITY"  # the base vocabulary has this task's tag
TARGETS = {"small": {"classes": 30, "vocabulary": 25}, "458M": {"classes": 12, "vocabulary": 11}}
SIDES = {"classes": "normalised over the two classes", "vocabulary": "raw full-vocabulary probability"}
TOLERANCE = 1e-4
PUBLISHED_SECONDS = {"small": 0.0475, "458M": 0.239}  # seconds per molecule, 2 threads
PUBLISHED_PER_ROUND = {"small": 100, "458M": 25, "smoke": 4}


class Molecules:
    """Our side: returns seconds per molecule and keeps the probabilities of the positive class."""

    def __init__(self, model: Mammal, molecules: list[str], kind: str):
        self.model, self.molecules, self.vocabulary = model, molecules, kind == "vocabulary"
        self.values: list[float] = []
        self(0)

    def __call__(self, _: int) -> float:
        seconds, predictions = timed(lambda: self.model.predict(self.molecules, vocabulary=self.vocabulary))
        self.values = predictions["probability"].tolist()
        return seconds / len(self.molecules)


class PublishedMolecules:
    """Published side: returns seconds per molecule. Each round takes other molecules; keeps both raw probabilities."""

    def __init__(self, peer: Peer, molecules: list[str], count: int):
        self.peer, self.molecules, self.count = peer, molecules, count
        self.values: dict[int, list[float]] = {}
        peer.do("classify", molecules=molecules[:2], task=TAG)

    def __call__(self, number: int) -> float:
        taken = [(number * self.count + i) % len(self.molecules) for i in range(self.count)]
        answer = self.peer.do("classify", molecules=[self.molecules[i] for i in taken], task=TAG)
        self.values.update(zip(taken, answer["values"], strict=True))
        return statistics.mean(answer["seconds"])

    def difference(self, ours: list[float], kind: str) -> float:
        """Returns the largest difference: absolute for normalised probabilities, relative for raw ones (tiny)."""
        normalised = {i: one / (one + zero) for i, (zero, one) in self.values.items()}
        if kind == "classes":
            return max(abs(ours[i] - value) for i, value in normalised.items())
        return max(abs(ours[i] / one - 1) for i, (_, one) in self.values.items())


def measure(chosen: Options) -> list[Row]:
    """Measures both shapes and both kinds of probability."""
    shapes = ["smoke"] if chosen.smoke else ["small", "458M"]
    return [row for shape in shapes for row in _measure(chosen, shape)]


def _measure(chosen: Options, shape: str) -> list[Row]:
    folder = checkpoint(chosen, shape)
    inputs = load_inputs(chosen)
    molecules = list(dict.fromkeys([*inputs["loop"], *inputs["bbbp"]]))[: 8 if chosen.smoke else MOLECULES]
    task = load_task(TASK, {"standardise": "off"})
    single, half = (load(folder, task=task, dtype=dtype) for dtype in ("float32", "bfloat16"))
    sides: dict[str, Any] = {kind: Molecules(single, molecules, kind) for kind in SIDES}
    sides["bf16"] = Molecules(half, molecules, "classes")

    def theirs(peer: Peer) -> dict[str, Any]:
        return {"theirs": PublishedMolecules(peer, molecules, PUBLISHED_PER_ROUND[shape])}

    turns = take_turns_with_peer(chosen, torch.get_num_threads(), folder, sides, theirs)
    rows = [_row(shape, kind, kind, turns, sides) for kind in SIDES]
    return [*rows, _row(shape, "classes", "bf16", turns, sides)]


def _row(shape: str, kind: str, side: str, turns: Turns, sides: dict[str, Any]) -> Row:
    theirs = sides.get("theirs")
    their_seconds = turns.median("theirs") if theirs else PUBLISHED_SECONDS.get(shape, float("nan"))
    ratio, dtype = their_seconds / turns.median(side), "bfloat16" if side == "bf16" else "float32"
    judged = at_least(ratio, TARGETS.get(shape, {}).get(kind, 1))
    equal = ""
    if theirs:
        difference = theirs.difference(sides[side].values, kind)
        equal = f"{difference:.1e} apart" + (" (relative)" if kind == "vocabulary" else "")
        judged["met"] = judged["met"] and difference <= TOLERANCE
    if side == "bf16":
        judged = {"measured": judged["measured"]}
    return Row(
        f"{len(sides[side].molecules)} molecules, {shape}, {dtype}, {SIDES[kind]}",
        **judged,
        ours=f"{1000 * turns.median(side):.2f} ms each",
        theirs=f"{1000 * their_seconds:.1f} ms each",
        equal=equal,
        source=MEASURED if theirs else PUBLISHED,
    )


if __name__ == "__main__":
    run_as_script(__doc__, measure)
