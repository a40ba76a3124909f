"""Short descriptions of tasks, for lists of tasks and the page on data."""

from __future__ import annotations

import re

from mammal.tasks.declaration.schema import TaskConfig, unit_text
from mammal.tasks.prompts.columns import prompt_columns
from mammal.tokenization.entities import ENTITIES
from mammal.tokenization.template import Template

OTHER = "sequence"
MODALITIES = ("molecule", "protein", "DNA", "cell", "pair", "text", OTHER)
"""Kinds of input (of output, if no sequence is read); `pair`: two or more sequences; `text`: only text; `sequence`:
of an alphabet that `_OF_ALPHABET` does not have."""

_OF_ALPHABET = {"SMILES": "molecule", "IUPAC": "molecule", "AA": "protein", "DNA": "DNA"}
_OF_ALPHABET |= {"GENE": "cell", "CELL_ATTRIBUTES": "cell", "TEXT": "text"}
_RAW_SEGMENT = "<@TOKENIZER-TYPE="
_RAW_HOLE = re.compile(r"\{(\w+)\}")


def modality(config: TaskConfig) -> str:
    """Returns the modality of a task, one of `MODALITIES`."""
    read = _alphabets(config, "input") or _alphabets(config, "target")
    read = {column: alphabet for column, alphabet in read.items() if alphabet != "TEXT"} or read
    if len(read) > 1:
        return "pair"
    return _OF_ALPHABET.get(next(iter(read.values()), "AA"), OTHER)


def _alphabets(config: TaskConfig, part: str) -> dict[str, str]:
    """Column -> alphabet, for every sequence in the input or the target."""
    text = config.prompt.input if part == "input" else config.prompt.target or ""
    if config.prompt.raw:
        segments = [(re.split(r"\W", segment)[0], segment) for segment in text.split(_RAW_SEGMENT)[1:]]
        return {column: alphabet for alphabet, segment in segments for column in _RAW_HOLE.findall(segment)}
    slots = [slot for slot in Template(text).slots if slot.kind in ("entity", "alphabet")]
    return {slot.column: ENTITIES[slot.name].alphabet if slot.kind == "entity" else slot.name for slot in slots}


def what_is_predicted(config: TaskConfig) -> str:
    """Returns what a task predicts: `yes or no`, `11 classes`, `27 labels`, `3 classes for each token`, `number, K`,
    `text` or `hidden spans`, or the names of features."""
    targets = len(prompt_columns(config).targets)
    if config.family == "classification":
        if targets > 1:
            return f"{targets} labels"
        return "yes or no" if len(config.labels) == 2 else f"{len(config.labels)} classes"
    if config.family == "token_classification":
        return f"{len(config.labels)} classes for each {' or '.join(config.labels_at or ['token'])}"
    if config.family == "regression":
        numbers = "number" if targets == 1 else f"{targets} numbers"
        unit = unit_text(config.unit)
        return f"{numbers}, {unit}" if unit else numbers
    if config.family == "features":
        slots = [slot for slot in Template(config.prompt.input, config.prompt.target).slots if slot.part == "target"]
        return ", ".join(slot.name for slot in slots)
    return "text" if config.family == "generation" else "hidden spans"


def source(config: TaskConfig) -> str:
    """Returns the origin of a task's rows: the source, and the set or file."""
    data = config.data
    named = data.name or data.path or ("files by part" if data.files else "")
    return f"{data.source} {named}".strip()


def measure(config: TaskConfig) -> str:
    """Returns the main metric of a task, the first one."""
    return config.metrics[0] if config.metrics else "loss"


def published(config: TaskConfig) -> str:
    """Returns the published figure, with its metric if that is not the task's main metric; a dash if there is none."""
    paper = config.published
    if paper.figure is None:
        return "–"
    return f"{paper.figure:g}" if paper.metric == measure(config) else f"{paper.metric} {paper.figure:g}"
