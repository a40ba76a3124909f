"""`{protein:esm2}`: the mean residue state of an ESM-2 protein model (Lin et al. 2023), computed with fair-esm.

Weights are not downloaded automatically. The file `NAME.pt` of fair-esm is searched in the folder that `MAMMAL_ESM2`
names, then in the folder of `torch.hub`'s checkpoints. It is read without unpickling arbitrary objects.
"""

from __future__ import annotations

import argparse
import os
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.features.feature import Feature
from mammal.tokenization.errors import did_you_mean

VARIABLE = "MAMMAL_ESM2"
DEFAULT = "esm2_t6_8M_UR50D"
WIDTHS = {
    "esm2_t6_8M_UR50D": 320,
    "esm2_t12_35M_UR50D": 480,
    "esm2_t30_150M_UR50D": 640,
    "esm2_t33_650M_UR50D": 1280,
    "esm2_t36_3B_UR50D": 2560,
    "esm2_t48_15B_UR50D": 5120,
}
"""Name of a published ESM-2 model -> its width (Lin et al. 2023, table S1)."""

RESIDUES = frozenset("ACDEFGHIKLMNPQRSTVWYBOUXZ.-")
"""Characters that ESM-2 accepts (fair-esm's `proteinseq_toks`); X is any residue."""

LONGEST = 1022
"""Maximum number of residues in ESM-2's training, without its two end tokens; longer sequences are read in pieces."""


class Esm2(Feature):
    """The mean of frozen ESM-2 states over residues.

    Args:
        model: one of `WIDTHS`.

    Raises:
        TaskError: no such model.
    """

    name = "esm2"

    def __init__(self, model: str = DEFAULT):
        if model not in WIDTHS:
            raise TaskError(f"esm2 is {model!r}", hint=did_you_mean(model, WIDTHS, noun="ESM-2 model"))
        self.model = model

    @property
    def width(self) -> int:
        return WIDTHS[self.model]

    def of(self, text: str) -> np.ndarray:
        """Returns the mean state over all residues, float32 [width].

        Raises:
            DataError: ESM-2 does not accept a character, or the weights are not on this machine.
        """
        if unknown := sorted(set(text) - RESIDUES):
            what = f"ESM-2 does not read {', '.join(map(repr, unknown))}"
            raise DataError(what, hint="residues are upper-case letters; X stands for any")
        return self._companion.mean_state(text)

    @cached_property
    def _companion(self) -> _Companion:
        return _companion(str(weights_file(self.model)))


def weights_file(model: str) -> Path:
    """Returns the path of the weights of an ESM-2 model.

    Raises:
        DataError: the file is in none of the searched folders.
    """
    import torch

    folders = [Path(os.environ[VARIABLE])] if os.environ.get(VARIABLE) else []
    folders.append(Path(torch.hub.get_dir()) / "checkpoints")
    for folder in folders:
        if (file := folder / f"{model}.pt").is_file():
            return file
    hint = f"download {model}.pt as fair-esm describes, and name its folder in {VARIABLE}"
    raise DataError(f"the weights of {model} are not here", where=", ".join(map(str, folders)), hint=hint)


@lru_cache(maxsize=2)
def _companion(file: str) -> _Companion:
    return _Companion(Path(file))


def load_esm2(file: Path) -> tuple[Any, Any]:
    """Loads a model with frozen weights, and its alphabet.

    Raises:
        DataError: the file is not an ESM-2 checkpoint.
    """
    from esm.pretrained import load_model_and_alphabet_core

    model, alphabet = load_model_and_alphabet_core(file.stem, _read(file), None)
    return model.eval().requires_grad_(False), alphabet


class _Companion:
    """An ESM-2 model in memory, with a cache of computed states."""

    def __init__(self, file: Path):
        self.model, alphabet = load_esm2(file)
        self.layer = self.model.num_layers
        self.to_tokens = alphabet.get_batch_converter()
        self.mean_state = lru_cache(maxsize=1 << 14)(self._mean_state)

    def _mean_state(self, sequence: str) -> np.ndarray:
        """The mean state, float32 [width]; read-only, because the cached array is shared."""
        import torch

        pieces = [sequence[start : start + LONGEST] for start in range(0, len(sequence), LONGEST)]
        total = torch.zeros(self.model.embed_dim)
        with torch.inference_mode():
            for piece in pieces:
                _, _, tokens_BL = self.to_tokens([("", piece)])
                states_BLD = self.model(tokens_BL, repr_layers=[self.layer])["representations"][self.layer]
                total += states_BLD[0, 1 : len(piece) + 1].sum(dim=0)
        mean = (total / len(sequence)).numpy().astype(np.float32)
        mean.flags.writeable = False
        return mean


def _read(file: Path) -> dict[str, Any]:
    """Reads the checkpoint; only tensors and its settings, an `argparse.Namespace`, may be in it.

    Raises:
        DataError: the file is damaged, or contains other objects.
    """
    import pickle

    import torch

    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise DataError("is not an ESM-2 checkpoint", where=str(file), hint=str(error).split("\n")[0]) from error
