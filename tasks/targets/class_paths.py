"""Conversion of the logits of code tokens to log-probabilities of classes, along the trie of codes.

Shapes: B rows, D decoder rows, K target columns, C classes, W steps of a code, P decoder rows of one column, V scored
tokens, N rows with a known class.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mammal.tasks.batches.batch import IGNORE
from mammal.tasks.targets.labels import CodeBook

_NEVER = float("-inf")


def class_log_probabilities(logits_BKPWV: Tensor, book: CodeBook, *, vocabulary: bool = False) -> Tensor:
    """Returns the log-probability of every class, float [B, K, C].

    It is the sum over the steps of the class's code. Each step is normalised over the tokens that can follow there.

    Args:
        logits_BKPWV: scores of the tokens at every decoder row and step, float [B, K, P, W, V].
        book: codes of the classes.
        vocabulary: the logits cover the whole vocabulary, and each step is normalised over all of it.
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
    """Returns the logits with -inf at tokens that can't follow the first tokens of the label's code.

    Args:
        logits_DWV: scores, float [D, W, V].
        labels_DW: token ids of the label's code, int64 [D, W], or IGNORE; rows without a label stay unchanged.
        book: codes of the classes.
    """
    known_D = (labels_DW != IGNORE).all(dim=1)
    classes_N = book.classes_of(labels_DW[known_D].cpu().numpy())
    valid_DWV = torch.ones_like(logits_DWV, dtype=torch.bool)
    valid_DWV[known_D] = torch.as_tensor(book.valid_CWV[classes_N], device=logits_DWV.device)
    return logits_DWV.masked_fill(~valid_DWV, _NEVER)
