"""From the logits of code tokens to log-probabilities of classes, along the trie of codes.

Shapes: B rows, D decoder rows, K target columns, C classes, W steps of a code, P decoder rows of one column, V scored
tokens, N rows whose class is known.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mammal.tasks.batches.batch import IGNORE
from mammal.tasks.targets.labels import CodeBook

_NEVER = float("-inf")


def class_log_probabilities(logits_BKPWV: Tensor, book: CodeBook, *, vocabulary: bool = False) -> Tensor:
    """log p of every class [B, K, C]: the sum along its path, each step among the tokens that can follow there.

    Args:
        vocabulary: the logits are over every token, and so is each step.
    """
    device = logits_BKPWV.device
    steps_W = torch.arange(book.width, device=device)
    readers_CW = torch.as_tensor(book.readers_CW, device=device)
    if vocabulary:
        columns_CW = torch.as_tensor(book.codes_CW, dtype=torch.int64, device=device)
        return logits_BKPWV.log_softmax(-1)[..., readers_CW, steps_W, columns_CW].sum(-1)
    columns_CW = torch.as_tensor(book.columns_CW, device=device)
    valid_CWV = torch.as_tensor(book.valid_CWV, device=device)
    logits_BKCWV = logits_BKPWV[..., readers_CW, steps_W, :].masked_fill(~valid_CWV, _NEVER)
    paths = columns_CW.expand(*logits_BKCWV.shape[:-1]).unsqueeze(-1)
    return logits_BKCWV.log_softmax(-1).gather(-1, paths).squeeze(-1).sum(-1)


def branches_alone(logits_DWV: Tensor, labels_DW: Tensor, book: CodeBook) -> Tensor:
    """The logits with -inf at tokens that no code has after the label's first steps; rows without a label stay."""
    known_D = (labels_DW != IGNORE).all(dim=1)
    classes_N = book.classes_of(labels_DW[known_D].cpu().numpy())
    valid_DWV = torch.ones_like(logits_DWV, dtype=torch.bool)
    valid_DWV[known_D] = torch.as_tensor(book.valid_CWV[classes_N], device=logits_DWV.device)
    return logits_DWV.masked_fill(~valid_DWV, _NEVER)
