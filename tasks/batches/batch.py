"""The two types between tasks and models: what goes in and what comes out.

Shapes: B encoder rows, D decoder rows (B unless `decoder_rows_D` says otherwise), L encoder tokens, T decoder tokens,
R positions that heads read in a row, V scored token ids, W hidden width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import torch
from torch import Tensor

IGNORE = -100
"""Label that no loss reads (torch's own default for cross entropy)."""


@dataclass(frozen=True)
class Batch:
    """Rows of one task, padded.

    Attributes:
        mode: "encoder": heads read encoder states; "decoder": heads read decoder states.
        wants: what the heads must give: any of "logits", "values", "hidden".
        ids_BL, mask_BL: int64 encoder ids; mask False on padding.
        values_BL, has_value_BL: float32 values added to the embeddings where `has_value_BL`; both None if none has.
        embeddings: (row, first position, name, vectors [n, W']) for each external embedding.
        decoder_ids_DT, decoder_mask_DT: decoder inputs, `<DECODER_START>` first; None in encoder mode.
        decoder_values_DT, decoder_has_value_DT: values carried by decoder inputs.
        feeds_back: numbers are read one after the other, each fed on the token that carries it before the next is read.
        decoder_rows_D: encoder row that each decoder row reads; None means row i reads row i.
        read_DR: positions (encoder mode: of L; decoder mode: of T) where heads are read, -1 where a row has fewer.
        labels_DR: int64 token labels at the read positions, IGNORE where none; None at inference.
        label_values_DR: float32 value labels at the read positions, NaN where none; None at inference.
        label_bounds_DR: int8 beside them: 1 where the truth is the label or more (a cell such as ">10"), -1 where it is
            the label or less, 0 where it is the label; None: 0 throughout.
        label_weights_DR: float32 weights of the token labels in the loss; None: 1 throughout.
        candidates_V: sorted int64 ids that the token head scores; None: the whole vocabulary.
        row_ids: the caller's name of each encoder row.
        task: the task's name.
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
    row_ids: tuple[object, ...] = ()
    task: str = ""

    def __len__(self) -> int:
        return self.ids_BL.shape[0]

    @property
    def tokens(self) -> int:
        """Real tokens, encoder and decoder, padding left out."""
        decoder = 0 if self.decoder_mask_DT is None else int(self.decoder_mask_DT.sum())
        return int(self.mask_BL.sum()) + decoder

    def to(self, device: torch.device | str, non_blocking: bool = False) -> Batch:
        return self._map(lambda t: t.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> Batch:
        return self._map(Tensor.pin_memory)

    def _map(self, change: Callable[[Tensor], Tensor]) -> Batch:
        changed: dict[str, Any] = {
            f.name: change(v) for f in fields(self) if isinstance(v := getattr(self, f.name), Tensor)
        }
        changed["embeddings"] = tuple((*place, change(vectors)) for *place, vectors in self.embeddings)
        return replace(self, **changed)


@dataclass(frozen=True)
class ModelOutput:
    """Only what `Batch.wants` named; rows and positions line up with `Batch.read_DR`, zeros where that is -1.

    Attributes:
        logits_DRV: token scores over `Batch.candidates_V` (or the whole vocabulary).
        values_DR: scalar head, in the units the task trained on.
        spreads_DR: second output of a scalar head with `predict_error`.
        hidden_BLW: encoder states after the final norm, zeros on padding.
    """

    logits_DRV: Tensor | None = None
    values_DR: Tensor | None = None
    spreads_DR: Tensor | None = None
    hidden_BLW: Tensor | None = None
