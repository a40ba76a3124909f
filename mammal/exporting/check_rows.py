"""Prompts with which an export is compared with its model, and the comparison.

Shapes: B rows, L tokens, T decoder tokens, V ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from mammal.errors import BundleError
from mammal.tasks.batches.batch import Batch

if TYPE_CHECKING:
    from mammal.tokenization import Tokenizer

LENGTHS = (150, 3, 24, 65)
"""Tokens of the rows. The longest exceeds the distance up to which T5 distinguishes positions, 128."""

TOLERANCE = 1e-4
"""Largest difference, relative to the largest value. Programs that add float32 numbers in another order differ by 1e-6,
and by 1e-5 in 24 layers with sharp attention."""

SHARE_OF_VALUES = 0.2


@dataclass(frozen=True)
class CheckRows:
    """Rows of random tokens.

    Attributes:
        ids_BL: token ids, int64 [B, L].
        mask_BL: False on padding, bool [B, L].
        values_BL: numbers that tokens carry, float32 [B, L], 0 where there is none.
        has_value_BL: which tokens carry a number, bool [B, L].
        decoder_ids_BT: decoder inputs, int64 [B, T].
    """

    ids_BL: Tensor
    mask_BL: Tensor
    values_BL: Tensor
    has_value_BL: Tensor
    decoder_ids_BT: Tensor

    @classmethod
    def make(cls, tokenizer: Tokenizer, *, values: bool = False, masks: int = 0, steps: int = 7) -> CheckRows:
        """Makes the rows, which are the same in every call.

        Args:
            tokenizer: its tokens are used.
            values: let every fifth token carry a number.
            masks: number of `<MASK>` tokens at the start of each row.
            steps: T, number of decoder tokens.
        """
        rng = np.random.default_rng(0)
        special = set(tokenizer.specials.values()) - {tokenizer.mask_id, tokenizer.pad_id}
        alphabets = [tokenizer.alphabet_ids(name) for name in tokenizer.alphabets]
        known_V = np.unique(np.concatenate([np.array(sorted(special)), *alphabets]))
        lengths = [masks + length for length in LENGTHS]
        shape = (len(lengths), max(lengths))
        ids_BL, mask_BL = np.full(shape, tokenizer.pad_id), np.zeros(shape, bool)
        for row, length in enumerate(lengths):
            ids_BL[row, :length] = rng.choice(known_V, length)
            ids_BL[row, :masks], ids_BL[row, length - 1] = tokenizer.mask_id, tokenizer.eos_id
            mask_BL[row, :length] = True
        has_value_BL = mask_BL & (rng.random(shape) < SHARE_OF_VALUES) & values
        values_BL = np.where(has_value_BL, rng.normal(size=shape), 0).astype(np.float32)
        decoder_ids_BT = rng.choice(known_V, (len(lengths), steps))
        arrays = (ids_BL.astype(np.int64), mask_BL, values_BL, has_value_BL, decoder_ids_BT)
        return cls(*map(torch.from_numpy, arrays))

    def alone(self) -> list[CheckRows]:
        """Each row as a batch without padding."""
        lengths = self.mask_BL.sum(1).tolist()
        found = []
        for row, length in enumerate(lengths):
            ids_BL, mask_BL, values_BL, has_value_BL = (x[row, None, :length] for x in self.encoder)
            found.append(CheckRows(ids_BL, mask_BL, values_BL, has_value_BL, self.decoder_ids_BT[row, None]))
        return found

    @classmethod
    def long_decoder(cls, tokenizer: Tokenizer) -> CheckRows:
        """One short row with decoder tokens over the whole distance that T5 distinguishes."""
        return cls.make(tokenizer, steps=LENGTHS[0]).alone()[1]

    def batches(self) -> list[CheckRows]:
        """All rows as one padded batch, then each row alone."""
        return [self, *self.alone()]

    def batch(self, *, decoder: bool = False) -> Batch:
        """The rows as a batch of our model that wants the states of the encoder and, with `decoder`, all logits."""
        reads_BT = torch.arange(self.decoder_ids_BT.shape[1]).expand(len(self.ids_BL), -1)
        carries = bool(self.has_value_BL.any())
        return Batch(
            mode="decoder" if decoder else "encoder",
            wants=("hidden", "logits") if decoder else ("hidden",),
            ids_BL=self.ids_BL,
            mask_BL=self.mask_BL,
            read_DR=reads_BT,
            values_BL=self.values_BL if carries else None,
            has_value_BL=self.has_value_BL if carries else None,
            decoder_ids_DT=self.decoder_ids_BT if decoder else None,
        )

    @property
    def encoder(self) -> tuple[Tensor, ...]:
        """The four tensors of the encoder."""
        return self.ids_BL, self.mask_BL, self.values_BL, self.has_value_BL


class Differences:
    """The largest difference of every output from that of our model.

    Attributes:
        largest: output -> largest absolute difference.
        scale: output -> largest absolute value of our model.
    """

    def __init__(self) -> None:
        self.largest: dict[str, float] = {}
        self.scale: dict[str, float] = {}

    def add(self, output: str, ours: np.ndarray, theirs: np.ndarray) -> None:
        """Compares one batch of an output.

        Raises:
            BundleError: the shapes differ.
        """
        if ours.shape != theirs.shape:
            raise BundleError(f"the exported {output} has shape {list(theirs.shape)}, ours {list(ours.shape)}")
        ours, theirs = ours.astype(np.float64), theirs.astype(np.float64)
        apart = np.abs(ours - theirs).max(initial=0.0)
        both_missing = np.isnan(ours) & np.isnan(theirs)
        if np.isnan(apart):
            apart = np.where(both_missing, 0.0, np.nan_to_num(np.abs(ours - theirs), nan=np.inf)).max(initial=0.0)
        self.largest[output] = max(self.largest.get(output, 0.0), float(apart))
        self.scale[output] = max(self.scale.get(output, 0.0), float(np.nan_to_num(np.abs(ours)).max(initial=0.0)))

    def check(self) -> None:
        """Refuses an export whose outputs differ by more than `TOLERANCE` of their largest value.

        Raises:
            BundleError: names the output.
        """
        for output, apart in self.largest.items():
            if not apart <= TOLERANCE * self.scale[output]:
                raise BundleError(
                    f"the exported {output} differs by {apart:.3g} from that of this model, whose largest value is "
                    f"{self.scale[output]:.3g}; nothing was written",
                    hint=f"float32 noise is below {TOLERANCE:g} of it; the installed libraries may not be the tested "
                    "ones: pip install -c constraints.txt",
                )

    def summary(self) -> Mapping[str, Mapping[str, float]]:
        """Output -> largest difference and largest value, for `export.json`."""
        return {
            name: {"largest_difference": apart, "largest_value": self.scale[name]}
            for name, apart in self.largest.items()
        }
