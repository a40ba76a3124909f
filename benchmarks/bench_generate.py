"""Greedy generation at the 458M shape: tokens per second, compared with transformers and the published code.

Both are run with their `generate`. The batch has prompts of molecules. All sides read the same weights and generate the
same number of tokens. With the head sliced to one alphabet the output set is different: fewer ids can be generated. The
cost of a grammar and of guidance is measured relative to that slice. The grammar is that of the task `molecules`.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from common import MEASURED, Options, Row, Turns, at_least, load_inputs, run_as_script, timed
from models import checkpoint
from peer import Peer, take_turns_with_peer
from torch import Tensor

from mammal.decoding.generate_batch import GenerationConfig, generate
from mammal.inference.api import load
from mammal.model.hf import to_transformers
from mammal.model.model import MammalModel
from mammal.tasks import build_task, load_task
from mammal.tasks.batches.batch import Batch
from mammal.tasks.errors import TaskError
from mammal.tasks.grammar.grammar import Grammar
from mammal.tokenization import Tokenizer

PROMPTS, NEW_TOKENS = 8, 64
FULL_TARGET, SLICE_TARGET = 1.8, 2.5
PROMPT = (
    "<@TOKENIZER-TYPE=SMILES><MOLECULAR_ENTITY><MOLECULAR_ENTITY_SMALL_MOLECULE><SENTINEL_ID_0>"
    "<SEQUENCE_NATURAL_START>{}<SEQUENCE_NATURAL_END><EOS>"
)


class OurLoop:
    """Our side: returns the seconds of one batch and keeps the generated ids."""

    def __init__(
        self,
        model: MammalModel,
        batch: Batch,
        new_tokens: int,
        allowed: np.ndarray | None = None,
        *,
        grammar: Grammar | None = None,
        guidance: float = 1.0,
        shortest: int = 0,
    ):
        self.model, self.batch, self.grammar = model, batch, grammar
        least = new_tokens - 1 if grammar is not None else shortest  # ending sequences early would save work
        self.config = GenerationConfig(new_tokens, min_new_tokens=least, allowed_ids=allowed, guidance=guidance)
        self.ids: list[list[int]] = []
        self(0)

    def __call__(self, _: int) -> float:
        work = partial(generate, self.model, self.batch, self.config, grammar=self.grammar, without=self.batch)
        seconds, made = timed(work)
        self.ids = [row[0].tolist() for row in made.ids_list]
        return seconds


class TransformersLoop:
    """The same weights in `transformers` of this environment."""

    def __init__(self, model: MammalModel, batch: Batch, new_tokens: int):
        self.model, self.batch, self.new_tokens = to_transformers(model).eval(), batch, new_tokens
        self.ids: list[list[int]] = []
        self(0)

    def __call__(self, _: int) -> float:
        seconds, made = timed(self._generate)
        self.ids = made[:, 1:].tolist()
        return seconds

    @torch.inference_mode()
    def _generate(self) -> Tensor:
        return self.model.generate(
            input_ids=self.batch.ids_BL,
            attention_mask=self.batch.mask_BL,
            max_new_tokens=self.new_tokens,
            do_sample=False,
            num_beams=1,
        )


class PublishedLoop:
    """The published package's `generate`, in its own environment."""

    def __init__(self, peer: Peer, ids: list[list[int]], new_tokens: int):
        self.peer, self.prompts, self.new_tokens = peer, ids, new_tokens
        self.ids: list[list[int]] = []
        self(0)

    def __call__(self, _: int) -> float:
        answer = self.peer.do("generate", ids=self.prompts, new_tokens=self.new_tokens)
        self.ids = answer["ids"]
        return answer["seconds"]


def measure(chosen: Options) -> list[Row]:
    """Measures the whole vocabulary and one alphabet in float32, and bfloat16."""
    new_tokens = 8 if chosen.smoke else NEW_TOKENS
    folder = checkpoint(chosen, "smoke" if chosen.smoke else "458M")
    mammal = load(folder, dtype="float32")
    tokenizer = mammal.tokenizer
    molecules = list(dict.fromkeys(load_inputs(chosen)["loop"]))[:PROMPTS]
    ids = [tokenizer.encode(PROMPT.format(smiles)).ids_L.tolist() for smiles in molecules]
    batch = batch_of(ids, tokenizer.pad_id)
    alphabet = np.append(tokenizer.alphabet_ids("SMILES"), tokenizer.eos_id)
    sides: dict[str, Any] = {
        "ours": OurLoop(mammal.model, batch, new_tokens),
        "sliced": OurLoop(mammal.model, batch, new_tokens, alphabet),
        "guided": OurLoop(mammal.model, batch, new_tokens, alphabet, guidance=2.0),
        "bf16": OurLoop(load(folder, dtype="bfloat16").model, batch, new_tokens, alphabet),
        "transformers": TransformersLoop(mammal.model, batch, new_tokens),
    }
    if (grammar := molecule_grammar(tokenizer)) is not None:
        sides["grammar"] = OurLoop(mammal.model, batch, new_tokens, grammar=grammar)

    def theirs(peer: Peer) -> dict[str, Any]:
        return {"published": PublishedLoop(peer, ids, new_tokens)}

    turns = take_turns_with_peer(chosen, torch.get_num_threads(), folder, sides, theirs)
    return _rows(turns, sides, len(ids) * new_tokens, len(alphabet))


def _rows(turns: Turns, sides: dict[str, Any], tokens: int, alphabet: int) -> list[Row]:
    whole, part = "whole vocabulary", f"head sliced to {alphabet:,} ids"
    rows = [
        _row(turns, sides, tokens, "ours", "transformers", f"{whole}, against transformers", FULL_TARGET, exact=True),
        _row(turns, sides, tokens, "sliced", "transformers", f"{part}, against transformers", SLICE_TARGET),
        _row(turns, sides, tokens, "bf16", "transformers", f"{part}, bfloat16, against transformers in float32"),
        _cost(turns, sides, tokens, "guided", f"with guidance, against {part} without"),
    ]
    if "grammar" in sides:
        rows.append(_cost(turns, sides, tokens, "grammar", f"by the grammar of molecules, against {part}"))
    if "published" in sides:
        rows.append(_row(turns, sides, tokens, "ours", "published", f"{whole}, against the published code", exact=True))
    return rows


def _row(
    turns: Turns,
    sides: dict[str, Any],
    tokens: int,
    quick: str,
    slow: str,
    what: str,
    target: float | None = None,
    *,
    exact: bool = False,
) -> Row:
    ratio = turns.ratio(slow, quick)
    judged = at_least(ratio, target) if target else {"measured": f"{ratio:.1f}×"}
    equal = "another output set" if quick != "ours" else ""
    if exact:
        same = sides[quick].ids == sides[slow].ids
        equal = "same ids" if same else "**ids differ**"
        if target:
            judged["met"] = judged["met"] and same
    return Row(
        f"greedy generation, {len(sides[quick].ids)} × {tokens // len(sides[quick].ids)} tokens, {what}",
        **judged,
        ours=f"{tokens / turns.median(quick):.0f} tokens/s",
        theirs=f"{tokens / turns.median(slow):.0f} tokens/s" + (" (transformers)" if slow == "transformers" else ""),
        equal=equal,
        source=MEASURED,
    )


def _cost(turns: Turns, sides: dict[str, Any], tokens: int, dear: str, what: str) -> Row:
    """Returns a row with the time of a batch relative to the sliced head alone."""
    produced = sum(len(ids) for ids in sides[dear].ids)
    return Row(
        f"greedy generation, {len(sides[dear].ids)} × {tokens // len(sides[dear].ids)} tokens, {what}",
        f"{turns.ratio(dear, 'sliced'):.2f}× the time",
        ours=f"{produced / turns.median(dear):.0f} tokens/s",
        theirs=f"{tokens / turns.median('sliced'):.0f} tokens/s (ours, without)",
        source=MEASURED,
    )


def molecule_grammar(tokenizer: Tokenizer) -> Grammar | None:
    """Returns None for the published vocabulary, because some of its tokens contain several parts of a SMILES."""
    try:
        return build_task(load_task("molecules"), tokenizer).grammar()
    except TaskError:
        return None


def batch_of(ids: list[list[int]], pad: int) -> Batch:
    longest = max(map(len, ids))
    ids_BL = torch.tensor([row + [pad] * (longest - len(row)) for row in ids])
    mask_BL = torch.arange(longest) < torch.tensor([[len(row)] for row in ids])
    nothing_read = torch.full((len(ids), 0), -1)
    return Batch(mode="decoder", wants=("logits",), ids_BL=ids_BL, mask_BL=mask_BL, read_DR=nothing_read)


if __name__ == "__main__":
    run_as_script(__doc__, measure)
