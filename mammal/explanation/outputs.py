"""The number that is explained: the prediction of a regression, or the log-odds of a label before calibration.

A regression is explained in the unit of its file. With `scale.log` it is explained in decimal logarithms of that unit,
because only there the attributions can be added. Log-odds are log(p / (1 - p)), natural logarithm, of the positive one
of two labels, of the predicted one of more labels, or of a label that is requested.

Shapes: E rows, K target columns, C classes, M members of an ensemble, X classes that a probe knows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from mammal.errors import ConfigError, TaskError, did_you_mean

if TYPE_CHECKING:
    from mammal.tasks.batches.batch import ModelOutput
    from mammal.tasks.kinds.classification import ClassificationTask
    from mammal.tasks.kinds.regression import RegressionTask
    from mammal.tasks.task import Task


class Explained(ABC):
    """One output of a task.

    Attributes:
        target: the target column.
        factor: how much a step of 1 in the scale of the model is in the unit of the explanation.
        offset: what 0 in the scale of the model is in that unit.
        place: position of the target column among those whose decoder rows are separate, and the number of these.
    """

    factor = 1.0
    offset = 0.0
    place = (0, 1)

    def __init__(self, task: Task, target: str):
        self.task, self.target = task, target
        self._number = list(task.target_columns).index(target)

    @abstractmethod
    def choices(self, output: ModelOutput, rows: int) -> Tensor:
        """Returns which output of each row is explained, int64 [E]: the class of a classification, else 0.

        Args:
            output: output of the model for the rows themselves.
            rows: E, number of encoder rows.
        """

    @abstractmethod
    def scores(self, output: ModelOutput, choices_E: Tensor) -> Tensor:
        """Returns the output that is explained, float [E], in the scale of the model, with gradients.

        Args:
            output: output of the model for the rows or for changed copies of them.
            choices_E: what `choices` returned for them.
        """

    @abstractmethod
    def name(self, choice: int) -> str:
        """Returns what the number is, such as `melting_point (K)` or `log-odds of toxic`.

        Args:
            choice: which output is explained.
        """


class ExplainedNumber(Explained):
    """The number that a regression predicts."""

    task: RegressionTask

    def __init__(self, task: RegressionTask, target: str):
        super().__init__(task, target)
        scale = task.scales[target]
        self.factor, self.offset, self._log = scale.std, scale.mean, scale.log

    def choices(self, output: ModelOutput, rows: int) -> Tensor:
        one = output.members[0] if output.members else output
        states = one.pooled_BSW if one.values_DR is None else one.values_DR
        assert states is not None, "regression wants values, or pooled states for a probe"
        return torch.zeros(rows, dtype=torch.int64, device=states.device)

    def scores(self, output: ModelOutput, choices_E: Tensor) -> Tensor:
        if self.task.probes is not None:
            return self.task.probes.tensor_scores(output, self.target)[..., 0].mean(dim=1)
        members_ME = [self._value(one) for one in output.members or (output,)]
        return torch.stack(members_ME).mean(dim=0)

    def _value(self, output: ModelOutput) -> Tensor:
        """The number by the scalar head of one model, float32 [E]."""
        assert output.values_DR is not None, "regression wants values"
        return output.values_DR[:, self._number].float()

    def name(self, choice: int) -> str:
        unit = self.task.config.unit
        own = unit.get(self.target) if isinstance(unit, Mapping) else unit
        start = f"decimal logarithm of {self.target}" if self._log else self.target
        return f"{start} ({own})" if own else start


class ExplainedLabel(Explained):
    """The log-odds of a label of a classification.

    Args:
        task: the task.
        target: the target column.
        label: the label; None: the positive one of two labels, else the predicted one.
    """

    task: ClassificationTask

    def __init__(self, task: ClassificationTask, target: str, label: str | None = None):
        super().__init__(task, target)
        labels = task.labels.labels
        if label is not None and label not in labels:
            hint = did_you_mean(label, labels, noun="label")
            raise ConfigError(f"{task.name} has no label {label!r}", where="label", hint=hint)
        self._class = labels.index(label) if label is not None else 1 if len(labels) == 2 else None
        if task.mode == "decoder" and task.probes is None:
            self.place = self._number, len(task.target_columns)

    def choices(self, output: ModelOutput, rows: int) -> Tensor:
        logp_EC = self._class_scores(output, rows)
        if self._class is None:
            return logp_EC.argmax(dim=1)
        return torch.full((rows,), self._class, dtype=torch.int64, device=logp_EC.device)

    def scores(self, output: ModelOutput, choices_E: Tensor) -> Tensor:
        logp_EC = self._class_scores(output, len(choices_E))
        chosen_E1 = choices_E.unsqueeze(1)
        others_EC = logp_EC.scatter(1, chosen_E1, float("-inf"))
        return logp_EC.gather(1, chosen_E1).squeeze(1) - others_EC.logsumexp(dim=1)

    def name(self, choice: int) -> str:
        label = f"log-odds of {self.task.labels.labels[choice]}"
        return label if len(self.task.target_columns) == 1 else f"{self.target}: {label}"

    def _class_scores(self, output: ModelOutput, rows: int) -> Tensor:
        """Scores of the classes whose softmax are their probabilities, float [E, C]."""
        if self.task.probes is not None:
            return self._probe_scores(output, rows)
        members_MEC = [self._head_scores(one, rows) for one in output.members or (output,)]
        if len(members_MEC) == 1:
            return members_MEC[0]
        return torch.stack(members_MEC).logsumexp(dim=0)  # the mean of their probabilities, but for a constant

    def _head_scores(self, output: ModelOutput, rows: int) -> Tensor:
        """Log-probabilities of the classes by the token head of one model, float [E, C]."""
        assert output.logits_DRV is not None, "classification wants logits"
        logp_EKC = self.task.log_probabilities(output.logits_DRV, rows)
        return logp_EKC[:, 0 if self.place[1] > 1 else self._number]

    def _probe_scores(self, output: ModelOutput, rows: int) -> Tensor:
        probes = self.task.probes
        assert probes is not None, "the task has a probe"
        members_EMX = probes.tensor_scores(output, self.target).log_softmax(dim=2)
        scores_EX = members_EMX.logsumexp(dim=1)  # the mean of the members' probabilities, but for a constant
        known = list(probes.probes[self.target].classes)
        if self._class is not None and self._class not in known:
            label = self.task.labels.labels[self._class]
            raise TaskError(f"the probe of {self.task.name} saw no training row with the label {label!r}")
        scores_EC = scores_EX.new_full((rows, len(self.task.labels)), float("-inf"))
        return scores_EC.index_copy(1, torch.tensor(known, device=scores_EX.device), scores_EX)


def explained_output(task: Task, target: str | None = None, label: str | None = None) -> Explained:
    """Returns the output of a task that is explained.

    Args:
        task: the task.
        target: the target column. None: the only one.
        label: classification: the label whose log-odds are explained. None: the positive one of two labels, the
            predicted one of more.

    Raises:
        TaskError: the task predicts neither numbers nor labels of rows; it has several targets and none is named, or
            its probe reads features of whole molecules or DNA sequences.
        ConfigError: there is no such target or label, or a regression has no label.
    """
    from mammal.tasks.kinds.classification import ClassificationTask
    from mammal.tasks.kinds.regression import RegressionTask

    if not isinstance(task, ClassificationTask | RegressionTask):
        what = f"{task.name} is a {task.kind} task, and explain explains one number or label of a row"
        raise TaskError(what, hint="task= a classification or a regression")
    if task.probes is not None and task.probes.reader.features:
        what = f"the probe of {task.name} also reads {task.probes.reader.feature_names}"
        raise TaskError(f"{what}, which can't be divided among its parts", hint="train it with adapt.features=[]")
    target = _target(task, target)
    if isinstance(task, ClassificationTask):
        return ExplainedLabel(task, target, label)
    if label is not None:
        raise ConfigError(f"{task.name} is a regression and has no labels", where="label", hint="leave label out")
    return ExplainedNumber(task, target)


def _target(task: Task, target: str | None) -> str:
    known = list(task.target_columns)
    if target is None:
        if len(known) > 1:
            raise TaskError(f"{task.name} has {len(known)} targets", hint="target= one of " + ", ".join(known))
        return known[0]
    if target not in known:
        hint = did_you_mean(target, known, noun="target")
        raise ConfigError(f"{task.name} has no target {target!r}", where="target", hint=hint)
    return target
