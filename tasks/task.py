"""The base class of tasks: rows -> prompts -> examples -> batches -> losses, predictions, metrics.

A task combines a declaration with a tokenizer. `Task` has everything that all kinds share; each kind
(`mammal.tasks.kinds`) adds how its targets are encoded and decoded. Everything that is specific to generated answers
(grammar, validity, infilling) is in `mammal.tasks.kinds.generation.GenerationTask`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from mammal.tasks.batches.batch import Batch, ModelOutput
from mammal.tasks.batches.collate import collate
from mammal.tasks.batches.example import Example
from mammal.tasks.batches.prediction import Prediction
from mammal.tasks.declaration.schema import TaskConfig
from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.metrics.answers import Answers
from mammal.tasks.metrics.distinct import over_distinct_inputs
from mammal.tasks.metrics.registry import LOG_METRICS, check_metrics, compute_metrics, intervals
from mammal.tasks.prompts.row_prompts import RowPrompts
from mammal.tasks.tables.cells import Row
from mammal.tokenization.encoding import Encoding

if TYPE_CHECKING:
    from mammal.tasks.features.feature import Feature
    from mammal.tasks.probes.task_probes import ProbeTarget, TaskProbes
    from mammal.tokenization.prompt import Prompt
    from mammal.tokenization.tokenizer import Tokenizer


class Task(RowPrompts, ABC):
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
        epoch: number of the epoch of training. It changes what is random from epoch to epoch (views, hidden spans).

    Raises:
        TaskError: the template does not fit the kind, the labels or the tokenizer.
        PromptError: the template is malformed.
    """

    target_is_text = False
    """Whether answers are generated text; otherwise the heads give them in one pass."""
    changes_encoded = False
    """Whether each epoch of training changes encoded rows (`changed`), as denoising does."""
    has_probes = False
    """Whether classical models can answer in place of the heads (`mammal.tasks.probes`)."""
    ranks = 1
    """Number of answers of each row that the task's metrics use; more than one only for generated answers."""

    def __init__(self, config: TaskConfig, tokenizer: Tokenizer):
        super().__init__(config, tokenizer)
        self.probes: TaskProbes | None = None
        scalars = [slot.column for slot in self.template.slots if slot.kind == "scalar" and slot.part == "target"]
        self.number_targets = list(dict.fromkeys(scalars))
        check_metrics(config.metrics, config.family, has_numbers=bool(self.number_targets))

    @property
    def kind(self) -> str:
        return self.config.kind

    @property
    def family(self) -> str:
        """The kind whose answers have the same form: classification, regression, generation or denoising."""
        return self.config.family

    @property
    def mode(self) -> str:
        return self.config.mode

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

    # Row -> Example

    def render_for_encoding(
        self, row: Row, *, target: bool = False, drawn_for: object | None = None, withheld: bool = False
    ) -> Prompt:
        """As `render`, but without a target text if `encode_prepared` does not use it."""
        return self.render(row, target=target and self.target_is_text, drawn_for=drawn_for, withheld=withheld)

    def encode(self, row: Row, row_id: object = 0, *, target: bool = False, judged: bool = False) -> Example:
        """Encodes one row.

        Args:
            row: columns of the user.
            row_id: name of the row.
            target: add what the loss needs, and leave out what it does not need.
            judged: with `target`: keep everything that `decode` reads, so that one pass gives loss and prediction.

        Raises:
            DataError: a column is missing, or a cell can't be used.
            PromptError: a value contains syntax, or characters without a token.
        """
        rendered = [(row_id, row, self.render_for_encoding(row, target=target))]
        return self.encode_prepared(rendered, target=target, judged=judged)[0]

    def encode_prepared(
        self, rendered: Sequence[tuple[object, Row, Prompt]], *, target: bool, judged: bool = False
    ) -> list[Example]:
        """Encodes rows with their prompts together, which is faster than `encode` for each row.

        Args:
            rendered: name, columns and prompt of each row.
            target: as for `encode`.
            judged: as for `encode`.
        """
        limits = self.config.max_len
        how: dict[str, Any] = {"on_unknown": self.config.on_unknown}
        prompts = [prompt for _, _, prompt in rendered]
        encodings = self.tokenizer.encode_batch(prompts, max_len=limits.input, **how)
        targets: Sequence[Encoding | None] = [None] * len(prompts)
        if target and self.target_is_text and self.template.target is not None:
            targets = self.tokenizer.encode_batch([str(p.target) for p in prompts], max_len=limits.target, **how)
        if self.config.too_long == "refuse":
            for part, found in (("input", encodings), ("target", targets)):
                _refuse_cut(part, found)
        if self.probes is not None:
            pairs = zip(rendered, encodings, strict=True)
            return [self.probes.reader.example(row_id, row, encoding) for (row_id, row, _), encoding in pairs]
        examples = [
            self.example(row_id, row, encoding, text, target=target, judged=judged)
            for (row_id, row, _), encoding, text in zip(rendered, encodings, targets, strict=True)
        ]
        return [
            replace(example, target_is_cut=True) if text is not None and text.is_cut else example
            for example, text in zip(examples, targets, strict=True)
        ]

    @abstractmethod
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
        """Returns an encoded input with the positions that this kind reads and the labels that it expects there.

        Args:
            row_id: name of the row.
            row: columns of the user.
            encoding: the encoded input.
            target_text: the encoded target, for kinds with a target text.
            target: as for `encode`.
            judged: as for `encode`.
        """

    def changed(self, example: Example, epoch: int) -> Example:
        """Returns an encoded row as an epoch of training shows it; only for tasks with `changes_encoded`.

        Args:
            example: the row, encoded without target.
            epoch: number of the epoch.
        """
        return example

    # Examples -> Batch -> loss, predictions

    @property
    @abstractmethod
    def wants(self) -> tuple[str, ...]:
        """Heads that a batch of this task needs."""

    @property
    def candidates_V(self) -> np.ndarray | None:
        """Sorted ids of the tokens that the token head scores; None: all tokens."""
        return None

    def collate(self, examples: Sequence[Example]) -> Batch:
        """Makes one batch of examples of this task.

        Args:
            examples: encoded rows.
        """
        if self.probes is not None:
            return self.probes.reader.collate(examples)
        return collate(
            examples,
            mode=self.mode,
            wants=self.wants,
            pad_id=self.tokenizer.pad_id,
            start_id=self.tokenizer.decoder_start_id if self.mode == "decoder" else self.tokenizer.pad_id,
            candidates_V=self.candidates_V,
            task=self.name,
        )

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

    def state(self) -> dict[str, Any]:
        """Returns what was fitted, as plain values for `task.yaml` of a bundle; without the arrays of probes."""
        return self.fitted() | ({"probes": self.probes.state()} if self.probes is not None else {})

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

    def probe_columns(self, rows: Sequence[Row]) -> dict[str, ProbeTarget]:
        """Returns what probes learn for each target column; for kinds that `has_probes`.

        Args:
            rows: rows with their target columns.
        """
        raise NotImplementedError

    def check_probes(self) -> None:
        """Checks that classical models can answer this kind of task.

        Raises:
            TaskError: the kind predicts neither classes nor numbers.
        """
        if self.has_probes:
            return
        what = f"{self.name} is a {self.kind} task, and probes predict classes and numbers"
        raise TaskError(what, where="adapt=probe", hint="adapt=full, lora or head")

    # Judging

    @property
    def metric_names(self) -> list[str]:
        """Names of the metrics that are computed: the declared ones, and if numbers are learned as logarithms
        (`scale.log`), those on the logarithmic scale. In the unit of the file, the largest numbers decide the error.
        """
        of_logarithms = LOG_METRICS if self.config.scale.log and self.number_targets else ()
        return list(dict.fromkeys([*self.config.metrics, *of_logarithms]))

    def metrics(self, predictions: Sequence[Prediction], rows: Sequence[Row]) -> dict[str, float]:
        """Computes the metrics of the task over rows that have a prediction and a label.

        Args:
            predictions: one for each row.
            rows: rows with their target columns.

        Returns:
            Metric -> value. With several target columns, the mean over columns under the name of the metric, and
                `metric/column` for each; a column for which a metric is undefined is left out. `censored` is the number
                of labels that were left out because they are bounds, if there are any.
        """
        answers = self.answers(predictions, rows)
        return compute_metrics(self.metric_names, answers) | _censored(answers)

    def metric_intervals(
        self, predictions: Sequence[Prediction], rows: Sequence[Row], *, samples: int = 1000, seed: int = 0
    ) -> dict[str, tuple[float, float]]:
        """Computes 95 % bootstrap intervals of the metrics. Rows with equal inputs are resampled together.

        Args:
            predictions: one for each row.
            rows: rows with their target columns.
            samples: number of bootstrap samples.
            seed: of the bootstrap.

        Returns:
            Metric -> (low, high).
        """
        answers = over_distinct_inputs(self, self.answers(predictions, rows), rows)
        return intervals(self.metric_names, answers, samples=samples, seed=seed)

    @abstractmethod
    def answers(self, predictions: Sequence[Prediction], rows: Sequence[Row]) -> dict[str, Answers]:
        """Pairs truth and prediction for each target column, over rows that have both.

        Args:
            predictions: one for each row.
            rows: rows with their target columns.
        """

    def truths(self, rows: Sequence[Row]) -> np.ndarray:
        """Returns the labels of rows in the target columns, [N, K].

        Raises:
            TaskError: the kind has no such labels, because its targets are text.
        """
        raise TaskError(f"{self.name} is a {self.kind} task: its targets are text")

    # Helpers of the kinds

    def mask_positions(self, encoding: Encoding, wanted: int | None = None) -> np.ndarray:
        """Returns the positions of the `<MASK>` tokens, in order.

        Args:
            encoding: the encoded input.
            wanted: their number. Default: one for each target column.

        Raises:
            DataError: their number differs from the number of targets, because of truncation or the template.
        """
        found = np.flatnonzero(encoding.ids_L == self.tokenizer.mask_id)
        wanted = len(self.target_columns) if wanted is None else wanted
        if len(found) != wanted:
            raise DataError(f"truncation left {len(found)} <MASK> in the prompt for {wanted} targets")
        return found


def _refuse_cut(part: str, encodings: Sequence[Encoding | None]) -> None:
    for encoding in encodings:
        if encoding is not None and encoding.is_cut:
            what = f"the {part} has more tokens than its limit, which would leave {len(encoding)} of them"
            raise DataError(what, hint="too_long: cut reads them alone; {column:entity@N} allows N")


def _censored(answers: Mapping[str, Answers]) -> dict[str, float]:
    """Number of labels that are bounds, in total and by column."""
    counts = {f"censored/{column}": float(a.censored) for column, a in answers.items() if a.censored}
    if not counts:
        return {}
    return {"censored": sum(counts.values())} | (counts if len(answers) > 1 else {})
