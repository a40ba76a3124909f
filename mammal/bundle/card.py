"""The model card: contents of the README.md of a bundle."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from mammal.tasks.metrics.undefined import UNDEFINED, estimate_text, is_estimate, undefined_note
from mammal.tasks.molecules.policy import policy_words

if TYPE_CHECKING:
    import pandas as pd

    from mammal.tasks import Task
    from mammal.tasks.pretraining.pretraining_rows import PretrainingRows

INTENDED_USE = (
    "Research: ranking and triage of molecules and sequences like those it was trained on. "
    "Not for decisions about patients, and not a substitute for an experiment."
)
LIMITS = (
    "Predictions far from the training data are extrapolations. Figures hold for the split they were measured on; "
    "with other chemistry, other organisms or other assays they can be worse."
)


_FIGURES = "## Figures\n"
_AFTER_FIGURES = ("## Training\n", "## Data\n", "## Intended use\n", "## Limits\n", "## Made by\n")
"""Headings that can follow the figures."""

TRAINING = "training"
"""Entry of `metrics.json` that says how the weights were trained. All other mappings belong to tasks."""

DISTANCE = "distance"
"""Entry of a part in `metrics.json`: errors by similarity to the training rows. The card leaves it out."""

_SHOWN_LOSSES = 10

_LOADED = re.compile(r'mammal\.load\("([^"]+)"\)')
"""Line of the example that opens the model."""


@dataclass(frozen=True)
class Card:
    """Facts that only the author of a model can state. The rest of the card is written from its tasks and results.

    Attributes:
        name: title of the card. Default: the name of the folder.
        about: one paragraph about the model.
        licence: SPDX name of the licence of the weights.
        data: for each data set, its origin and licence.
        training: one paragraph about the training.
        command: command that trained the model.
        intended_use: what the model may be used for.
        limits: where its predictions can't be trusted.
    """

    name: str = ""
    about: str = ""
    licence: str = ""
    data: Mapping[str, str] = field(default_factory=dict)
    training: str = ""
    command: str = ""
    intended_use: str = INTENDED_USE
    limits: str = LIMITS


def render_card(
    card: Card,
    *,
    folder: str,
    tasks: Sequence[Task],
    metrics: Mapping[str, Any],
    parameters: int,
    losses: pd.DataFrame | None = None,
    members: int = 0,
    pretraining: PretrainingRows | None = None,
) -> str:
    """Returns the model card as Markdown, with the front matter that the hub reads.

    Args:
        card: facts that the author states.
        folder: name of the bundle's folder, for the example.
        tasks: tasks of the bundle.
        metrics: contents of `metrics.json`.
        parameters: number of weights.
        losses: validation losses of the training: `step`, and a column for each task. Default: none.
        members: number of members of an ensemble of fine-tuned models. Default: 0, it is a single model.
        pretraining: filters of pretraining rows in the bundle. Default: none.
    """
    parts = [
        _front_matter(card),
        f"# {card.name or folder}\n",
        card.about or f"A MAMMAL model with {parameters / 1e6:,.1f} million parameters.",
        _usage(folder, tasks),
        _tasks(tasks),
        _ensemble(members),
        _figures(metrics),
        _training(card, metrics, losses),
        _data(card, tasks, pretraining),
        f"## Intended use\n\n{card.intended_use}\n\n## Limits\n\n{card.limits}\n",
        f"## Made by\n\n```\n{card.command}\n```\n" if card.command else "",
    ]
    return "\n".join(part for part in parts if part)


def with_figures(card: str, metrics: Mapping[str, Any]) -> str:
    """A written model card with other figures.

    Args:
        card: Markdown of the card; its own figures, if it has any, are replaced.
        metrics: contents of `metrics.json`.
    """
    before, heading, after = card.partition(_FIGURES)
    if not heading:
        places = [at for title in _AFTER_FIGURES if (at := card.find(title)) >= 0]
        at = min(places, default=len(card))
        return f"{card[:at]}{_figures(metrics)}\n{card[at:]}"
    at = after.find("\n## ")
    rest = after[at:] if at >= 0 else ""
    return f"{before}{_figures(metrics)}{rest}"


def with_address(card: str, address: str) -> str:
    """A written model card whose examples open the model at another address.

    Args:
        card: Markdown of the card.
        address: what `mammal.load` and `init=` get instead of the name of the folder.
    """
    named = _LOADED.search(card)
    if named is None:
        return card
    new = card.replace(named[0], f'mammal.load("{address}")')
    return new.replace(f" init={named[1]} ", f" init={address} ")


def _front_matter(card: Card) -> str:
    head: dict[str, Any] = {"library_name": "mammal", "tags": ["biology", "chemistry", "drug-discovery"]}
    if card.licence:
        head["license"] = card.licence.lower()
    return f"---\n{yaml.safe_dump(head, sort_keys=False)}---\n"


def _usage(folder: str, tasks: Sequence[Task]) -> str:
    code = ["import mammal", "", f'model = mammal.load("{folder}")']
    entity = _entity_of_base(tasks)
    if entity is not None:
        code.append(f'vectors = model.embed("my_table.csv", entity="{entity}")')
    elif tasks:
        named = "" if len(tasks) == 1 else f'  # task="{tasks[0].name}"'
        code.append(f'frame = model.predict("my_molecules.csv"){named}')
    parts = ["\n## Use\n", "```python", *code, "```"]
    if entity is not None:
        about = "Models for your own tasks can start from this encoder, also with few labels:"
        parts += ["", about, "", "```bash", f"mammal train init={folder} task=my_task adapt=probe output=my_run", "```"]
    return "\n".join(parts) + "\n"


def _entity_of_base(tasks: Sequence[Task]) -> str | None:
    """The first entity that a base model reads. None: the model isn't one; it has tasks with measured labels."""
    kinds = {task.family for task in tasks}
    if not kinds & {"denoising", "features"} or kinds - {"denoising", "features", "generation"}:
        return None
    slots = (slot for task in tasks for slot in task.template.slots)
    return next((slot.name for slot in slots if slot.kind == "entity"), None)


def _tasks(tasks: Sequence[Task]) -> str:
    if not tasks:
        return ""
    lines = ["## Tasks\n", "| task | kind | columns it reads | prompt |", "|---|---|---|---|"]
    for task in tasks:
        columns = ", ".join(" or ".join(f"`{column}`" for column in group) for group in task.needed)
        prompt = task.template.input.replace("|", "\\|")
        lines.append(f"| {task.name} | {task.kind} | {columns} | `{prompt}` |")
    return "\n".join([*lines, *_positives(tasks), *_policies(tasks), *_probes(tasks)]) + "\n"


def _policies(tasks: Sequence[Task]) -> list[str]:
    """How tasks change molecules, for those that declare steps."""
    own = {task.name: task.config.standardise for task in tasks if not isinstance(task.config.standardise, str)}
    lines = [f"* {name}: molecules are standardised: `{policy_words(how)}`" for name, how in own.items()]
    return ["", *lines] if lines else []


def _ensemble(members: int) -> str:
    if not members:
        return ""
    return (
        f"An ensemble of {members} fine-tuned members on one model answers these tasks. A prediction is the mean of "
        "the members: of their numbers, or of their probabilities.\n"
    )


def _positives(tasks: Sequence[Task]) -> list[str]:
    """Which label is the positive class of each task with two labels."""
    two = [task for task in tasks if task.family == "classification" and len(task.config.labels) == 2]
    lines = [f"* {task.name}: positive: `{task.config.labels[1]}`" for task in two]
    return ["", "`probability` is the probability of the positive class.", "", *lines] if lines else []


def _probes(tasks: Sequence[Task]) -> list[str]:
    """Which probe answers each target column, and the figures by which it was chosen."""
    lines = [
        f"* {task.name}{'' if len(task.target_columns) == 1 else f', {column}'}: {sentence}"
        for task in tasks
        if task.probes is not None
        for column, sentence in task.probes.summary().items()
    ]
    about = "These tasks are answered by classical models that read states of the frozen encoder:"
    return ["", about, "", *lines] if lines else []


def _figures(metrics: Mapping[str, Any]) -> str:
    """Returns a table for each task and part that was evaluated. Other entries of `metrics.json` become a list."""
    tables, rest = [], []
    for task, parts in metrics.items():
        if task == TRAINING:
            continue
        for part, facts in parts.items() if isinstance(parts, Mapping) else ():
            if isinstance(facts, Mapping) and any(isinstance(value, Mapping) for value in facts.values()):
                tables.append(_measured(f"{task}, {part}", facts))
                continue
            rest.append(f"* {task} · {part}: {_text(facts)}")
        if not isinstance(parts, Mapping):
            rest.append(f"* {task}: {_text(parts)}")
    if not tables and not rest:
        return ""
    return "\n".join([_FIGURES, *tables, *rest]) + "\n"


def _measured(title: str, facts: Mapping[str, Any]) -> str:
    contenders = {name: value for name, value in facts.items() if isinstance(value, Mapping)}
    others = {name: value for name, value in facts.items() if name not in contenders and name != DISTANCE}
    known = [f"{name} {_text(value)}" for name, value in others.items() if value not in (None, "")]
    names = list(dict.fromkeys(metric for figures in contenders.values() for metric in figures))
    lines = [
        f"### {title}\n",
        "; ".join(known) + "\n" if known else "",
        f"| | {' | '.join(names)} |",
        "|---" * len(names) + "|---|",
    ]
    for contender, figures in contenders.items():
        lines.append(f"| {contender} | " + " | ".join(_text(figures.get(name, "")) for name in names) + " |")
    undefined = [
        name for figures in contenders.values() for name, value in figures.items() if _text(value) == UNDEFINED
    ]
    note = undefined_note(undefined)
    return "\n".join(line for line in lines if line) + "\n" + (f"\n{note}\n" if note else "")


def _text(value: Any) -> str:
    """Returns a figure as readable text. Three numbers are a value with its interval; one without a value is named."""
    if isinstance(value, float):
        return f"{value:.3g}"
    if is_estimate(value):
        return estimate_text(value, _text)
    if isinstance(value, Mapping):
        return "; ".join(f"{name} {_text(item)}" for name, item in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(_text(item) for item in value)
    return str(value).replace("|", "\\|")


def _training(card: Card, metrics: Mapping[str, Any], losses: pd.DataFrame | None) -> str:
    facts = metrics.get(TRAINING) or {}
    listed = "\n".join(f"* {name.replace('_', ' ')}: {_whole(value)}" for name, value in facts.items())
    table = "" if losses is None else _losses(losses)
    parts = [part for part in (card.training, listed, table) if part]
    return "\n\n".join(["## Training", *parts]) + "\n" if parts else ""


def _whole(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else _text(value)


def _losses(losses: pd.DataFrame) -> str:
    """A table of at most `_SHOWN_LOSSES` validations, with the first and the last one."""
    last = len(losses) - 1
    shown = sorted({round(last * share / (_SHOWN_LOSSES - 1)) for share in range(_SHOWN_LOSSES)})
    lines = [f"| {' | '.join(losses.columns)} |", "|---" * len(losses.columns) + "|"]
    for _, row in losses.iloc[shown].iterrows():
        lines.append(f"| {int(row['step']):,} | " + " | ".join(f"{value:.3f}" for value in row.drop("step")) + " |")
    return "Loss on the validation rows:\n\n" + "\n".join(lines)


def _data(card: Card, tasks: Sequence[Task], pretraining: PretrainingRows | None) -> str:
    """The data sets, and what the bundle contains of their training rows."""
    listed = "\n".join(f"* **{name}**: {note}" for name, note in card.data.items())
    parts = [part for part in (listed, _training_rows(tasks), _pretraining_rows(pretraining)) if part]
    return "\n\n".join(["## Data", *parts]) + "\n" if parts else ""


def _training_rows(tasks: Sequence[Task]) -> str:
    kept = [(task.name, task.training_rows.kept.sentence) for task in tasks if task.training_rows is not None]
    if not kept:
        return ""
    about = "The bundle contains data of training rows (`training_rows.safetensors`), with which new rows are compared:"
    return "\n".join([about, "", *(f"* {name}: {sentence}." for name, sentence in kept)])


def _pretraining_rows(pretraining: PretrainingRows | None) -> str:
    if pretraining is None or not pretraining.filters:
        return ""
    return (
        "`pretraining_rows.safetensors` tells which rows the model, or the model that it was fine-tuned from, has seen "
        f"in pretraining: {pretraining.sentence}. Similar texts are not recognised."
    )
