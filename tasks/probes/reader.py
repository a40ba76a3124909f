"""What probes read of a row: two states of the frozen encoder, and features of the row's first molecule.

The first state is at `<MASK>`; if the prompt has none, at `<SENTINEL_ID_0>`; else at the first token. The second one is
the mean over the row's content (`mammal.tasks.batches.batch.content_mask`).

Shapes: B rows of a batch, W width of the model, X entries of features, F = 2 W + X entries of a row's vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mammal.tasks.batches.batch import Batch, ModelOutput, content_mask
from mammal.tasks.batches.collate import collate
from mammal.tasks.batches.example import Example
from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.features import FEATURES
from mammal.tasks.features.esm2 import DEFAULT
from mammal.tokenization.encoding import Encoding
from mammal.tokenization.errors import did_you_mean

if TYPE_CHECKING:
    from mammal.tasks.prompts.row_prompts import RowPrompts
    from mammal.tasks.tables.cells import Row
    from mammal.tokenization.tokenizer import Tokenizer

READ = ("<MASK>", "<SENTINEL_ID_0>")
"""Tokens at which the state is read, in this order."""

MOLECULE_FEATURES = ("descriptors", "morgan")
"""Features that a probe can read in addition to the states."""


class RowReader:
    """Encodes rows for probes and reads their vectors.

    Args:
        task: the task.
        features: names of features of the first molecule that are read in addition to the states.

    Attributes:
        features: these features by name.
        column: column of the first molecule; None without features.

    Raises:
        TaskError: the task reads no molecule, or a feature does not exist.
    """

    def __init__(self, task: RowPrompts, features: Sequence[str] = ()):
        self.task = task
        self.features = {name: FEATURES[name](DEFAULT) for name in _checked(task, features)}
        self.column = next((c for c in task.identities if c in task.molecules), None) if features else None
        self._token = _read_token(task.tokenizer, task.template.input)
        self._tags_T = torch.tensor(sorted(task.tokenizer.specials.values()), dtype=torch.int64)

    def fit_features(self, rows: Sequence[Row]) -> None:
        """Fits the scales of the features on training rows."""
        texts: list[str] = []
        for row in rows if self.features else ():
            try:
                texts.append(self._text(row))
            except DataError:  # encoding refuses the row with this reason
                continue
        for feature in self.features.values():
            feature.fit(texts)

    def example(self, row_id: object, row: Row, encoding: Encoding) -> Example:
        """Returns an encoded row with the position and the features that the probes read.

        Args:
            row_id: name of the row.
            row: columns of the user.
            encoding: the encoded input.

        Raises:
            DataError: truncation removed the token at which the state is read, or the row has no molecule.
        """
        given_X = None
        if self.features:
            text = self._text(row)
            given_X = np.concatenate([feature.of(text) for feature in self.features.values()])
        return Example(row_id, encoding, read_R=self._position(encoding), given_X=given_X)

    def collate(self, examples: Sequence[Example]) -> Batch:
        """Makes a batch that wants pooled states.

        Args:
            examples: results of `example`.
        """
        pad_id = self.task.tokenizer.pad_id
        how: dict[str, Any] = {"mode": "encoder", "wants": ("pooled",), "task": self.task.name}
        batch = collate(examples, pad_id=pad_id, start_id=pad_id, **how)
        return replace(batch, content_BL=content_mask(batch.ids_BL, batch.mask_BL, self._tags_T))

    def vectors(self, output: ModelOutput, batch: Batch) -> np.ndarray:
        """Returns the vector of each row, float32 [B, F].

        Args:
            output: output of the model for the batch.
            batch: the batch.
        """
        assert output.pooled_B2W is not None, "a batch for probes wants pooled states"
        states_BX = output.pooled_B2W.detach().float().flatten(1).cpu().numpy()
        given_BX = batch.given_BX
        return states_BX if given_BX is None else np.concatenate([states_BX, given_BX.cpu().numpy()], axis=1)

    def _position(self, encoding: Encoding) -> np.ndarray:
        if self._token is None:
            return np.zeros(1, dtype=np.int64)
        found = np.flatnonzero(encoding.ids_L == self._token)
        if not len(found):
            raise DataError(f"truncation removed {self.task.tokenizer.token(self._token)}, which the probe reads")
        return found[:1]

    def _text(self, row: Row) -> str:
        assert self.column is not None, "features are of a molecule"
        text = self.task.text_if_any(row, self.column)
        if text is None:
            raise DataError("empty cell", where=f"column {self.column}")
        return text

    def blocks(self, width: int) -> list[int]:
        """Returns the number of entries of each block of a vector: states, then each feature.

        Args:
            width: F.
        """
        widths = [feature.width for feature in self.features.values()]
        return [width - sum(widths), *widths]


def _checked(task: RowPrompts, features: Sequence[str]) -> Sequence[str]:
    for name in features:
        if name not in MOLECULE_FEATURES:
            hint = did_you_mean(str(name), MOLECULE_FEATURES, noun="feature")
            raise TaskError(f"there is no feature {name!r} for probes", where="adapt.features", hint=hint)
    if features and not any(column in task.molecules for column in task.identities):
        read = ", ".join(task.identities) or "nothing"
        what = f"{features[0]} is computed from molecules, and {task.name} reads none (it reads {read})"
        raise TaskError(what, where="adapt.features", hint="adapt.features=[]")
    return features


def _read_token(tokenizer: Tokenizer, template: str) -> int | None:
    """Id of the token at which the state is read; None: the first token of the prompt."""
    written = next((token for token in READ if token in template), None)
    return None if written is None else tokenizer.special_id(written)
