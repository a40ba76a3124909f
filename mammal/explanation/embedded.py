"""The model as a function of the embeddings of its input tokens, for the rows of a batch and changed copies of them.

The baseline of a row has the same tags and the same other structure. Every token of a value of the user is replaced by
the embedding of a token without content; the token of a number loses its number.

Shapes: B rows of the batch, E evaluated rows (copies of rows of the batch), L tokens, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from mammal.explanation.content import Value
    from mammal.explanation.outputs import Explained
    from mammal.model.model import MammalModel
    from mammal.tasks.batches.batch import Batch

BASELINES = {"mask": "<MASK>", "pad": "<PAD>"}
"""Name of a baseline -> the token whose embedding replaces those of content."""


class EmbeddedRows:
    """Rows of one batch as embeddings, and the output that is explained as a function of them.

    Args:
        model: the model, in evaluation mode.
        batch: the rows, on the device of the model.
        values: the values of the user in each row.
        explained: the output that is explained.
        blank: id of the token that replaces content.

    Attributes:
        inputs_BLW: embeddings of the rows.
        baselines_BLW: embeddings of their baselines.
        choices_B: which output of each row is explained (`Explained.choices`), int64 [B].
        outputs_B: the output of each row, float64 [B], in the scale of the model.
    """

    def __init__(
        self,
        model: MammalModel,
        batch: Batch,
        values: Sequence[Sequence[Value]],
        explained: Explained,
        blank: int,
    ):
        self.model, self.batch, self.explained = model, batch, explained
        with torch.no_grad():
            self.inputs_BLW = model.input_embeddings(batch)
            self.baselines_BLW = self._baselines(values, blank)
            rows_B = torch.arange(len(batch), device=model.device)
            output = model(self._taken(rows_B), self.inputs_BLW)
            self.choices_B = explained.choices(output, len(batch))
            self.outputs_B = explained.scores(output, self.choices_B).double()

    @property
    def rows_B(self) -> Tensor:
        """Positions of the rows of the batch, int64 [B]."""
        return torch.arange(len(self.batch), device=self.model.device)

    @property
    def lengths(self) -> list[int]:
        """Number of tokens of each row."""
        return self.batch.mask_BL.sum(dim=1).tolist()

    def __call__(self, x_ELW: Tensor, rows_E: Tensor) -> Tensor:
        """Computes the output of copies of rows, float [E], in the scale of the model.

        Args:
            x_ELW: embeddings of the copies.
            rows_E: position in the batch of the row that each of them is a copy of, int64 [E].
        """
        output = self.model(self._taken(rows_E), x_ELW)
        return self.explained.scores(output, self.choices_B[rows_E])

    def baseline_outputs(self) -> Tensor:
        """Returns the output of the baseline of each row, float64 [B], in the scale of the model."""
        with torch.no_grad():
            return self(self.baselines_BLW, self.rows_B).double()

    def _baselines(self, values: Sequence[Sequence[Value]], blank: int) -> Tensor:
        embeddings = self.model.t5_model.shared.weight
        baselines_BLW = self.inputs_BLW.clone()
        for row, of_row in enumerate(values):
            for value in of_row:
                places_T = torch.from_numpy(value.tokens_T).to(baselines_BLW.device)
                ids_T = self.batch.ids_BL[row, places_T]
                ids_T = ids_T if value.is_number else torch.full_like(ids_T, blank)
                baselines_BLW[row, places_T] = embeddings.index_select(0, ids_T)
        return baselines_BLW

    def _taken(self, rows_E: Tensor) -> Batch:
        """The batch of copies of rows, with only the decoder rows of the target column that is explained."""
        batch = self.batch
        changed: dict[str, Any] = {
            name: None if (tensor := getattr(batch, name)) is None else tensor.index_select(0, rows_E)
            for name in ("ids_BL", "mask_BL", "values_BL", "has_value_BL", "content_BL", "given_BX")
        }
        changed |= {"embeddings": (), "row_ids": ()}
        if batch.mode == "encoder":
            return replace(batch, read_DR=batch.read_DR.index_select(0, rows_E), **changed)
        each = len(batch.read_DR) // len(batch)
        column, columns = self.explained.place
        wanted = torch.arange(each, device=rows_E.device).view(columns, -1)[column]
        rows_D = (rows_E.unsqueeze(1) * each + wanted).reshape(-1)
        for name in ("decoder_ids_DT", "decoder_mask_DT", "decoder_values_DT", "decoder_has_value_DT", "read_DR"):
            tensor = getattr(batch, name)
            changed[name] = None if tensor is None else tensor.index_select(0, rows_D)
        shared = len(wanted) > 1
        changed["decoder_rows_D"] = self._copies(len(rows_E), len(wanted)) if shared else None
        return replace(batch, **changed)

    def _copies(self, rows: int, each: int) -> Tensor:
        return torch.arange(rows, device=self.model.device).repeat_interleave(each)
