"""The model card: what stands in a bundle's README.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from mammal.tasks import Task

INTENDED_USE = (
    "Research: ranking and triage of molecules and sequences like those it was trained on. "
    "Not for decisions about patients, and not a substitute for an experiment."
)
LIMITS = (
    "Predictions far from the training data are extrapolations. The figures below hold for their splits; "
    "other chemistry, other organisms and other assays can be worse."
)


@dataclass(frozen=True)
class Card:
    """What only the author of a model knows; the rest of the card is written from its tasks and figures.

    Attributes:
        name: title of the card.
        about: one paragraph.
        licence: SPDX name of the weights' licence, if they have one.
        data: data sets by name: where they come from, and under which licence.
        command: how it was trained.
    """

    name: str = ""
    about: str = ""
    licence: str = ""
    data: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    intended_use: str = INTENDED_USE
    limits: str = LIMITS


def render_card(card: Card, *, folder: str, tasks: Sequence[Task], metrics: Mapping[str, Any], parameters: int) -> str:
    """Markdown with the hub's front matter. `folder` stands in the example, `metrics` as in `metrics.json`."""
    parts = [
        _front_matter(card),
        f"# {card.name or folder}\n",
        card.about or f"A MAMMAL model with {parameters / 1e6:,.1f} million parameters.",
        _usage(folder, tasks),
        _tasks(tasks),
        _figures(metrics),
        _data(card),
        f"## Intended use\n\n{card.intended_use}\n\n## Limits\n\n{card.limits}\n",
        f"## Made by\n\n```\n{card.command}\n```\n" if card.command else "",
    ]
    return "\n".join(part for part in parts if part)


def _front_matter(card: Card) -> str:
    head: dict[str, Any] = {"library_name": "mammal", "tags": ["biology", "chemistry", "drug-discovery"]}
    if card.licence:
        head["license"] = card.licence.lower()
    return f"---\n{yaml.safe_dump(head, sort_keys=False)}---\n"


def _usage(folder: str, tasks: Sequence[Task]) -> str:
    lines = ["import mammal", f'model = mammal.load("{folder}")']
    if tasks:
        lines.append(
            'frame = model.predict("my_molecules.csv")' + ("" if len(tasks) == 1 else f'  # task="{tasks[0].name}"')
        )
    return "\n## Use\n\n```python\n" + "\n".join(lines) + "\n```\n"


def _tasks(tasks: Sequence[Task]) -> str:
    if not tasks:
        return ""
    lines = ["## Tasks\n", "| task | kind | columns it reads | prompt |", "|---|---|---|---|"]
    for task in tasks:
        columns = ", ".join(f"`{column}`" for column in task.template.columns("input"))
        prompt = task.template.input.replace("|", "\\|")
        lines.append(f"| {task.name} | {task.kind} | {columns} | `{prompt}` |")
    return "\n".join(lines) + "\n"


def _figures(metrics: Mapping[str, Any]) -> str:
    rows = list(_flat(metrics))
    if not rows:
        return ""
    lines = ["## Figures\n", "| figure | value |", "|---|---|"]
    return "\n".join(lines + [f"| {name} | {value} |" for name, value in rows]) + "\n"


def _flat(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    if isinstance(node, Mapping):
        for key, child in node.items():
            yield from _flat(child, (*path, str(key)))
    elif isinstance(node, Sequence) and not isinstance(node, str) and any(isinstance(child, Mapping) for child in node):
        for number, child in enumerate(node, start=1):
            yield from _flat(child, (*path, str(number)))
    elif node is not None and node != "":
        yield " · ".join(path), _text(node)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return (
            " to ".join(_text(item) for item in value) if len(value) == 2 else ", ".join(_text(item) for item in value)
        )
    return str(value).replace("|", "\\|")


def _data(card: Card) -> str:
    if not card.data:
        return ""
    return "## Data\n\n" + "\n".join(f"* **{name}**: {note}" for name, note in card.data.items()) + "\n"
