"""Greedy generation of one row at a time, with drafts from the prompt and without, by the same weights.

The weights are trained here, in two minutes of one core, to write the product of a substitution (`copying.py`): most of
a product is a copy of the prompt. They are kept in `--cache`. Both sides must give the same ids, and log-likelihoods
that differ by float noise only. The last row has random weights, whose answers are no copies: it is the cost of looking
for drafts in vain. Run it with `MAMMAL_BENCH_CLOCK=cpu` and one thread on a machine with other work.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from common import MEASURED, Options, Row, Turns, at_least, largest_difference, run_as_script, take_turns, timed
from copying import TASK, copying_model, molecules, reactions, untrained

from mammal.decoding.config import GenerationConfig
from mammal.decoding.decoder_cache import DecodingState
from mammal.decoding.generate_batch import Generated, generate
from mammal.model.model import MammalModel
from mammal.tasks.batches.batch import Batch
from mammal.tasks.grammar.grammar import Grammar
from mammal.tasks.kinds.generation import GenerationTask

ROWS, SMOKE_ROWS = 60, 4
STEPS, SMOKE_STEPS = 600, 2
TARGET, LONGEST_TIME, CLOSE = 1.4, 1.1, 1e-5


@dataclass
class OneByOne:
    """One side: generates for one row after the other and keeps what it generated."""

    model: MammalModel
    batches: list[Batch]
    config: GenerationConfig
    grammar: Grammar | None = None

    def __post_init__(self) -> None:
        self.made: list[Generated] = []
        self(0)

    def __call__(self, _: int) -> float:
        seconds, self.made = timed(self._generate)
        return seconds

    @property
    def ids(self) -> list[list[int]]:
        return [made.ids_list[0][0].tolist() for made in self.made]

    @property
    def tokens(self) -> int:
        return sum(map(len, self.ids))

    @property
    def likelihoods(self) -> list[float]:
        return [made.log_likelihoods[0][0] for made in self.made]

    def passes(self) -> int:
        """Runs once more and counts passes of the decoder."""
        count, run = 0, DecodingState._run

        def counted(state: DecodingState, *fed: Any) -> torch.Tensor:
            nonlocal count
            count += 1
            return run(state, *fed)

        DecodingState._run = counted  # type: ignore[method-assign]
        try:
            self._generate()
        finally:
            DecodingState._run = run  # type: ignore[method-assign]
        return count

    def _generate(self) -> list[Generated]:
        return [generate(self.model, batch, self.config, grammar=self.grammar) for batch in self.batches]


def measure(chosen: Options) -> list[Row]:
    """Measures an alphabet and a grammar with trained weights, and an alphabet with random weights."""
    rows, steps = (SMOKE_ROWS, SMOKE_STEPS) if chosen.smoke else (ROWS, STEPS)
    trained = copying_model(chosen.cache / f"copying-{steps}", steps)
    task = trained.tasks[TASK["name"]]
    assert isinstance(task, GenerationTask)
    others = islice(reactions(molecules()[1], seed=1), rows)
    batches = [task.collate([task.encode({"reactants": row["reactants"]})]) for row in others]
    plain = GenerationConfig(128, allowed_ids=task.candidates_V, drafts=False)
    drafted = GenerationConfig(128, allowed_ids=task.candidates_V)
    never = untrained(trained.tokenizer)
    sides = {
        "plain": OneByOne(trained.model, batches, plain),
        "drafted": OneByOne(trained.model, batches, drafted),
        "plain by grammar": OneByOne(trained.model, batches, plain, task.grammar()),
        "drafted by grammar": OneByOne(trained.model, batches, drafted, task.grammar()),
        "plain, random": OneByOne(never, batches, plain),
        "drafted, random": OneByOne(never, batches, drafted),
    }
    turns = take_turns(chosen.rounds, sides)
    return [
        _quicker(turns, sides, "drafted", "plain", "any token of SMILES"),
        _quicker(turns, sides, "drafted by grammar", "plain by grammar", "by the grammar of SMILES"),
        _in_vain(turns, sides["drafted, random"], sides["plain, random"]),
    ]


def _quicker(turns: Turns, sides: dict[str, OneByOne], quick: str, slow: str, what: str) -> Row:
    ours, theirs = sides[quick], sides[slow]
    judged = at_least(turns.ratio(slow, quick), TARGET)
    equal, agrees = _equal(ours, theirs)
    judged["met"] = judged["met"] and agrees
    return Row(
        f"greedy generation, {len(ours.ids)} rows one by one, a product from its reactants, {what}",
        **judged,
        ours=f"{ours.tokens / turns.median(quick):.0f} tokens/s, {ours.tokens / ours.passes():.1f} tokens a pass",
        theirs=f"{theirs.tokens / turns.median(slow):.0f} tokens/s (ours, without drafts)",
        equal=equal,
        source=MEASURED,
    )


def _in_vain(turns: Turns, ours: OneByOne, theirs: OneByOne) -> Row:
    ratio = turns.ratio("drafted, random", "plain, random")
    equal, agrees = _equal(ours, theirs)
    return Row(
        f"greedy generation, {len(ours.ids)} rows one by one, random weights",
        measured=f"{ratio:.2f}× the time",
        target=f"≤ {LONGEST_TIME:g}×",
        met=ratio <= LONGEST_TIME and agrees,
        ours=f"{ours.tokens / turns.median('drafted, random'):.0f} tokens/s",
        theirs=f"{theirs.tokens / turns.median('plain, random'):.0f} tokens/s (ours, without drafts)",
        equal=equal,
        source=MEASURED,
    )


def _equal(ours: OneByOne, theirs: OneByOne) -> tuple[str, bool]:
    """What is said of the outputs of both sides, and whether they are the same but for float noise."""
    apart = largest_difference(ours.likelihoods, theirs.likelihoods)
    same = ours.ids == theirs.ids
    close = all(abs(a - b) <= CLOSE * max(1, abs(b)) for a, b in zip(ours.likelihoods, theirs.likelihoods, strict=True))
    return f"{'same ids' if same else '**ids differ**'}, log-likelihoods {apart:.1e} apart", same and close


if __name__ == "__main__":
    run_as_script(__doc__, measure)
