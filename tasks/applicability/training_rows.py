"""What a bundle keeps of the training rows of one task, and how near other rows are to them.

Shapes: B rows of a batch, N rows, M training rows that are kept, V validation rows, W width of the model, D numbers of
a projected state, X bytes of a packed fingerprint.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch

from mammal.tasks.applicability.fingerprints import BITS, RADIUS
from mammal.tasks.applicability.indexes import DIMENSIONS, FingerprintIndex, Projection, StateIndex, distance_unit
from mammal.tasks.batches.batch import Batch, ModelOutput, content_mask, mean_state
from mammal.tasks.batches.prediction import NearRow, Prediction
from mammal.tasks.tables.spread_rows import spread_rows

MOST_ROWS = 10_000
"""Largest number of training rows that are kept. Of more rows, a random sample with a fixed seed is kept."""

OUTSIDE = 10.0
"""A row is `outside` if its percentile is below this: fewer than 10 % of the validation rows are as far or farther.

With 5 %, many data sets have fewer than ten such test rows, whose mean error depends on chance (docs/trust.md).
"""

FEWEST_VALID = 20
"""Smallest number of validation rows with a similarity; with fewer, there is no percentile."""

MOST_REFERENCES = 2_000
"""Largest number of similarities of validation rows that are kept, evenly spaced in their order."""

FULL, DISTANCES, OFF = "full", "distances", "off"
STORED = (FULL, DISTANCES, OFF)
"""What a run can store: `full`: fingerprints or vectors with texts and labels; `distances`: without them; `off`."""


TEXTS = "rows"
"""Name of the array with the texts and labels of training rows, which only `full` stores."""


class TrainingRow(NamedTuple):
    """The texts and labels of a training row.

    Attributes:
        inputs: column -> what the prompt shows, standardised.
        labels: target column -> its cell.
    """

    inputs: Mapping[str, str]
    labels: Mapping[str, Any]


@dataclass(frozen=True)
class KeptRows:
    """What is kept of training rows.

    Attributes:
        column: column of the molecule whose fingerprints are compared. None: states of the encoder are compared.
        rows: number of training rows that are kept.
        total: number of all training rows.
        stored: `full` or `distances`.
        unit: distance of similarity 1/2, of states; 0 for fingerprints.
        references: number of validation rows among which percentiles are.
    """

    column: str | None
    rows: int
    total: int
    stored: str
    unit: float = 0.0
    references: int = 0

    @property
    def measure(self) -> str:
        """What a similarity is, in words."""
        if self.column is not None:
            return f"Tanimoto similarity of Morgan fingerprints (radius {RADIUS}, {BITS:,} bits)"
        return "1 / (1 + distance of mean states of the encoder / median distance of nearest training rows)"

    @property
    def sentence(self) -> str:
        """What a bundle contains of the training rows, in words."""
        number = f"{self.rows:,} of {self.total:,} training rows"
        if self.column is not None:
            what = f"Morgan fingerprints (radius {RADIUS}, {BITS:,} bits) of the molecules of {number}"
        else:
            what = f"mean states of the encoder, projected to {DIMENSIONS} numbers, of {number}"
        if self.stored == FULL:
            return f"{what}, with the inputs and labels of these rows as text"
        return f"{what}; neither their inputs nor their labels"


class TrainingRows:
    """The training rows of a task, as far as they are kept.

    Args:
        kept: what is kept.
        arrays: arrays by name, or a function that reads them when they are first used.
        tags: ids of special tokens, which are not part of the content over which states are averaged.
    """

    def __init__(
        self,
        kept: KeptRows,
        arrays: Mapping[str, np.ndarray] | Callable[[], Mapping[str, np.ndarray]],
        tags: Sequence[int] = (),
    ):
        self.kept, self._given, self._tags = kept, arrays, tuple(tags)

    def __getstate__(self) -> dict[str, Any]:
        """Without what is computed from the arrays, so that worker processes get no copies of it."""
        return {name: value for name, value in vars(self).items() if name in ("kept", "_given", "_tags")}

    # Fitting

    @classmethod
    def of_molecules(
        cls, column: str, bits_MX: np.ndarray, total: int, rows: Sequence[TrainingRow] | None = None
    ) -> TrainingRows:
        """Keeps the fingerprints of training molecules.

        Args:
            column: column of the molecule.
            bits_MX: packed fingerprints, uint8.
            total: number of all training rows.
            rows: texts and labels of these rows. None: they are not kept.
        """
        kept = KeptRows(column, len(bits_MX), total, DISTANCES if rows is None else FULL)
        return cls(kept, {"bits": bits_MX, **_packed(rows)})

    @classmethod
    def of_states(
        cls, states_MW: np.ndarray, total: int, tags: Sequence[int], rows: Sequence[TrainingRow] | None = None
    ) -> TrainingRows:
        """Keeps projected mean states of training rows.

        Args:
            states_MW: mean states, float.
            total: number of all training rows.
            tags: ids of special tokens.
            rows: texts and labels of these rows. None: they are not kept.
        """
        projection = Projection.fit(states_MW)
        vectors_MD = projection.apply(states_MW).astype(np.float16)
        unit = distance_unit(vectors_MD)
        kept = KeptRows(None, len(vectors_MD), total, DISTANCES if rows is None else FULL, unit)
        arrays = {"vectors": vectors_MD, "mean": projection.mean_W, "projection": projection.weights_WD}
        return cls(kept, {**arrays, **_packed(rows)}, tags)

    def compare_with(self, predictions: Sequence[Prediction]) -> list[Prediction]:
        """Keeps the similarities of validation rows, and returns their predictions with percentiles.

        Args:
            predictions: predictions for validation rows, with their similarities.
        """
        known_V = np.sort([p.similarity for p in predictions if p.similarity is not None])
        if len(known_V) < FEWEST_VALID:
            return list(predictions)
        known_V = known_V[spread_rows(len(known_V), MOST_REFERENCES)]
        self._given = {**self.arrays(), "reference": known_V.astype(np.float64)}
        self.kept = replace(self.kept, references=len(known_V))
        self.__dict__.pop("_arrays", None)
        return [p if p.similarity is None else _with(p, self._place(p.similarity)) for p in predictions]

    # Comparing

    def wanting(self, batch: Batch) -> Batch:
        """Returns the batch with a request for what similarities are computed from.

        Args:
            batch: a batch of the task.
        """
        if self.kept.column is not None or "pooled" in batch.wants or "hidden" in batch.wants:
            return batch
        return replace(batch, wants=(*batch.wants, "hidden"))

    def placed(
        self, predictions: Sequence[Prediction], output: ModelOutput, batch: Batch, nearest: int = 0
    ) -> list[Prediction]:
        """Returns predictions with the similarity of their rows to the training rows.

        Args:
            predictions: one for each row of the batch.
            output: output of the model for the batch, which `wanting` returned.
            batch: the batch.
            nearest: number of training rows that each prediction names; 0: none.
        """
        places, asked = self._asked(output, batch)
        if not len(places):
            return list(predictions)
        similarity_NK, row_NK = self._index.nearest(asked, max(1, nearest))
        found = list(predictions)
        for place, similarity_K, row_K in zip(places, similarity_NK.tolist(), row_NK.tolist(), strict=True):
            facts = self._place(similarity_K[0])
            if nearest:
                near = zip(similarity_K, row_K, strict=True)
                facts["nearest"] = tuple(NearRow(similarity, *self._rows[row]) for similarity, row in near)
            found[place] = _with(found[place], facts)
        return found

    def _asked(self, output: ModelOutput, batch: Batch) -> tuple[list[int], np.ndarray]:
        """Positions of the rows that can be compared, and their fingerprints or projected states."""
        if self.kept.column is None:
            states_BW = mean_states(output, batch, self._tags)
            return list(range(len(batch))), self._projection.apply(states_BW)
        if batch.fingerprints_BX is None:
            return [], np.zeros((0, BITS // 8), dtype=np.uint8)
        bits_BX = batch.fingerprints_BX.cpu().numpy()
        places = np.flatnonzero(bits_BX.any(axis=1))
        return places.tolist(), bits_BX[places]

    def _place(self, similarity: float) -> dict[str, Any]:
        if not self.kept.references:
            return {"similarity": similarity}
        reference_V = self._arrays["reference"]
        percentile = 100 * int(np.searchsorted(reference_V, similarity, side="right")) / len(reference_V)
        return {"similarity": similarity, "percentile": percentile, "outside": percentile < OUTSIDE}

    @cached_property
    def _arrays(self) -> Mapping[str, np.ndarray]:
        return self._given() if callable(self._given) else self._given

    @cached_property
    def _index(self) -> FingerprintIndex | StateIndex:
        arrays = self._arrays
        if self.kept.column is not None:
            return FingerprintIndex(arrays["bits"])
        return StateIndex(arrays["vectors"], self.kept.unit)

    @cached_property
    def _projection(self) -> Projection:
        return Projection(self._arrays["mean"], self._arrays["projection"])

    @cached_property
    def _rows(self) -> Sequence[TrainingRow]:
        return _unpacked(self._arrays[TEXTS])

    # In a bundle

    def state(self) -> dict[str, Any]:
        """Returns everything but arrays, as plain values for `task.yaml` of a bundle."""
        return {name: value for name, value in vars(self.kept).items() if value is not None}

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns the arrays by name, for `training_rows.safetensors` of a bundle."""
        return {name: np.ascontiguousarray(array) for name, array in self._arrays.items()}

    @classmethod
    def from_state(
        cls, state: Mapping[str, Any], arrays: Callable[[], Mapping[str, np.ndarray]], tags: Sequence[int]
    ) -> TrainingRows:
        """Restores what `state` and `arrays` returned.

        Args:
            state: plain values.
            arrays: function that reads the arrays. It is called when they are first used.
            tags: ids of special tokens.
        """
        return cls(KeptRows(**{"column": None, **state}), arrays, tags)


def sample(total: int, most: int = MOST_ROWS) -> np.ndarray:
    """Returns the positions of the training rows that are kept, in their order, int64.

    Args:
        total: number of training rows.
        most: largest number of rows that are kept.
    """
    if total <= most:
        return np.arange(total, dtype=np.int64)
    return np.sort(np.random.default_rng(0).permutation(total)[:most]).astype(np.int64)


def mean_states(output: ModelOutput, batch: Batch, tags: Sequence[int]) -> np.ndarray:
    """Returns the mean state over the content of each row, float32 [B, W].

    Args:
        output: output of the model with pooled or hidden states.
        batch: the batch.
        tags: ids of special tokens, which are not content.
    """
    if output.pooled_BSW is not None:
        return output.pooled_BSW[:, -1].detach().float().cpu().numpy()
    assert output.hidden_BLW is not None, "the batch wants states"
    content_BL = batch.content_BL
    if content_BL is None:
        tags_T = torch.tensor(tags, dtype=torch.int64, device=batch.ids_BL.device)
        content_BL = content_mask(batch.ids_BL, batch.mask_BL, tags_T)
    return mean_state(output.hidden_BLW.detach().float(), content_BL).cpu().numpy()


def _with(prediction: Prediction, facts: Mapping[str, Any]) -> Prediction:
    """The prediction with these facts, also in the answer for each target column."""
    if prediction.by_target is None:
        return replace(prediction, **facts)
    by_target = {column: replace(answer, **facts) for column, answer in prediction.by_target.items()}
    return replace(prediction, by_target=by_target, **facts)


def _packed(rows: Sequence[TrainingRow] | None) -> dict[str, np.ndarray]:
    """Texts and labels, compressed: columns one after the other, because equal columns compress well."""
    if rows is None:
        return {}
    columns = {"inputs": _columns([row.inputs for row in rows]), "labels": _columns([row.labels for row in rows])}
    text = json.dumps(columns, ensure_ascii=False, separators=(",", ":"))
    return {TEXTS: np.frombuffer(lzma.compress(text.encode()), dtype=np.uint8)}


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    names = list(dict.fromkeys(name for row in rows for name in row))
    return {name: [row.get(name) for row in rows] for name in names}


def _unpacked(packed: np.ndarray) -> list[TrainingRow]:
    columns = json.loads(lzma.decompress(packed.tobytes()))
    count = max((len(values) for part in columns.values() for values in part.values()), default=0)
    inputs, labels = (
        [{name: values[i] for name, values in part.items() if values[i] is not None} for i in range(count)]
        for part in (columns["inputs"], columns["labels"])
    )
    return [TrainingRow(*pair) for pair in zip(inputs, labels, strict=True)]
