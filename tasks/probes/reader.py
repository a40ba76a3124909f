"""What probes read of a row: states of the frozen encoder, and features of the row's first molecule or DNA sequence.

The first state is at `<MASK>`; if the prompt has none, at `<SENTINEL_ID_0>`; else at the first token. The last one is
the mean over the row's content (`mammal.tasks.batches.batch.content_mask`). If a probe reads the site of a variant, the
states at its tokens are between these two (`mammal.tasks.probes.site`).

Shapes: N rows, B rows of a batch, W width of the model, S states (2, or 15 with the site of a variant), X entries of
features, F = S W + X entries of a row's vector.
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
from mammal.tasks.features.descriptors import Descriptors
from mammal.tasks.features.morgan import Morgan
from mammal.tasks.features.variant import Variant
from mammal.tasks.probes.site import SITE, dna_inputs, site_positions
from mammal.tokenization.encoding import Encoding
from mammal.tokenization.errors import PromptError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable

    from mammal.tasks.features.feature import Feature
    from mammal.tasks.prompts.row_prompts import RowPrompts
    from mammal.tasks.tables.cells import Row
    from mammal.tokenization.prompt import Prompt
    from mammal.tokenization.tokenizer import Tokenizer

READ = ("<MASK>", "<SENTINEL_ID_0>")
"""Tokens at which the state is read, in this order."""

MOLECULE_FEATURES = ("descriptors", "morgan")
"""Features of the first molecule that a probe can read in addition to the states."""

DNA_FEATURES = ("variant",)
"""Features of the first DNA sequence that a probe can read in addition to the states."""

_MAKE: dict[str, Callable[[], Feature]] = {"descriptors": Descriptors, "morgan": Morgan, "variant": Variant}


class RowReader:
    """Encodes rows for probes and reads their vectors.

    Args:
        task: the task.
        features: names of features that are read in addition to the states, of the first molecule or DNA sequence.
        site: whether the states at the site of the first variant are read.

    Attributes:
        features: these features by name.
        columns: for each of them, the column from which it is computed.
        site: whether the states at the site of the first variant are read.

    Raises:
        TaskError: the task reads no molecule or DNA, or a feature does not exist.
    """

    def __init__(self, task: RowPrompts, features: Sequence[str] = (), *, site: bool = False):
        self.task, self.site = task, site
        self.columns = {name: _column_of(task, name) for name in features}
        self.features = {name: _MAKE[name]() for name in self.columns}
        if site and not task.dna:
            what = f"the site of a variant is in DNA, and {task.name} reads none (it reads {_read_by(task)})"
            raise TaskError(what, where="adapt.site", hint="adapt.site=auto")
        self._token = _read_token(task.tokenizer, task.template.input)
        self._tags_T = torch.tensor(sorted(task.tokenizer.specials.values()), dtype=torch.int64)

    @property
    def states(self) -> int:
        """S, the number of states that are read of a row."""
        return 2 + (SITE if self.site else 0)

    @property
    def feature_names(self) -> str:
        """The features and what they are computed from, for messages; empty without features."""
        wholes = {"molecule": MOLECULE_FEATURES, "DNA sequence": DNA_FEATURES}
        named = {whole: [name for name in self.features if name in names] for whole, names in wholes.items()}
        return " and ".join(f"{', '.join(names)} of the whole {whole}" for whole, names in named.items() if names)

    def fit_features(self, rows: Sequence[Row]) -> None:
        """Fits the scales of the features on training rows."""
        for name, feature in self.features.items():
            texts: list[str] = []
            for row in rows:
                try:
                    texts.append(self._text(row, self.columns[name]))
                except (DataError, PromptError):  # encoding refuses the row with this reason
                    continue
            feature.fit(texts)

    def example(self, row_id: object, row: Row, prompt: Prompt, encoding: Encoding) -> Example:
        """Returns an encoded row with the positions and the features that the probes read.

        Args:
            row_id: name of the row.
            row: columns of the user.
            prompt: the prompt of the row.
            encoding: the encoded input.

        Raises:
            DataError: truncation removed a token at which a state is read, the row lacks the molecule or DNA of a
                feature, or it has no variant although the probes read its site or its description.
            PromptError: the DNA of a feature is not valid in-place notation.
        """
        read_R, given_X = self._position(encoding), None
        if self.site:
            read_R = np.concatenate([read_R, site_positions(prompt, encoding, self.task.dna)])
        if self.features:
            texts = {column: self._text(row, column) for column in self.columns.values()}
            given_X = np.concatenate([f.of(texts[self.columns[name]]) for name, f in self.features.items()])
        return Example(row_id, encoding, read_R=read_R, given_X=given_X)

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
        assert output.pooled_BSW is not None, "a batch for probes wants pooled states"
        states_BX = output.pooled_BSW.detach().float().flatten(1).cpu().numpy()
        given_BX = batch.given_BX
        return states_BX if given_BX is None else np.concatenate([states_BX, given_BX.cpu().numpy()], axis=1)

    def _position(self, encoding: Encoding) -> np.ndarray:
        if self._token is None:
            return np.zeros(1, dtype=np.int64)
        found = np.flatnonzero(encoding.ids_L == self._token)
        if not len(found):
            raise DataError(f"truncation removed {self.task.tokenizer.token(self._token)}, which the probe reads")
        return found[:1]

    def _text(self, row: Row, column: str) -> str:
        text = self.task.text_if_any(row, column)
        if text is None:
            raise DataError("empty cell", where=f"column {column}")
        return text

    def texts(self, row: Row) -> tuple[str | None, ...]:
        """Returns the texts from which the features of a row are computed; None for an empty cell.

        Args:
            row: columns of the user.
        """
        return tuple(self.task.text_if_any(row, column) for column in dict.fromkeys(self.columns.values()))

    def mean_states(self, vectors_NF: np.ndarray) -> np.ndarray:
        """Returns the mean states among the vectors of rows, float32 [N, W].

        Args:
            vectors_NF: vectors of rows.
        """
        entries = self.blocks(vectors_NF.shape[1])[0]
        return vectors_NF[:, entries - entries // self.states : entries]

    def blocks(self, width: int) -> list[int]:
        """Returns the number of entries of each block of a vector: states, then each feature.

        Args:
            width: F.
        """
        widths = [feature.width for feature in self.features.values()]
        return [width - sum(widths), *widths]


def _column_of(task: RowPrompts, feature: str) -> str:
    """The column from which a feature is computed: the first one with a molecule or with DNA."""
    kinds = {
        **{name: ("molecules", [c for c in task.identities if c in task.molecules]) for name in MOLECULE_FEATURES},
        **{name: ("DNA with a variant in place", dna_inputs(task)) for name in DNA_FEATURES},
    }
    if feature not in kinds:
        hint = did_you_mean(str(feature), kinds, noun="feature")
        raise TaskError(f"there is no feature {feature!r} for probes", where="adapt.features", hint=hint)
    kind, columns = kinds[feature]
    if not columns:
        what = f"{feature} is computed from {kind}, and {task.name} reads none (it reads {_read_by(task)})"
        hint = "adapt.features=[variant]" if feature in MOLECULE_FEATURES and task.dna else "adapt.features=[]"
        raise TaskError(what, where="adapt.features", hint=hint)
    return columns[0]


def _read_by(task: RowPrompts) -> str:
    return ", ".join(task.identities) or "nothing"


def _read_token(tokenizer: Tokenizer, template: str) -> int | None:
    """Id of the token at which the state is read; None: the first token of the prompt."""
    written = next((token for token in READ if token in template), None)
    return None if written is None else tokenizer.special_id(written)
