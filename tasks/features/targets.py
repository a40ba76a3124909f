"""Expected vectors of a task of kind `features`: each is computed once for each text and kept in a small form.

Shapes: N texts, M different ones, F entries of a vector.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from mammal.tasks.features.feature import Feature


class VectorTargets:
    """The expected vectors of texts, and their scales.

    Args:
        features: predicted features by name.

    Attributes:
        features: as given.
        constant_losses: for each feature, the loss of a constant prediction on the training rows: the mean variance of
            known entries (loss `squared`), or the mean cross entropy of bits at `log_odds`, in nats (`binary`). The
            loss of a feature is divided by it, so that features of unlike losses have equal weight. Empty before it is
            fitted.
        log_odds: for each feature with loss `binary`, the logarithm of the odds of each bit among the training rows,
            float32 [F]. It is added to the output of the head, so that a new head starts at the shares of the training
            rows; else most of the first steps would go into learning that bits are rare.
        LEAST: smallest of these losses, if the training rows do not differ in a feature.
    """

    LEAST = 1e-6

    def __init__(self, features: Mapping[str, Feature]):
        self.features = features
        self.constant_losses: dict[str, float] = {}
        self.log_odds: dict[str, np.ndarray] = {}
        self._kept: dict[tuple[str, str], np.ndarray] = {}

    @property
    def is_fitted(self) -> bool:
        return bool(self.constant_losses) and all(feature.is_fitted for feature in self.features.values())

    def fit(self, texts: Mapping[str, Sequence[str]]) -> None:
        """Fits scales on training rows, and keeps their vectors.

        Args:
            texts: texts of the training rows, by name of the feature.
        """
        self.constant_losses, self.log_odds = {}, {}
        self._kept = {key: kept for key, kept in self._kept.items() if not self.features[key[0]].scaled_target}
        for name, feature in self.features.items():
            if feature.scaled_target:
                self._fit_scale(name, texts[name])
            self._fit_constants(name, texts[name])

    def _fit_scale(self, name: str, texts: Sequence[str]) -> None:
        feature = self.features[name]
        distinct = {text: place for place, text in enumerate(dict.fromkeys(texts))}
        values_MF = np.array([feature.values(text) for text in distinct]).reshape(len(distinct), feature.width)
        feature.fit_target(values_MF[[distinct[text] for text in texts]])
        for text, values_F in zip(distinct, values_MF, strict=True):
            self._keep(name, text, feature.target(values_F))

    def _fit_constants(self, name: str, texts: Sequence[str]) -> None:
        """Fits `constant_losses` and `log_odds` from sums over rows: all vectors at once would need much memory."""
        count_F, sum_F, square_F = (np.zeros(self.features[name].width) for _ in range(3))
        for text in texts:
            vector_F = self.vector(name, text).astype(np.float64)
            known_F = ~np.isnan(vector_F)
            filled_F = np.where(known_F, vector_F, 0.0)
            count_F, sum_F, square_F = count_F + known_F, sum_F + filled_F, square_F + filled_F**2
        if self.features[name].target_loss == "binary":
            odds_F = (sum_F + 0.5) / (count_F - sum_F + 0.5)
            self.log_odds[name] = np.log(odds_F).round(4).astype(np.float32)
            least_F = count_F * np.log1p(odds_F) - sum_F * np.log(odds_F)  # cross entropy at these odds
        else:
            least_F = square_F - sum_F**2 / np.maximum(count_F, 1)
        self.constant_losses[name] = max(self.LEAST, float(least_F.sum() / max(count_F.sum(), 1)))

    def vector(self, name: str, text: str) -> np.ndarray:
        """Returns the expected vector of a text, float32 [F], NaN where an entry is unknown.

        Args:
            name: name of the feature.
            text: text from which it is computed.
        """
        if (name, text) not in self._kept:
            self._keep(name, text, self.features[name].target_of(text))
        kept, width = self._kept[name, text], self.features[name].width
        if self.features[name].target_loss == "binary":
            return np.unpackbits(kept, count=width).astype(np.float32)
        return kept

    def _keep(self, name: str, text: str, vector_F: np.ndarray) -> None:
        binary = self.features[name].target_loss == "binary"
        self._kept[name, text] = np.packbits(vector_F > 0) if binary else vector_F

    def labels(self, texts: Mapping[str, str]) -> Mapping[str, np.ndarray]:
        """Returns the expected vectors of one row by name.

        Args:
            texts: text of each feature.
        """
        return _RowVectors(self, texts)

    def state(self) -> dict[str, Any]:
        """Returns the scales and `constant_losses`, as plain values; empty before they are fitted."""
        if not self.is_fitted:
            return {}
        return {name: self._state_of(name) for name in self.features}

    def _state_of(self, name: str) -> dict[str, Any]:
        stored: dict[str, Any] = {"constant_loss": self.constant_losses[name]}
        if scale := self.features[name].state():
            stored["scale"] = scale
        if name in self.log_odds:
            stored["log_odds"] = [round(float(odds), 4) for odds in self.log_odds[name]]
        return stored

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restores what `state` returned. Features that the task does not predict are ignored.

        Args:
            state: plain values.

        Raises:
            TaskError: another version of this package fitted other descriptors.
        """
        self._kept = {}
        for name in self.features.keys() & state.keys():
            stored = state[name]
            if "scale" in stored:
                self.features[name].load_state(stored["scale"])
            if "log_odds" in stored:
                self.log_odds[name] = np.array(stored["log_odds"], dtype=np.float32)
            self.constant_losses[name] = float(stored["constant_loss"])


class _RowVectors(Mapping[str, np.ndarray]):
    """The vectors of one row, read from their small form when they are needed: a row of 2,048 bits has 8 kB else."""

    def __init__(self, targets: VectorTargets, texts: Mapping[str, str]):
        self._targets, self._texts = targets, texts

    def __getitem__(self, name: str) -> np.ndarray:
        return self._targets.vector(name, self._texts[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)
