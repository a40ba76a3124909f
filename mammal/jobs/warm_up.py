"""Warms up a model, so that the bytes of an output don't depend on where a job started.

Without gradients, each matrix product switches once to a copy of its weights, after a number of tokens
(`mammal.model.products`). Results before and after the switch differ by float noise. A job that continues in the
middle would switch at a later row than a job that was not stopped. Therefore all switches happen before the first row.
"""

from __future__ import annotations

import torch

from mammal.model.model import MammalModel
from mammal.model.products import CALLS_TO_REPAY, TOKENS_TO_REPAY
from mammal.rows.question import UsedModel
from mammal.tasks.batches.batch import Batch

_TOKENS = 4
_ROWS = 2 * TOKENS_TO_REPAY // _TOKENS
"""The batch has twice the number of tokens after which a product switches."""
_HEAD_CALLS = CALLS_TO_REPAY + CALLS_TO_REPAY // 3
"""More calls than the number after which a product switches. The head over the whole vocabulary is called often with
one row of states, because a call with many tokens would be slow."""


@torch.inference_mode()
def warm_up(used: UsedModel) -> None:
    """Runs made-up batches through the parts of a model that a question uses.

    Args:
        used: the model and its parts that are used.
    """
    model = used.model
    batch = _batch(model)
    memory = model.encode(batch)
    if not used.decodes:
        return
    states_NW, _ = model.decode(batch, memory)
    if used.vocabulary:
        for one in (model, *model.members):
            for _ in range(_HEAD_CALLS):
                one.t5_model.token_logits(states_NW[:1])


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
