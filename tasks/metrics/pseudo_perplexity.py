"""Pseudo-perplexity of proteins under a masked language model (Salazar et al. 2020, arXiv 1910.14659).

    PPPL(s) = exp(-1/L · Σ log p(s_i | s without s_i))

Each residue is masked separately and the model predicts its probability, so a sequence of L residues needs L passes. A
value of 1 means that the model predicts every residue with certainty, 20 that it is not better than chance. Repeats
also have low values, so use it together with a measure of diversity.

    esm2       ESM-2 (Lin et al. 2023) with fair-esm, if its weights are on disk (`mammal.tasks.features.esm2`)
    antibody   AntiBERTy (Ruffolo et al. 2021, arXiv 2112.07782) from the wheel `antiberty` 0.1 (MIT), or from the
               folder that MAMMAL_ANTIBERTY names. Chains of at most 510 residues

Nothing is downloaded. Shapes: L residues, T tokens, V tokens of the model's vocabulary.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mammal.tasks.errors import DataError
from mammal.tasks.features.esm2 import DEFAULT, LONGEST, weights_file

VARIABLE = "MAMMAL_ANTIBERTY"
MODELS = ("esm2", "antibody")
RESIDUES = frozenset("ACDEFGHIKLMNPQRSTVWY")
_AT_ONCE = 4096
"""Number of tokens that a model reads at once."""
_LONGEST_ANTIBODY = 510


class MaskedModel(Protocol):
    """The interface of masked language models.

    Attributes:
        longest: maximum number of residues.
        mask_id: id of the mask token.
    """

    longest: int
    mask_id: int

    def tokens(self, sequence: str) -> Any:
        """Returns token ids, int64 tensor [T]: one token in front, one for each residue, and any tokens behind."""

    def logits(self, ids_BT: Any) -> Any:
        """Returns the scores of all tokens for B rows of token ids, tensor [B, T, V]."""


def pseudo_perplexity(sequence: str, model: MaskedModel) -> float:
    """Returns the pseudo-perplexity of one sequence.

    Raises:
        DataError: the sequence is empty, too long for the model, or has other characters than the twenty residues.
    """
    return math.exp(-float(masked_log_likelihoods(sequence, model).mean()))


def masked_log_likelihoods(sequence: str, model: MaskedModel) -> np.ndarray:
    """Returns log p of each residue given all others, natural logarithm, float64 [L].

    Raises:
        DataError: as for `pseudo_perplexity`.
    """
    import torch

    if not sequence or (unknown := sorted(set(sequence) - RESIDUES)):
        raise DataError(f"not residues: {', '.join(map(repr, unknown))}" if sequence else "the sequence is empty")
    if len(sequence) > model.longest:
        raise DataError(f"{len(sequence)} residues are more than the {model.longest} that the model reads")
    ids_T = model.tokens(sequence)
    places_L = torch.arange(1, len(sequence) + 1)
    found = []
    with torch.inference_mode():
        for places_B in places_L.split(max(1, _AT_ONCE // len(ids_T))):
            rows_B = torch.arange(len(places_B))
            ids_BT = ids_T.repeat(len(places_B), 1)
            ids_BT[rows_B, places_B] = model.mask_id
            log_p_BV = torch.log_softmax(model.logits(ids_BT)[rows_B, places_B].double(), dim=-1)
            found.append(log_p_BV.gather(1, ids_T[places_B].unsqueeze(1)).squeeze(1))
    return torch.cat(found).numpy()


@lru_cache(maxsize=2)
def masked_model(name: str = "esm2") -> MaskedModel:
    """Returns one of `MODELS`, which is loaded once.

    Raises:
        DataError: the model is not on this machine; a hint explains how to get it.
    """
    assert name in MODELS, name
    return _Esm2(weights_file(DEFAULT)) if name == "esm2" else AntiBerty(antiberty_folder())


def antiberty_folder() -> Path:
    """Returns the folder with `config.json` and `pytorch_model.bin`; `vocab.txt` is in it or in the folder above.

    Raises:
        DataError: there is no such folder.
    """
    from importlib import metadata

    named = os.environ.get(VARIABLE)
    if named:
        candidates = [Path(named)]
    else:
        try:
            files: Sequence[metadata.PackagePath] = metadata.files("antiberty") or ()
        except metadata.PackageNotFoundError:
            files = ()
        candidates = [Path(str(file.locate())).parent for file in files if file.name == "pytorch_model.bin"]
    for folder in candidates:
        if (folder / "config.json").is_file() and (folder / "pytorch_model.bin").is_file():
            return folder
    raise _no_antiberty(named)


def _no_antiberty(named: str | None) -> DataError:
    """Why there are no weights: no package, or one of version 1.0, which contains none."""
    from importlib import metadata

    folder = f"name the folder of its model in {VARIABLE}"
    if named:
        hint = "the folder must contain config.json and pytorch_model.bin, as in the wheel of antiberty 0.1.3"
        return DataError("the antibody model AntiBERTy is not here", where=named, hint=hint)
    try:
        installed = metadata.version("antiberty")
    except metadata.PackageNotFoundError:
        hint = f"pip install 'mammal[antibodies]', or {folder}"
        return DataError("the antibody model AntiBERTy is not here", hint=hint)
    what = f"the antibody model AntiBERTy is not here: antiberty {installed} is installed without its weights"
    return DataError(what, hint=f"pip install 'antiberty>=0.1.3,<1', or {folder}")


class _Esm2:
    longest = LONGEST

    def __init__(self, file: Path):
        from mammal.tasks.features.esm2 import load_esm2

        self._model, alphabet = load_esm2(file)
        self._convert, self.mask_id = alphabet.get_batch_converter(), alphabet.mask_idx

    def tokens(self, sequence: str) -> Any:
        return self._convert([("", sequence)])[2][0]

    def logits(self, ids_BT: Any) -> Any:
        return self._model(ids_BT)["logits"]


class AntiBerty:
    """AntiBERTy with its masked-language head, without its heads for species, chain and grafts.

    Raises:
        DataError: the folder contains another model.
    """

    longest = _LONGEST_ANTIBODY

    def __init__(self, folder: Path):
        import torch
        from transformers import BertConfig, BertForMaskedLM

        settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        known = BertConfig().to_dict().keys() - {"architectures", "transformers_version", "_name_or_path"}
        self._model = BertForMaskedLM(BertConfig(**{k: v for k, v in settings.items() if k in known}))
        weights = torch.load(folder / "pytorch_model.bin", map_location="cpu", weights_only=True)
        lacking = self._model.load_state_dict(weights, strict=False).missing_keys
        if lacking := [name for name in lacking if "position_ids" not in name]:
            raise DataError(f"its weights lack {lacking[0]}", where=str(folder), hint="AntiBERTy of antiberty 0.1")
        self._model = self._model.eval().requires_grad_(False)
        file = next((f / "vocab.txt" for f in (folder, folder.parent) if (f / "vocab.txt").is_file()), None)
        if file is None:
            raise DataError("has no vocab.txt", where=str(folder))
        self._ids = {token: i for i, token in enumerate(file.read_text(encoding="utf-8").split())}
        self.mask_id = self._ids["[MASK]"]

    def tokens(self, sequence: str) -> Any:
        import torch

        return torch.tensor([self._ids[token] for token in ("[CLS]", *sequence, "[SEP]")])

    def logits(self, ids_BT: Any) -> Any:
        return self._model(input_ids=ids_BT).logits
