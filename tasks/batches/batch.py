"""The interface between tasks and models: `Batch` is the input of a model, `ModelOutput` its output.

Shapes: B encoder rows, D decoder rows (B unless `decoder_rows_D` says otherwise), L encoder tokens, T decoder tokens,
R positions that heads read in a row, S = R + 1 pooled states, V scored token ids, W hidden width, F entries of a
predicted vector.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

import torch
from torch import Tensor

IGNORE = -100
"""Label that losses ignore (torch's default for cross entropy)."""


@dataclass(frozen=True)
class Batch:
    """Rows of one task, padded.

    Attributes:
        mode: `"encoder"`: heads read encoder states. `"decoder"`: heads read decoder states.
        wants: outputs that the heads must give: any of `"logits"`, `"values"`, `"vectors"`,
            `"token_labels"` (logits of the head `vectors` names, in place of those of tokens), `"pooled"`, `"hidden"`.
        ids_BL: int64 [B, L], token ids of the encoder.
        mask_BL: bool [B, L], False on padding.
        read_DR: int64 [D, R], positions where heads read (of L in encoder mode, of T in decoder mode); -1 if a row has
            fewer.
        values_BL: float32 [B, L], values that are added to the embeddings where `has_value_BL` is True. None if there
            is none.
        has_value_BL: bool [B, L]. None if there are no values.
        embeddings: (row, first position, name, vectors [n, W']) for each external embedding.
        decoder_ids_DT: int64 [D, T], token ids of the decoder, `<DECODER_START>` first. None in encoder mode.
        decoder_mask_DT: bool [D, T], False on padding. None in encoder mode.
        decoder_values_DT: float32 [D, T], values that decoder tokens carry. None if there is none.
        decoder_has_value_DT: bool [D, T]. None if there are no values.
        feeds_back: numbers are read one after the other; each is fed to the decoder on its token before the next is
            read.
        decoder_rows_D: int64 [D], encoder row that each decoder row reads. None: row i reads row i.
        labels_DR: int64 [D, R], token labels at the read positions (with `"token_labels"`: classes), `IGNORE` if
            there is none. None at inference.
        label_values_DR: float32 [D, R], value labels at the read positions, NaN if there is none. None at inference.
        label_bounds_DR: int8 [D, R], 1 if the truth is at or above the label (a cell such as ">10"), -1 if it is at or
            below the label, 0 if it equals the label. None: 0 everywhere.
        label_weights_DR: float32 [D, R], weights of the token labels in the loss. None: 1 everywhere.
        candidates_V: int64 [V], sorted ids that the token head scores. None: the whole vocabulary.
        vectors: names of the vector heads that give an output, with `"vectors"` in `wants`, or of the one head with
            `"token_labels"` (encoder mode).
        label_vectors: name -> float32 [B, F], expected vectors, NaN where an entry is unknown. Empty at inference.
        content_BL: bool [B, L], tokens over which vector heads and pooled states average (`content_mask`). None: all
            real tokens.
        given_BX: float32 [B, X], features of the rows that a probe reads in addition to pooled states. None: none.
        fingerprints_BX: uint8 [B, X], packed fingerprints of the molecules, which are compared with training molecules;
            zeros if a row has none. None: no row has one.
        dropout_keys_B: int64 [B], keys of the masks of Monte Carlo dropout (`mammal.model.masks`). None: no dropout,
            except in training.
        row_ids: name that the caller gave each encoder row.
        task: name of the task.
    """

    mode: Literal["encoder", "decoder"]
    wants: tuple[str, ...]
    ids_BL: Tensor
    mask_BL: Tensor
    read_DR: Tensor
    values_BL: Tensor | None = None
    has_value_BL: Tensor | None = None
    embeddings: tuple[tuple[int, int, str, Tensor], ...] = ()
    decoder_ids_DT: Tensor | None = None
    decoder_mask_DT: Tensor | None = None
    decoder_values_DT: Tensor | None = None
    decoder_has_value_DT: Tensor | None = None
    feeds_back: bool = False
    decoder_rows_D: Tensor | None = None
    labels_DR: Tensor | None = None
    label_values_DR: Tensor | None = None
    label_bounds_DR: Tensor | None = None
    label_weights_DR: Tensor | None = None
    candidates_V: Tensor | None = None
    vectors: tuple[str, ...] = ()
    label_vectors: Mapping[str, Tensor] = field(default_factory=dict)
    content_BL: Tensor | None = None
    given_BX: Tensor | None = None
    fingerprints_BX: Tensor | None = None
    dropout_keys_B: Tensor | None = None
    row_ids: tuple[object, ...] = ()
    task: str = ""

    def __len__(self) -> int:
        return self.ids_BL.shape[0]

    @property
    def tokens(self) -> int:
        """Number of real tokens of encoder and decoder, without padding."""
        decoder = 0 if self.decoder_mask_DT is None else int(self.decoder_mask_DT.sum())
        return int(self.mask_BL.sum()) + decoder

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        """Returns the batch on another device.

        Args:
            device: device of the new tensors.
            non_blocking: copy asynchronously where possible (needs pinned memory).
        """
        return self._map(lambda t: t.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Batch:
        """Returns the batch in page-locked memory, from which copies to a GPU are faster."""
        return self._map(Tensor.pin_memory)

    def _map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        changed: dict[str, Any] = {
            f.name: change(v) for f in fields(self) if isinstance(v := getattr(self, f.name), Tensor)
        }
        changed["label_vectors"] = {name: change(vectors_BF) for name, vectors_BF in self.label_vectors.items()}
        changed["embeddings"] = tuple((*place, change(vectors)) for *place, vectors in self.embeddings)
        return replace(self, **changed)


@dataclass(frozen=True)
class ModelOutput:
    """Output of a model: only the outputs that `Batch.wants` names.

    Positions are those of `Batch.read_DR`; outputs are zero if that is -1.

    Attributes:
        logits_DRV: float [D, R, V], scores of the tokens `Batch.candidates_V`, or of the whole vocabulary; with
            `"token_labels"`: of the labels of the task.
        values_DR: float [D, R], scalar head, in the units in which the task was trained.
        spreads_DR: float [D, R], second output of a scalar head with `predict_error`.
        hidden_BLW: float [B, L, W], encoder states after the final norm, zeros on padding.
        vectors: name -> float32 [B, 2, F], outputs of the vector heads `Batch.vectors`: 0 from the state at the first
            read position (`<MASK>`), 1 from the mean of the states of `Batch.content_BL`.
        pooled_BSW: float [B, R + 1, W], the states at all read positions, and last the mean state (encoder mode).
        members: `logits_DRV` and `values_DR` of each member of an ensemble of fine-tuned models, which are None in the
            output itself. Empty for a single model.
    """

    logits_DRV: Tensor | None = None
    values_DR: Tensor | None = None
    spreads_DR: Tensor | None = None
    hidden_BLW: Tensor | None = None
    vectors: Mapping[str, Tensor] = field(default_factory=dict)
    pooled_BSW: Tensor | None = None
    members: tuple[ModelOutput, ...] = ()


def content_mask(ids_BL: Tensor, mask_BL: Tensor, tags_T: Tensor) -> Tensor:
    """Returns which tokens are the content of a row: its real tokens without tags, bool [B, L].

    If a row has tags only, all its real tokens are its content.

    Args:
        ids_BL: token ids, int64 [B, L].
        mask_BL: False on padding, bool [B, L].
        tags_T: ids of special tokens, which describe a sequence and are not part of it, int64 [T].
    """
    content_BL = mask_BL & ~torch.isin(ids_BL, tags_T)
    empty_B1 = ~content_BL.any(dim=1, keepdim=True)
    return torch.where(empty_B1, mask_BL, content_BL)


def mean_state(hidden_BLW: Tensor, content_BL: Tensor) -> Tensor:
    """Returns the mean state of the content of each row, float [B, W].

    Args:
        hidden_BLW: states of all tokens, finite on padding.
        content_BL: tokens that count, bool [B, L], at least one in each row.
    """
    kept_BL1 = content_BL.unsqueeze(2)
    return (hidden_BLW * kept_BL1).sum(dim=1) / kept_BL1.sum(dim=1)
