"""Brings a model to the state that a long job keeps it in, so that bytes don't depend on where the job began.

Without gradients, matrix products change once to a copy of their weights, when they have seen enough tokens
(`mammal.model.products`); results differ by float noise before and after. A job that goes on in the middle must not
meet that change later than one that ran through.
"""

from __future__ import annotations

import torch

from mammal.model.model import MammalModel
from mammal.model.products import CALLS_TO_REPAY, TOKENS_TO_REPAY
from mammal.rows.question import UsedModel
from mammal.tasks.batches.batch import Batch

_TOKENS = 4
_ROWS = 2 * TOKENS_TO_REPAY // _TOKENS
"""Together twice the tokens that any product waits for."""
_HEAD_CALLS = CALLS_TO_REPAY + CALLS_TO_REPAY // 3
"""More calls than any product waits for, for the head over the whole vocabulary, where many tokens would be slow."""


@torch.inference_mode()
def warm_up(used: UsedModel) -> None:
    """Runs made-up batches through the parts of a model that a question uses."""
    model = used.model
    batch = _batch(model)
    memory = model.encode(batch)
    if not used.decodes:
        return
    states_NW, _ = model.decode(batch, memory)
    if used.vocabulary:
        for _ in range(_HEAD_CALLS):
            model.t5_model.token_logits(states_NW[:1])


def _batch(model: MammalModel) -> Batch:
    ids = torch.full((_ROWS, _TOKENS), model.config.eos_token_id, device=model.device)
    everywhere = torch.ones_like(ids, dtype=torch.bool)
    return Batch(
        mode="decoder",
        wants=(),
        ids_BL=ids,
        mask_BL=everywhere,
        read_DR=ids.new_zeros(_ROWS, 0),
        decoder_ids_DT=ids,
        decoder_mask_DT=everywhere,
    )
