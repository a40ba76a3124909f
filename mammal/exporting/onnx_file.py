"""A model as an ONNX graph, and the comparison of what onnxruntime computes with the model."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mammal.errors import ConfigError
from mammal.exporting.check_rows import CheckRows, Differences
from mammal.exporting.onnx_graph import STATES, ExportedGraph, describe_task, why_not
from mammal.tasks.batches.example import Example
from mammal.tokenization.encoding import Encoding

if TYPE_CHECKING:
    from mammal.inference.api import Mammal
    from mammal.model.model import MammalModel
    from mammal.tasks.batches.prediction import Prediction
    from mammal.tasks.task import Task
    from mammal.tokenization import Tokenizer

FILE = "model.onnx"
OPSET = 20
PACKAGES = ("onnx", "onnxruntime", "onnxscript")

ONE_FILE = 2**30
"""Bytes of weights up to which they are in the file of the graph. A file of protobuf holds less than 2 GiB; larger
weights are in a second file, `model.onnx.data`."""

_DTYPES = {"input_ids": "int64", "attention_mask": "int64", "values": "float32", "has_value": "bool"}
_MEANINGS = {
    "input_ids": "token ids",
    "attention_mask": "1 for tokens, 0 for padding",
    "values": "number that a token carries (Encoding.values_L), 0 where there is none",
    "has_value": "whether a token carries a number (Encoding.has_value_L)",
}


def check_installed() -> None:
    """Checks that the packages of the extra `onnx` are installed.

    Raises:
        ConfigError: names the missing ones.
    """
    if missing := [name for name in PACKAGES if find_spec(name) is None]:
        hint = "pip install 'mammal[onnx]'"
        raise ConfigError(f"{', '.join(missing)} must be installed", where="format=onnx", hint=hint)


def choose_tasks(
    tasks: Mapping[str, Task], model: MammalModel, left_out: Sequence[str], *, named: bool
) -> tuple[list[Task], dict[str, str]]:
    """Divides tasks into those whose answers the graph has, and the others.

    Args:
        tasks: tasks by name.
        model: the model.
        left_out: parts of the model that are left out.
        named: the caller has named these tasks, so that none may be missing.

    Returns:
        The tasks of the graph; and the reason for each of the others, by name.

    Raises:
        ConfigError: a named task can't be part of the graph.
    """
    reasons = {name: why_not(task, model, left_out) for name, task in tasks.items()}
    refused = {name: reason for name, reason in reasons.items() if reason is not None}
    if named and refused:
        name, reason = next(iter(refused.items()))
        hint = "leave out task=, which exports the encoder and the tasks that read it"
        raise ConfigError(f"task {name!r} can't be exported: {reason}", where="format=onnx", hint=hint)
    return [task for name, task in tasks.items() if name not in refused], refused


def write_onnx(
    model: Mammal, network: MammalModel, folder: Path, tasks: Sequence[Task], *, values: bool
) -> tuple[dict[str, Any], Differences]:
    """Writes the graph, loads it with onnxruntime and compares its outputs with the model.

    Args:
        model: gives the tokenizer.
        network: the network that is exported.
        folder: an empty folder.
        tasks: tasks whose answers are outputs, from `choose_tasks`.
        values: the graph also reads numbers that tokens carry.

    Returns:
        The description of the files for `export.json`, and the differences.

    Raises:
        BundleError: an output has another shape.
    """
    graph = ExportedGraph(network, tasks, model.tokenizer.mask_id, values=values)
    _export(graph, model.tokenizer, folder / FILE)
    found = _compare(graph, network, model.tokenizer, tasks, folder / FILE)
    about = {
        "model": FILE,
        "opset": OPSET,
        "versions": {"torch": torch.__version__, **{name: version(name) for name in PACKAGES}},
        "inputs": [_input(name) for name in graph.inputs],
        "outputs": [_states(network), *(_output(task) for task in tasks)],
        "tasks": {task.name: describe_task(task) for task in tasks},
    }
    return about, found


def _export(graph: ExportedGraph, tokenizer: Tokenizer, file: Path) -> None:
    rows = CheckRows.make(tokenizer, values=graph.reads_values)
    batch, tokens = torch.export.Dim("batch"), torch.export.Dim("tokens")
    given = _fed(graph, rows)
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            graph,
            tuple(given.values()),
            dynamo=True,
            input_names=graph.inputs,
            output_names=graph.outputs,
            dynamic_shapes=tuple({0: batch, 1: tokens} for _ in given),
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None, "the dynamo exporter returns the program"
    for node in program.model.graph.all_nodes():  # file names and lines of this machine
        node.metadata_props.clear()
    size = sum(weight.numel() * weight.element_size() for weight in graph.parameters())
    program.save(file, external_data=size > ONE_FILE)


def _compare(
    graph: ExportedGraph, network: MammalModel, tokenizer: Tokenizer, tasks: Sequence[Task], file: Path
) -> Differences:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    found = Differences()

    def computed(rows: CheckRows, output: str) -> np.ndarray:
        fed = {name: tensor.numpy() for name, tensor in _fed(graph, rows).items()}
        answers: np.ndarray = session.run([output], fed)[0]
        return answers

    with torch.inference_mode():
        for rows in CheckRows.make(tokenizer, values=graph.reads_values).batches():
            ours = network(rows.batch()).hidden_BLW
            assert ours is not None, "the batch wants it"
            found.add(STATES, ours.numpy(), computed(rows, STATES))
        for task, output in zip(tasks, graph.outputs[1:], strict=True):
            masks = len(task.target_columns)
            for rows in CheckRows.make(tokenizer, values=graph.reads_values, masks=masks).batches():
                found.add(output, _answers(network, task, rows), computed(rows, output))
    return found


def _fed(graph: ExportedGraph, rows: CheckRows) -> dict[str, torch.Tensor]:
    every = (rows.ids_BL, rows.mask_BL.long(), rows.values_BL, rows.has_value_BL)
    return dict(zip(graph.inputs, every, strict=False))


def _answers(network: MammalModel, task: Task, rows: CheckRows) -> np.ndarray:
    """What the task answers to the rows with our model: [B, K] or [B, K, C]."""
    examples = []
    for number, row in enumerate(rows.alone()):
        ids_L, mask_L, values_L, has_value_L = (x[0].numpy() for x in row.encoder)
        encoding = Encoding(ids_L, values_L, has_value_L, mask_L)
        examples.append(Example(number, encoding, read_R=task.mask_positions(encoding)))
    batch = task.collate(examples)
    predictions = task.decode(network(batch), batch)
    return np.array([[_numbers(p.for_target(column)) for column in task.target_columns] for p in predictions])


def _numbers(prediction: Prediction) -> float | list[float]:
    if prediction.label is None:
        assert prediction.value is not None, "a regression answers a number"
        return prediction.value
    if prediction.probabilities is not None:
        return list(prediction.probabilities)
    assert prediction.probability is not None, "a classification answers a probability"
    return [1 - prediction.probability, prediction.probability]


def _input(name: str) -> dict[str, Any]:
    return {"name": name, "dtype": _DTYPES[name], "shape": ["batch", "tokens"], "meaning": _MEANINGS[name]}


def _states(network: MammalModel) -> dict[str, Any]:
    shape = ["batch", "tokens", network.config.d_model]
    meaning = "states of the encoder after the final norm, 0 on padding"
    return {"name": STATES, "dtype": "float32", "shape": shape, "meaning": meaning}


def _output(task: Task) -> dict[str, Any]:
    about = describe_task(task)
    shape = ["batch", len(task.target_columns), *([len(about["labels"])] if "labels" in about else [])]
    answers = "probability of each label, in the order of labels" if "labels" in about else "numbers in the task's unit"
    meaning = f"{answers}, for each target; NaN if a row does not have one <MASK> for each target"
    return {"name": about["output"], "dtype": "float64", "shape": shape, "task": task.name, "meaning": meaning}


@contextmanager
def _quiet() -> Iterator[None]:
    """Hides the exporter's warnings about operators of packages that are not used, and about names of axes."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
