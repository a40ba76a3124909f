"""Log-likelihoods of given targets.

Shapes: D decoder rows, M positions that are read, X of them at once.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mammal.errors import ConfigError
from mammal.model.model import MammalModel
from mammal.tasks.batches.batch import IGNORE, Batch

_READS_AT_ONCE = 256


@torch.inference_mode()
def sequence_log_likelihood(model: MammalModel, batch: Batch) -> Tensor:
    """Computes the log-likelihood of the targets of a batch.

    Logits are kept for few positions at a time, to save memory.

    Args:
        model: the model.
        batch: has labels `labels_DR`. Probabilities are over its `candidates_V`, or over the whole vocabulary if those
            are None.

    Returns:
        Log-probability of the labels (natural logarithm), summed over each decoder row, float32 [D].

    Raises:
        ConfigError: the batch has no labels, or a label that is not among its candidates.
    """
    if batch.labels_DR is None:
        raise ConfigError("a likelihood needs the target's labels")
    reads = model.reads(batch, model.encode(batch))
    labels_M = batch.labels_DR.reshape(-1)
    if reads.slots_M is not None:
        labels_M = labels_M.index_select(0, reads.slots_M)
    counted_M = labels_M != IGNORE
    targets_M = _places(labels_M, batch.candidates_V, counted_M)
    parts = []
    for start in range(0, len(targets_M), _READS_AT_ONCE):
        part = slice(start, start + _READS_AT_ONCE)
        logits_XV = model.token_logits(reads.states_MW[part], batch.mode, batch.candidates_V).float()
        chosen_X = logits_XV.gather(1, targets_M[part].unsqueeze(1)).squeeze(1)
        parts.append(chosen_X - logits_XV.logsumexp(dim=1))
    log_probs_M = torch.cat(parts) if parts else targets_M.new_zeros(0).float()
    return reads.scatter(log_probs_M.masked_fill(~counted_M, 0.0)).sum(dim=1)


def _places(labels_M: Tensor, candidates_V: Tensor | None, counted_M: Tensor) -> Tensor:
    """Column of each label among the candidates; 0 for labels that don't count."""
    labels_M = labels_M.masked_fill(~counted_M, 0)
    if candidates_V is None:
        return labels_M
    places_M = torch.searchsorted(candidates_V, labels_M).clamp(max=len(candidates_V) - 1)
    other_M = counted_M & (candidates_V[places_M] != labels_M)
    if bool(other_M.any()):
        raise ConfigError(f"id {int(labels_M[other_M][0])} of the target is not among the candidates")
    return places_M
