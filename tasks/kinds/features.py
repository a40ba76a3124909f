"""Feature tasks: vector heads predict features of a column from its text, such as the RDKit descriptors of a SMILES.

The labels are computed and need no column of their own, so any table of molecules can train an encoder: the idea of
CheMeleon (Burns et al. 2025, arXiv:2506.15792). Each head reads two states, that at `<MASK>` and the mean over the
row's content; the loss is the mean over both, and the prediction is the mean of both outputs. A feature is computed
from the cell of the row and not from the text that the prompt shows, so labels do not depend on views.

Shapes: B rows, N rows of a table, F entries of a vector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from mammal.tasks.batches.batch import Batch, ModelOutput, content_mask
from mammal.tasks.batches.example import Example
from mammal.tasks.batches.prediction import Prediction
from mammal.tasks.declaration.schema import TaskConfig
from mammal.tasks.errors import DataError, TaskError, unfitted
from mammal.tasks.features import build_features
from mammal.tasks.features.descriptor_groups import DESCRIPTOR_GROUPS
from mammal.tasks.features.descriptors import Descriptors, check_size
from mammal.tasks.features.targets import VectorTargets
from mammal.tasks.metrics.answers import Answers
from mammal.tasks.metrics.vector_metrics import explained_variance
from mammal.tasks.molecules.chemistry import standardise
from mammal.tasks.tables.cells import Row
from mammal.tasks.targets.losses import vector_loss
from mammal.tasks.task import Task
from mammal.tokenization.encoding import Encoding
from mammal.tokenization.errors import did_you_mean

if TYPE_CHECKING:
    from mammal.tasks.features.feature import Feature
    from mammal.tokenization.tokenizer import Tokenizer


class FeaturesTask(Task):
    """A task that predicts features of what the prompt shows; it needs no labels."""

    def __init__(self, config: TaskConfig, tokenizer: Tokenizer):
        super().__init__(config, tokenizer)
        slots = [slot for slot in self.template.slots if slot.part == "target"]
        built = build_features(slots, config.esm2, self.molecules, self.sequences)
        self._columns = {slot.name: self._featured(slot.key) for slot in slots}
        self.targets = VectorTargets({slot.name: built[slot.key] for slot in slots})
        self.weights = _weights(config, self.targets.features)

    @property
    def wants(self) -> tuple[str, ...]:
        return ("vectors",)

    @property
    def predicted_features(self) -> Mapping[str, Feature]:
        return self.targets.features

    @cached_property
    def _tags_T(self) -> Tensor:
        return torch.tensor(sorted(self.tokenizer.specials.values()), dtype=torch.int64)

    def example(
        self,
        row_id: object,
        row: Row,
        encoding: Encoding,
        target_text: Encoding | None,
        *,
        target: bool,
        judged: bool = False,
    ) -> Example:
        if not self.targets.is_fitted:
            raise unfitted(self.name, "targets")
        labels = self.targets.labels(self._texts(row)) if target else None
        return Example(row_id, encoding, read_R=self.mask_positions(encoding, 1), label_vectors=labels)

    def collate(self, examples: Sequence[Example]) -> Batch:
        batch = super().collate(examples)
        content_BL = content_mask(batch.ids_BL, batch.mask_BL, self._tags_T)
        return replace(batch, vectors=tuple(self.targets.features), content_BL=content_BL)

    def loss(self, output: ModelOutput, batch: Batch) -> Tensor:
        """Computes the weighted mean of the features' losses, each divided by the loss of a constant prediction.

        A feature whose head predicts the best constants has the loss 1, and a perfect one has 0.
        """
        losses = [
            self.weights[name] / self.targets.constant_losses[name] * self._loss_of(name, output, batch)
            for name in batch.vectors
        ]
        return torch.stack(losses).sum() / sum(self.weights.values())

    def _loss_of(self, name: str, output: ModelOutput, batch: Batch) -> Tensor:
        kind = self.targets.features[name].target_loss
        return vector_loss(self._outputs(name, output), batch.label_vectors[name], kind)

    def _outputs(self, name: str, output: ModelOutput) -> Tensor:
        """Outputs of a head, float [B, 2, F], for bits added to their log odds among the training rows."""
        outputs_B2F = output.vectors[name]
        log_odds_F = self.targets.log_odds.get(name)
        return outputs_B2F if log_odds_F is None else outputs_B2F + torch.from_numpy(log_odds_F).to(outputs_B2F)

    def decode(self, output: ModelOutput, batch: Batch) -> list[Prediction]:
        said: dict[str, np.ndarray] = {}
        for name in batch.vectors:
            mean_BF = self._outputs(name, output).detach().float().mean(dim=1)
            binary = self.targets.features[name].target_loss == "binary"
            said[name] = (mean_BF.sigmoid() if binary else mean_BF).cpu().numpy()
        return [
            Prediction(row_id, vectors={name: vectors_BF[row] for name, vectors_BF in said.items()})
            for row, row_id in enumerate(batch.row_ids)
        ]

    def original(self, name: str, prediction: Prediction) -> np.ndarray | None:
        """Returns a predicted vector in the units of the feature, float32 [F]; NaN where an entry is not predicted.

        Args:
            name: name of the feature.
            prediction: a prediction of this task.

        Returns:
            The values of descriptors in their own units, or the probabilities of the bits of a fingerprint. None if the
                prediction has no vectors.
        """
        return None if prediction.vectors is None else self.targets.features[name].original(prediction.vectors[name])

    # Fitting

    def fit(self, rows: Sequence[Row]) -> None:
        """Computes the features of the training rows, and fits their scales.

        Raises:
            TaskError: the training rows do not differ in any feature.
        """
        super().fit(rows)
        if max(self.targets.constant_losses.values()) <= VectorTargets.LEAST:
            what = "the training rows do not differ in any feature that is predicted"
            raise TaskError(what, where=f"task {self.name}", hint="descriptors need at least 20 different molecules")

    def fit_features(self, rows: Sequence[Row]) -> None:
        super().fit_features(rows)
        texts: dict[str, list[str]] = {name: [] for name in self._columns}
        problem = None
        for row in rows:
            try:
                found = self._texts(row)
            except DataError as error:  # encoding refuses the row with this reason
                problem = error
                continue
            for name, text in found.items():
                texts[name].append(text)
        if problem is not None and not any(texts.values()):
            raise problem
        self.targets.fit(texts)

    def feature_texts(self, rows: Sequence[Row]) -> list[tuple[Feature, list[str]]]:
        predicted: dict[str, list[str]] = {name: [] for name in self._columns}
        for row in rows:
            with suppress(DataError):  # encoding refuses the row with this reason
                for name, text in self._texts(row).items():
                    predicted[name].append(text)
        return [
            *super().feature_texts(rows),
            *((feature, predicted[name]) for name, feature in self.targets.features.items()),
        ]

    @property
    def features_are_fitted(self) -> bool:
        return super().features_are_fitted and self.targets.is_fitted

    def state(self) -> dict[str, Any]:
        targets = self.targets.state()
        return super().state() | ({"targets": targets} if targets else {})

    def load_state(self, state: Mapping[str, Any]) -> None:
        super().load_state(state)
        self.targets.load_state(state.get("targets", {}))

    # Judging

    def metrics(self, predictions: Sequence[Prediction], rows: Sequence[Row]) -> dict[str, float]:
        """As `Task.metrics`, and the explained variance of each group of descriptors, `explained_variance/GROUP`."""
        figures = super().metrics(predictions, rows)
        if "explained_variance" in figures and Descriptors.name in self._columns:
            answers = self.answers(predictions, rows)[Descriptors.name]
            for group, places in DESCRIPTOR_GROUPS.items():
                of_group = replace(answers, truth_N=answers.truth_N[:, places], answer_N=answers.answer_N[:, places])
                figures[f"explained_variance/{group}"] = explained_variance(of_group)
        return figures

    def answers(self, predictions: Sequence[Prediction], rows: Sequence[Row]) -> dict[str, Answers]:
        """Pairs true and predicted vectors of each feature, over rows that have both."""
        places, texts = [], []
        for place, (prediction, row) in enumerate(zip(predictions, rows, strict=True)):
            if prediction.vectors is None:
                continue
            try:
                texts.append(self._texts(row))
            except DataError:
                continue
            places.append(place)
        return {name: self._answers_of(name, predictions, places, texts) for name in self._columns}

    def _answers_of(
        self, name: str, predictions: Sequence[Prediction], places: Sequence[int], texts: Sequence[Mapping[str, str]]
    ) -> Answers:
        feature = self.targets.features[name]
        truth_NF = np.array([self.targets.vector(name, of_row[name]) for of_row in texts])
        truth_NF = truth_NF.reshape(len(places), feature.width)
        said = [vectors[name] for place in places if (vectors := predictions[place].vectors) is not None]
        answer_NF = np.array(said, dtype=np.float32).reshape(len(places), feature.width)
        if feature.target_loss == "binary":
            truth_NF = truth_NF > 0
        return Answers(truth_NF, answer_NF, rows_N=np.array(places, dtype=np.int64))

    def _texts(self, row: Row) -> dict[str, str]:
        """The text from which each feature is computed; molecules are normalised.

        Raises:
            DataError: a cell is empty, RDKit can't parse it, or the feature can't be computed.
        """
        found = {}
        for name, column in self._columns.items():
            text = self._text(row, column)
            if self.targets.features[name].of_molecules:
                text = standardise(text, "normalised", column)
                if name == Descriptors.name:
                    check_size(text)
            else:
                self.targets.vector(name, text)  # an error here, and not while a batch is made
            found[name] = text
        return found


def _weights(config: TaskConfig, features: Mapping[str, Feature]) -> dict[str, float]:
    """The weight of each feature in the loss."""
    for name in config.feature_weights:
        if name not in features:
            hint = did_you_mean(name, features, noun="feature of the target")
            raise TaskError(f"feature_weights names {name!r}, which is not predicted", where=config.name, hint=hint)
    weights = {name: float(config.feature_weights.get(name, 1.0)) for name in features}
    if not sum(weights.values()):
        raise TaskError("all feature_weights are 0", where=config.name, hint="feature_weights: {descriptors: 1}")
    return weights
