"""The time of a token under the grammar of SMILES, next to a token of the same alphabet without it.

256 sequences are sampled for one prompt, by the weights of `mammal-tiny` and by random weights. Both sides score the
same ids. Random weights reach unusual molecules, so masks take longer than with trained weights.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from bench_generate import batch_of, molecule_grammar
from common import MEASURED, Options, Row, at_most, run_as_script, take_turns, timed
from earlier_worker import random_model

from mammal.decoding import GenerationConfig, generate
from mammal.inference import load
from mammal.model.model import MammalModel
from mammal.tasks.batches.batch import Batch
from mammal.tasks.grammar.grammar import Grammar
from mammal.tokenization import Tokenizer

PROMPT = (
    "<@TOKENIZER-TYPE=SMILES><MOLECULAR_ENTITY><MOLECULAR_ENTITY_SMALL_MOLECULE><SENTINEL_ID_0>"
    "<SEQUENCE_NATURAL_START><SEQUENCE_NATURAL_END><EOS>"
)
MOST_TOKENS, SEQUENCES = 96, 256
TARGETS = {"mammal-tiny": 1.2, "tiny": 1.2, "mini": 1.6}


class Sampled:
    """One side: returns the seconds of a token, and samples other sequences in each round."""

    def __init__(self, model: MammalModel, batch: Batch, grammar: Grammar, *, free: bool, sequences: int):
        self.model, self.batch, self.grammar = model, batch, None if free else grammar
        self.settings: dict[str, Any] = {
            "max_new_tokens": MOST_TOKENS,
            "do_sample": True,
            "num_return_sequences": sequences,
            "allowed_ids": grammar.ids_V if free else None,
        }
        self(0)

    def __call__(self, number: int) -> float:
        config = GenerationConfig(**self.settings, seed=number)
        seconds, made = timed(partial(generate, self.model, self.batch, config, grammar=self.grammar))
        return seconds / sum(len(ids) for ids in made.ids_list[0])


def measure(chosen: Options) -> list[Row]:
    return [row_of(chosen, name, target) for name, target in TARGETS.items()]


def row_of(chosen: Options, name: str, target: float) -> Row:
    model, tokenizer = weights(name)
    grammar = molecule_grammar(tokenizer)
    assert grammar is not None, "the own vocabulary has a grammar"
    batch = batch_of([tokenizer.encode(PROMPT).ids_L.tolist()], tokenizer.pad_id)
    sequences = 8 if chosen.smoke else SEQUENCES
    sides = {
        what: Sampled(model, batch, grammar, free=what == "free", sequences=sequences) for what in ("grammar", "free")
    }
    turns = take_turns(chosen.rounds, sides)
    about = name if name == "mammal-tiny" else f"{name}, random weights"
    return Row(
        f"a sampled token by the grammar of SMILES, {about}",
        **at_most(turns.ratio("grammar", "free"), target, "× the time of a free one"),
        ours=f"{turns.median('grammar') * 1e6:.0f} µs",
        theirs=f"{turns.median('free') * 1e6:.0f} µs (ours, free)",
        source=MEASURED,
    )


def weights(name: str) -> tuple[MammalModel, Tokenizer]:
    """The shipped model, or random weights of a shape."""
    if name != "mammal-tiny":
        return random_model(name)
    loaded = load(name, dtype="float32", device=torch.device("cpu"))
    return loaded.model, loaded.tokenizer


if __name__ == "__main__":
    run_as_script(__doc__, measure)
