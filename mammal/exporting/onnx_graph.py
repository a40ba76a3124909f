"""The graph that is exported to ONNX: the encoder, and the answers of tasks that read the encoder.

Shapes: B rows, L tokens, W model width, K target columns (one `<MASK>` each), C classes, V scored tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from mammal.exporting.parts import reads_values
from mammal.model.padded import PaddedEncoder
from mammal.tasks.kinds import ClassificationTask, RegressionTask
from mammal.tasks.targets.calibration import ClassCalibration
from mammal.tasks.targets.probability_curves import KEPT, ProbabilityCurve
from mammal.tasks.targets.scaling import LARGEST_EXPONENT, Scale

if TYPE_CHECKING:
    from mammal.model.model import MammalModel
    from mammal.tasks.task import Task

INPUTS = ("input_ids", "attention_mask")
VALUE_INPUTS = ("values", "has_value")
STATES = "last_hidden_state"

_TINY = 1e-12
"""As in `mammal.tasks.targets.calibration`: probabilities are kept this far from 0 and 1 before log-odds."""


class TaskAnswers(nn.Module):
    """The answers of a task in encoder mode, from the states at its `<MASK>` tokens.

    Attributes:
        output: name of the output.
        columns: K, number of target columns.
    """

    output: str
    columns: int

    def answers(self, states_BKW: Tensor) -> Tensor:
        """Answers for the states at the masks, float64, [B, K] or [B, K, C]."""
        raise NotImplementedError

    def forward(self, states_BLW: Tensor, masks_BL: Tensor) -> Tensor:
        """Answers of each row; NaN if the row does not have exactly K `<MASK>` tokens.

        Args:
            states_BLW: states of the encoder.
            masks_BL: where a `<MASK>` is, bool.
        """
        nth_BL = masks_BL.long().cumsum(1)
        wanted_K = torch.arange(1, self.columns + 1, device=nth_BL.device)
        chosen_BKL = masks_BL.unsqueeze(1) & (nth_BL.unsqueeze(1) == wanted_K[None, :, None])
        found = self.answers(chosen_BKL.to(states_BLW.dtype) @ states_BLW)
        complete_B = masks_BL.long().sum(1) == self.columns
        shape = (-1, *[1] * (found.dim() - 1))
        return torch.where(complete_B.view(shape), found, torch.full_like(found, float("nan")))


class ClassAnswers(TaskAnswers):
    """Probabilities of the classes, float64 [B, K, C], calibrated like those of `Mammal.predict`."""

    def __init__(self, model: MammalModel, task: ClassificationTask):
        super().__init__()
        self.output, self.columns = f"{task.name}_probabilities", len(task.target_columns)
        assert model.encoder_head is not None, "checked before"
        self.head, book, candidates_V = model.encoder_head, task.books[0], task.candidates_V
        self.calibrations = [task.calibrations.get(column) for column in task.target_columns]
        columns_C = (book.codes_CW if candidates_V is None else book.columns_CW)[:, 0]  # codes have one token here
        self.register_buffer("columns_C", _indices(columns_C))
        self.register_buffer("candidates_V", None if candidates_V is None else _indices(candidates_V))

    def answers(self, states_BKW: Tensor) -> Tensor:
        logits_BKV = self.head(states_BKW, self.candidates_V)
        logp_BKC = logits_BKV.log_softmax(-1).index_select(-1, self.columns_C).double()
        parts = [_calibrated(logp_BKC[:, k], found) for k, found in enumerate(self.calibrations)]
        return torch.stack(parts, dim=1)


class ValueAnswers(TaskAnswers):
    """Numbers in the unit of the task's file, float64 [B, K]."""

    def __init__(self, model: MammalModel, task: RegressionTask):
        super().__init__()
        self.output, self.columns = f"{task.name}_values", len(task.target_columns)
        self.head = model.scalar_head("encoder") if task.head is None else model.vector_heads[task.head]
        self.scales: list[Scale] = [task.scales[column] for column in task.target_columns]

    def answers(self, states_BKW: Tensor) -> Tensor:
        scaled_BK = self.head(states_BKW)[..., 0].double()
        return torch.stack([_in_unit(scaled_BK[:, k], scale) for k, scale in enumerate(self.scales)], dim=1)


class ExportedGraph(nn.Module):
    """The encoder with the answers of tasks.

    Args:
        model: the model, in float32.
        tasks: tasks in encoder mode whose heads the model has.
        mask_id: id of `<MASK>`.
        values: the graph also reads numbers that tokens carry.
    """

    def __init__(self, model: MammalModel, tasks: Sequence[Task], mask_id: int, *, values: bool):
        super().__init__()
        self.encoder = PaddedEncoder(model, values=values)
        self.tasks = nn.ModuleList(_answers(model, task) for task in tasks)
        self.mask_id, self.reads_values = mask_id, values
        self.eval()

    @property
    def inputs(self) -> list[str]:
        """Names of the inputs, in order."""
        return [*INPUTS, *(VALUE_INPUTS if self.reads_values else ())]

    @property
    def outputs(self) -> list[str]:
        """Names of the outputs, in order."""
        return [STATES, *(str(task.output) for task in self.tasks)]

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        values: Tensor | None = None,
        has_value: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """Computes all outputs.

        Args:
            input_ids: token ids, int64 [B, L].
            attention_mask: 1 for tokens, 0 for padding, int64 [B, L].
            values: numbers that tokens carry, float32 [B, L].
            has_value: which tokens carry a number, bool [B, L].
        """
        states_BLW = self.encoder(input_ids, attention_mask, values, has_value)
        masks_BL = (input_ids == self.mask_id) & (attention_mask != 0)
        return states_BLW, *(task(states_BLW, masks_BL) for task in self.tasks)


def describe_task(task: Task) -> dict[str, Any]:
    """Everything that a program needs to use the answers of a task, for `export.json`."""
    about: dict[str, Any] = {
        "kind": task.kind,
        "about": task.config.about,
        "prompt": task.config.prompt.input,
        "targets": list(task.target_columns),
        "max_len": task.config.max_len.input,
    }
    if isinstance(task, ClassificationTask):
        calibrations = task.calibrations
        return about | {
            "output": f"{task.name}_probabilities",
            "labels": list(task.labels.labels),
            "positive": task.labels.positive,
            "calibrated": {column: column in calibrations for column in task.target_columns},
            "threshold": {c: calibrations[c].threshold if c in calibrations else 0.5 for c in task.target_columns}
            if task.labels.positive is not None
            else None,
            "probability": task.config.probability,
        }
    assert isinstance(task, RegressionTask), "only these kinds read the encoder"
    return about | {
        "output": f"{task.name}_values",
        "unit": task.config.unit,
        "scaling": {column: {**task.scales[column].state(), "applied": True} for column in task.target_columns},
        "interval": {column: interval.state() for column, interval in task.conformal.items()},
    }


def why_not(task: Task, model: MammalModel, left_out: Sequence[str]) -> str | None:
    """Why the answers of a task can't be part of the graph; None if they can."""
    if task.mode != "encoder" or not isinstance(task, ClassificationTask | RegressionTask):
        head = "the decoder" if task.mode == "decoder" else "a head of its own"
        return f"it is a {task.kind} task in {task.mode} mode, and its answers need {head}, which is not exported"
    if task.probes is not None:
        return "a probe answers it, and the graph has only the answers of heads"
    if task.features:
        return "its prompts have vectors, which the graph does not read"
    needs = _needs(task, model)
    for part, why in needs.items():
        if part in left_out:
            return f"{why}, and leave_out has {part}"
    if isinstance(task, ClassificationTask) and model.encoder_head is None:
        return "the model has no token head on its encoder"
    if isinstance(task, RegressionTask) and task.head is not None and task.head not in model.vector_heads:
        return "the model lacks its own head"
    if isinstance(task, RegressionTask) and task.head is None and model.scalars_prediction_head is None:
        return "the model has no scalar head on its encoder"
    return None


def _needs(task: Task, model: MammalModel) -> Mapping[str, str]:
    """The parts of the model that the answers of a task need, with the reason."""
    head = "encoder_head" if isinstance(task, ClassificationTask) else "scalars_prediction_head"
    needs = {} if task.head_widths else {head: "its answers need that head"}
    if model.config.support_input_scalars and reads_values(task):
        needs["input_scalars"] = "its prompts have numbers"
    return needs


def _answers(model: MammalModel, task: Task) -> TaskAnswers:
    if isinstance(task, ClassificationTask):
        return ClassAnswers(model, task)
    assert isinstance(task, RegressionTask), "only these kinds read the encoder"
    return ValueAnswers(model, task)


def _indices(ids: np.ndarray) -> Tensor:
    return torch.from_numpy(ids.astype(np.int64))


def _calibrated(logp_BC: Tensor, calibration: ClassCalibration | None) -> Tensor:
    """`ClassCalibration.apply` for a batch, as operations of a graph."""
    if calibration is None:
        return logp_BC.exp()
    if logp_BC.shape[1] > 2:
        if calibration.class_weights:
            logp_BC = logp_BC - torch.tensor(calibration.class_weights, dtype=torch.float64).log()
        return torch.softmax(calibration.slope * logp_BC, dim=1)
    p_B = logp_BC[:, 1].exp().clamp(_TINY, 1 - _TINY)
    positive_B = torch.sigmoid(calibration.slope * (p_B.log() - (1 - p_B).log()) + calibration.shift)
    if calibration.curve is not None:
        positive_B = _on_curve(positive_B, calibration.curve)
    return torch.stack((1 - positive_B, positive_B), dim=1)


def _on_curve(probability_B: Tensor, curve: ProbabilityCurve) -> Tensor:
    """`ProbabilityCurve` for a batch, as operations of a graph."""
    points_K = torch.tensor(curve.points, dtype=torch.float64)
    values_K = torch.tensor(curve.values, dtype=torch.float64)
    last = len(curve.points) - 1
    from_B = ((probability_B.unsqueeze(1) >= points_K).long().sum(1) - 1).clamp(0, last)
    found_B = values_K[from_B]
    if curve.method == "isotonic":
        to_B = (from_B + 1).clamp(max=last)
        length_B = (points_K[to_B] - points_K[from_B]).clamp(min=_TINY)
        share_B = ((probability_B - points_K[from_B]) / length_B).clamp(0, 1)
        found_B = found_B + share_B * (values_K[to_B] - found_B)
    return (1 - KEPT) * found_B + KEPT * probability_B


def _in_unit(scaled_B: Tensor, scale: Scale) -> Tensor:
    """`Scale.invert` for a batch, as operations of a graph."""
    line_B = scaled_B * scale.std + scale.mean
    if not scale.log:
        return line_B
    return torch.exp(line_B.clamp(-LARGEST_EXPONENT, LARGEST_EXPONENT) * torch.log(torch.tensor(10.0).double()))
