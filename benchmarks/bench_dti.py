"""Protein–drug affinity at the 458M shape: pairs per second, compared with the published pipeline and model.

The published pipeline takes one pair at a time, padded to 1,512 tokens. The published model is also run without padding
and without autograd, which is its fastest mode without changes. All sides read the same weights. Molecules are not
standardised, because the published code does not standardise them.
"""

from __future__ import annotations

import math
import statistics
from typing import Any

import torch
from common import (
    MEASURED,
    PUBLISHED,
    Options,
    Row,
    at_least,
    largest_difference,
    load_inputs,
    run_as_script,
    timed,
)
from machine import encoder_gflop, has_bf16_matrix_instructions, matrix_rate
from models import checkpoint
from peer import Peer, take_turns_with_peer

from mammal.inference.api import Mammal, load
from mammal.tasks.declaration.registry import load_task

PAIRS, PADDED_PAIRS, UNPADDED_PAIRS = 64, 2, 16  # per round
TASK = "dti_bindingdb_pkd"
PADDED_TARGET, UNPADDED_TARGET, BF16_TARGET, SHARE_TARGET = 12, 2.3, 35, 0.65
TOLERANCE = 1e-4
PUBLISHED_PADDED = 4.48  # seconds per pair, 2 threads


class Pairs:
    """Our side: returns seconds per pair and keeps the predictions."""

    def __init__(self, model: Mammal, pairs: list[list[str]]):
        self.model = model
        columns = model.task.columns
        self.rows = [dict(zip(columns, pair, strict=True)) for pair in pairs]
        self.values: list[float] = []
        self(0)

    def __call__(self, _: int) -> float:
        seconds, predictions = timed(lambda: self.model.predict(self.rows))
        self.values = predictions["prediction"].tolist()
        return seconds / len(self.rows)


class PublishedPairs:
    """Published side: returns seconds per pair. Each round takes other pairs; keeps predictions by pair number."""

    def __init__(self, peer, pairs: list[list[str]], count: int, *, padded: bool, mean: float, std: float):
        self.peer, self.pairs, self.count = peer, pairs, count
        self.arguments = {"padded": padded, "mean": mean, "std": std}
        self.values: dict[int, float] = {}
        peer.do("affinity", pairs=pairs[:1], **self.arguments)

    def __call__(self, number: int) -> float:
        taken = [(number * self.count + i) % len(self.pairs) for i in range(self.count)]
        answer = self.peer.do("affinity", pairs=[self.pairs[i] for i in taken], **self.arguments)
        self.values.update(zip(taken, answer["values"], strict=True))
        return statistics.mean(answer["seconds"])

    def difference(self, ours: list[float]) -> float:
        """Returns the largest absolute difference, in pKd."""
        return largest_difference([ours[i] for i in self.values], list(self.values.values()))


def measure(chosen: Options) -> list[Row]:
    """Measures ratios, the share of the matrix rate, and the effect of bfloat16."""
    folder = checkpoint(chosen, "smoke" if chosen.smoke else "458M")
    pairs = load_inputs(chosen)["dti"][: 4 if chosen.smoke else PAIRS]
    task = load_task(TASK, {"standardise": "off"})
    ours = Pairs(load(folder, task=task, dtype="float32"), pairs)
    config, gflop = ours.model.model.config, _gflop(ours)
    rates: list[float] = []

    def rate(_: int) -> float:
        rates.append(matrix_rate(config))
        return 1 / rates[-1]

    sides: dict[str, Any] = {
        "ours": ours,
        "matrix": rate,
        "bf16": Pairs(load(folder, task=task, dtype="bfloat16"), pairs),
    }

    def theirs(peer: Peer) -> dict[str, Any]:
        scale = {"mean": task.scale.mean or 0.0, "std": task.scale.std or 1.0}
        padded, unpadded = (1, 1) if chosen.smoke else (PADDED_PAIRS, UNPADDED_PAIRS)
        return {
            "padded": PublishedPairs(peer, pairs, padded, padded=True, **scale),
            "unpadded": PublishedPairs(peer, pairs, unpadded, padded=False, **scale),
        }

    turns = take_turns_with_peer(chosen, torch.get_num_threads(), folder, sides, theirs)
    if "padded" not in sides:
        return [*_without_peer(turns), *_our_rows(turns, rates, gflop, sides, None)]
    rows = [
        _row(turns, "padded", "the published pipeline", PADDED_TARGET, sides),
        _row(turns, "unpadded", "the published model, unpadded", UNPADDED_TARGET, sides),
    ]
    return [*rows, *_our_rows(turns, rates, gflop, sides, turns.ratio("padded", "bf16"))]


def _row(turns, side: str, name: str, target: float, sides) -> Row:
    difference = sides[side].difference(sides["ours"].values)
    judged = at_least(turns.ratio(side, "ours"), target)
    return Row(
        f"protein–drug affinity, 458M, float32, {len(sides['ours'].rows)} pairs against {name} "
        f"({len(sides[side].values)} pairs)",
        **{**judged, "met": judged["met"] and difference <= TOLERANCE},
        ours=f"{turns.median('ours'):.3f} s a pair",
        theirs=f"{turns.median(side):.3f} s a pair",
        equal=f"{difference:.1e} pKd apart",
        source=MEASURED,
    )


def _our_rows(turns, rates: list[float], gflop: float, sides, ratio: float | None) -> list[Row]:
    seconds = turns.seconds["ours"]
    share = statistics.median(gflop / s / rate for s, rate in zip(seconds, rates, strict=True))
    difference = largest_difference(sides["ours"].values, sides["bf16"].values)
    std = statistics.pstdev(sides["ours"].values)
    source = MEASURED if ratio else PUBLISHED
    ratio = ratio or PUBLISHED_PADDED / turns.median("bf16")
    judged = at_least(ratio, BF16_TARGET)
    if not has_bf16_matrix_instructions():
        judged["target"] += " with bf16 matrix instructions, which this CPU lacks"
        judged["met"] = judged["met"] or None
    return [
        Row(
            "share of the float32 matrix rate, useful operations only",
            measured=f"{share:.0%}",
            target=f"≥ {SHARE_TARGET:.0%}",
            met=share >= SHARE_TARGET,
            ours=f"{gflop / turns.median('ours'):.0f} of {statistics.median(rates):.0f} GFLOP/s",
        ),
        Row(
            "protein–drug affinity, 458M, bfloat16, against the published pipeline",
            **judged,
            ours=f"{turns.median('bf16'):.3f} s a pair",
            equal=f"{difference:.1e} pKd from float32, whose values spread by {std:.1e}",
            source=source,
        ),
    ]


def _without_peer(turns) -> list[Row]:
    ratio = PUBLISHED_PADDED / turns.median("ours")
    theirs = f"{PUBLISHED_PADDED} s a pair"
    seconds = f"{turns.median('ours'):.3f} s a pair"
    judged = at_least(ratio, PADDED_TARGET)
    return [Row("protein–drug affinity, 458M, float32", **judged, ours=seconds, theirs=theirs, source=PUBLISHED)]


def _gflop(ours: Pairs) -> float:
    """Returns the useful GFLOP per pair. The scalar head reads one position and is not counted."""
    lengths = [len(ours.model.task.encode(row).input) for row in ours.rows]
    total = encoder_gflop(ours.model.model.config, lengths)
    assert math.isfinite(total)
    return total / len(lengths)


if __name__ == "__main__":
    run_as_script(__doc__, measure)
