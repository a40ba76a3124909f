"""The base class of tasks: rows -> prompts -> examples -> batches -> losses, predictions, metrics.

A task combines a declaration with a tokenizer. `Task` has everything that all kinds share: prompts
(`mammal.tasks.prompts.row_prompts`), examples and batches (`batches.row_examples`), metrics (`metrics.task_metrics`),
and here losses, predictions and what is fitted. Each kind (`mammal.tasks.kinds`) adds how its targets are encoded and
decoded. Everything that is specific to generated answers (grammar, validity, infilling) is in
`mammal.tasks.kinds.generation.GenerationTask`.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from mammal.tasks.batches.batch import Batch, ModelOutput
from mammal.tasks.batches.prediction import Prediction
from mammal.tasks.batches.row_examples import RowExamples
from mammal.tasks.errors import TaskError
from mammal.tasks.metrics.task_metrics import TaskMetrics
from mammal.tasks.tables.cells import Row

if TYPE_CHECKING:
    from mammal.tasks.features.feature import Feature
    from mammal.tasks.probes.target import ProbeTarget


class Task(RowExamples, TaskMetrics):
    """A declared task on a tokenizer. `mammal.tasks.build_task` makes one.

    Args:
        config: the declaration.
        tokenizer: the tokenizer that encodes its prompts.

    Attributes:
        config: the declaration.
        tokenizer: the tokenizer that encodes its prompts.
        template: template of its prompts.
        columns: every column that its prompts can read.
        needed: for each thing that a prompt reads, the columns of which a row must have one.
        target_columns: columns that contain what is to be predicted.
        number_targets: target columns that contain a number.
        molecules: columns with SMILES.
        sequences: columns with residues or bases.
        conditions: columns of the input that can be missing, and that steer generation.
        probes: classical models that answer in place of the heads (`mammal.tasks.probes`); None: the heads answer.
        training_rows: what is kept of the training rows, with which rows are compared (`mammal.tasks.applicability`);
            None: nothing.
        epoch: number of the epoch of training. It changes what is random from epoch to epoch (views, hidden spans).

    Raises:
        TaskError: the template does not fit the kind, the labels or the tokenizer.
        PromptError: the template is malformed.
    """

    has_probes = False
    """Whether classical models can answer in place of the heads (`mammal.tasks.probes`)."""
    ranks = 1
    """Number of answers of each row that the task's metrics use; more than one only for generated answers."""

    @property
    def uses_similarity(self) -> bool:
        """Whether answers depend on `Prediction.similarity`, which is then computed even if no column shows it."""
        return False

    @property
    def varies(self) -> bool:
        """Whether the prompts of training rows differ between epochs."""
        return self.draws

    @property
    def predicted_features(self) -> Mapping[str, Feature]:
        """Features that vector heads predict, by name of the head."""
        return {}

    @property
    def head_widths(self) -> Mapping[str, int]:
        """Number of outputs of each vector head that the task needs, by name of the head."""
        return {feature.name: feature.width for feature in self.predicted_features.values()}

    def _head_name(self, of: str) -> str:
        """Name of a head that only this task has; `of` says what it predicts."""
        return f"{of}_" + re.sub(r"\W", "_", self.name)

    # Batch -> loss, predictions

    @abstractmethod
    def loss(self, output: ModelOutput, batch: Batch) -> Tensor:
        """Computes the training loss of a batch that was encoded with its targets.

        Args:
            output: output of the model for the batch.
            batch: the batch.

        Returns:
            Scalar tensor.
        """

    def decode(self, output: ModelOutput, batch: Batch) -> list[Prediction]:
        """Reads predictions from the output of the model.

        Args:
            output: output of the model for the batch.
            batch: the batch.

        Returns:
            One prediction for each encoder row, in order.

        Raises:
            TaskError: answers of this kind of task are generated.
        """
        raise TaskError(f"{self.name} is a {self.kind} task: its answers are generated", hint="mammal generate")

    # Fitting

    def fit(self, rows: Sequence[Row]) -> None:
        """Learns what prompts and answers need from the training rows (scales). Any calibration is removed.

        Args:
            rows: training rows.

        Raises:
            TaskError: the rows do not contain what is needed.
        """
        self.fit_features(rows)

    def calibrate(self, predictions: Sequence[Prediction], rows: Sequence[Row]) -> None:
        """Fits the calibration on predictions for validation rows. Kinds without calibration do nothing.

        Args:
            predictions: one for each row.
            rows: validation rows.
        """

    def placed(self, prediction: Prediction) -> Prediction:
        """Returns a prediction whose `similarity` was set, with what depends on it: intervals of regressions.

        Args:
            prediction: the prediction.
        """
        return prediction

    def state(self) -> dict[str, Any]:
        """Returns what was fitted, as plain values for `task.yaml` of a bundle; without arrays."""
        probes = {} if self.probes is None else {"probes": self.probes.state()}
        kept = {} if self.training_rows is None else {"training_rows": self.training_rows.state()}
        return self.fitted() | probes | kept

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restores what `state` returned, but not probes. The scale of a feature that the prompt lacks is ignored.

        Args:
            state: plain values.
        """
        self.load_fitted(state)

    def load_probes(self, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Restores the probes of a stored task; does nothing if it has none.

        Args:
            state: what `state` returned.
            arrays: what `TaskProbes.arrays` returned.
        """
        from mammal.tasks.probes.task_probes import TaskProbes

        if "probes" in state:
            self.probes = TaskProbes.from_state(self, state["probes"], arrays)

    def load_training_rows(self, state: Mapping[str, Any], arrays: Callable[[], Mapping[str, np.ndarray]]) -> None:
        """Restores what is kept of the training rows of a stored task; does nothing if that is nothing.

        Args:
            state: what `state` returned.
            arrays: function that reads what `TrainingRows.arrays` returned. It is called on first use.
        """
        from mammal.tasks.applicability.training_rows import TrainingRows

        if "training_rows" in state:
            tags = sorted(self.tokenizer.specials.values())
            self.training_rows = TrainingRows.from_state(state["training_rows"], arrays, tags)

    def probe_columns(self, rows: Sequence[Row]) -> dict[str, ProbeTarget]:
        """Returns what probes learn for each target column; for kinds that `has_probes`.

        Args:
            rows: rows with their target columns.
        """
        raise NotImplementedError

    def check_averages(self) -> None:
        """Checks that the answers of several models can be averaged.

        Raises:
            TaskError: the kind predicts neither classes nor numbers.
        """
        self._check_answers("an ensemble predicts", where="adapt.ensemble", hint="adapt.ensemble=1")

    def check_probes(self) -> None:
        """Checks that classical models can answer this kind of task.

        Raises:
            TaskError: the kind predicts neither classes nor numbers.
        """
        self._check_answers("probes predict", where="adapt=probe", hint="adapt=full, lora or head")

    def _check_answers(self, who_predicts: str, *, where: str, hint: str) -> None:
        """Refuses a kind of task that predicts neither classes nor numbers."""
        if not self.has_probes:
            what = f"{self.name} is a {self.kind} task, and {who_predicts} classes and numbers"
            raise TaskError(what, where=where, hint=hint)
