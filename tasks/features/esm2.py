"""`{protein:esm2}`: the mean residue state of an ESM-2 protein model (Lin et al. 2023), run by fair-esm.

Weights are not downloaded here: the file `NAME.pt`, as fair-esm publishes it, is looked for in the folder that
`MAMMAL_ESM2` names, then where `torch.hub` keeps its checkpoints. It is read without unpickling objects.
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
"""Width of each published ESM-2 model, as its name's row in Lin et al. 2023, table S1."""

RESIDUES = frozenset("ACDEFGHIKLMNPQRSTVWYBOUXZ.-")
"""What ESM-2 reads (fair-esm's `proteinseq_toks`); X is any residue."""

LONGEST = 1022
"""Residues that ESM-2 was trained on at once, its two end tokens left out; longer sequences are read in pieces."""


class Esm2(Feature):
    """Frozen ESM-2 states, mean over residues.

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
        """Mean state over all residues.

        Raises:
            DataError: a character is no residue that ESM-2 knows, or the weights are not on this machine.
        """
        if unknown := sorted(set(text) - RESIDUES):
            what = f"ESM-2 does not read {', '.join(map(repr, unknown))}"
            raise DataError(what, hint="residues are upper-case letters; X stands for any")
        return self._companion.mean_state(text)

    @cached_property
    def _companion(self) -> _Companion:
        return _companion(str(weights_file(self.model)))


def weights_file(model: str) -> Path:
    """Where the weights of an ESM-2 model lie.

    Raises:
        DataError: nowhere that is looked at.
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
    """The model, frozen, and its alphabet.

    Raises:
        DataError: the file is no ESM-2 checkpoint.
    """
    from esm.pretrained import load_model_and_alphabet_core

    model, alphabet = load_model_and_alphabet_core(file.stem, _read(file), None)
    return model.eval().requires_grad_(False), alphabet


class _Companion:
    """An ESM-2 model in memory, with the states it has given."""

    def __init__(self, file: Path):
        self.model, alphabet = load_esm2(file)
        self.layer = self.model.num_layers
        self.to_tokens = alphabet.get_batch_converter()
        self.mean_state = lru_cache(maxsize=1 << 14)(self._mean_state)

    def _mean_state(self, sequence: str) -> np.ndarray:
        """float32 [width]; a cached array is shared, so it is marked read-only."""
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
    """The checkpoint; its settings are an `argparse.Namespace`, which is all that is allowed beside tensors.

    Raises:
        DataError: it is damaged, or holds other objects.
    """
    import pickle

    import torch

    try:
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise DataError("is no ESM-2 checkpoint", where=str(file), hint=str(error).split("\n")[0]) from error
