"""Linear heads on encoder states, with a name and a width for each task or feature.

A vector for each row is read at `<MASK>` and from the mean of the row's content; scores of labels, and numbers of a
task with a head of its own, at each read token.

Shapes: as in `mammal.tasks.batches.batch`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mammal.errors import ConfigError, did_you_mean
from mammal.model.initial import initialise_numbers
from mammal.model.layers import Linear
from mammal.model.states import Memory, Reads
from mammal.tasks.batches.batch import Batch, mean_state


def empty_heads(width: int, outputs: Mapping[str, int]) -> nn.ModuleDict:
    """Returns a linear layer for each name, with uninitialised weights.

    Args:
        width: W, width of the states.
        outputs: number of entries of each vector, by name.
    """
    return nn.ModuleDict({name: Linear(width, entries) for name, entries in sorted(outputs.items())})


def added_head(width: int, outputs: int, like: Tensor) -> nn.Linear:
    """Returns a new head with initialised weights.

    Args:
        width: W, width of the states.
        outputs: number of entries of the vector.
        like: a weight of the model, for device and number format.
    """
    head = Linear(width, outputs).to(like.device, like.dtype)
    initialise_numbers(head)
    return head


def read_vectors(
    heads: nn.ModuleDict, names: Sequence[str], batch: Batch, memory: Memory, reads: Reads
) -> dict[str, Tensor]:
    """Computes the outputs of vector heads for every row.

    Args:
        heads: the heads of the model.
        names: heads that give an output.
        batch: a batch in encoder mode.
        memory: states of the encoder for the batch.
        reads: states at its read positions.

    Returns:
        By name, float32 [B, 2, F]: 0 from the state at the first read position, 1 from the mean state.

    Raises:
        ConfigError: the model lacks a head, or the batch reads no state of the encoder.
    """
    found = {name: _head(heads, name) for name in names}
    states_B2W = pooled_states(batch, memory, reads)[:, [0, -1]]
    return {name: head(states_B2W).float() for name, head in found.items()}


def read_tokens(heads: nn.ModuleDict, batch: Batch, reads: Reads) -> Tensor:
    """Computes the outputs of a head at each read token, float32 [B, R, C]; zeros where nothing is read.

    They are scores of the labels of tokens, or the numbers of a task with a head of its own (C is 1).

    Args:
        heads: the heads of the model.
        batch: a batch in encoder mode; `vectors` names the head.
        reads: states at its read positions.

    Raises:
        ConfigError: the model lacks the head.
    """
    (name,) = batch.vectors
    if name not in heads:
        hint = "training with this model as init= adds it; a regression with own_head: false reads the shared head"
        raise ConfigError(f"this model has no head {name}, which task {batch.task} needs", hint=hint)
    return reads.scatter(heads[name](reads.states_MW).float())


def _head(heads: nn.ModuleDict, name: str) -> nn.Module:
    if name in heads:
        return heads[name]
    hint = did_you_mean(name, list(heads), noun="vector head") if len(heads) else None
    hint = hint or "training on a task that needs it adds it; vector_heads in the config"
    raise ConfigError(f"this model has no vector head {name!r}", hint=hint)


def pooled_states(batch: Batch, memory: Memory, reads: Reads) -> Tensor:
    """Returns the states at the read positions of each row, and last the mean over its content, [B, R + 1, W].

    Args:
        batch: a batch in encoder mode.
        memory: states of the encoder for the batch.
        reads: states at its read positions.

    Raises:
        ConfigError: the batch reads no state of the encoder.
    """
    if batch.mode != "encoder" or not batch.read_DR.shape[1]:
        raise ConfigError("vector heads read the encoder at a <MASK>, which the batch lacks")
    content_BL = batch.mask_BL if batch.content_BL is None else batch.content_BL
    hidden_BLW = memory.hidden(batch.ids_BL.shape[1])
    mean_BW = mean_state(hidden_BLW.float(), content_BL).to(hidden_BLW.dtype)
    return torch.cat([reads.scatter(reads.states_MW), mean_BW.unsqueeze(1)], dim=1)
