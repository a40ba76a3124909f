"""Which columns a task's prompts name, and what they hold."""

from __future__ import annotations

from dataclasses import dataclass

from mammal.tasks.schema import TaskConfig
from mammal.tokenization.entities import ENTITIES
from mammal.tokenization.template import Template

SMILES = "SMILES"
SEQUENCES = ("AA", "DNA")
FEATURES_OF_MOLECULES = ("descriptors", "morgan")
"""Features whose column holds molecules; the others read sequences."""


@dataclass(frozen=True)
class PromptColumns:
    """Columns that a task's prompts name, by what they hold."""

    inputs: list[str]
    targets: list[str]
    molecules: list[str]
    sequences: list[str]

    @property
    def every(self) -> list[str]:
        return list(dict.fromkeys([*self.inputs, *self.targets]))


def equal_sides(template: Template) -> tuple[str, str] | None:
    """The two columns that are the same entity and all that a prompt reads, so that their order says nothing; None for
    other prompts.

    A third column may belong to one side alone, as a mutant does to its wild type: a swap then changes the question.
    """
    slots = [slot for slot in template.slots if slot.part == "input"]
    entities = {slot.column: slot.name for slot in slots if slot.kind == "entity"}
    if len(entities) != 2 or len(set(entities.values())) != 1 or len(template.columns("input")) != 2:
        return None
    first, second = entities
    return first, second


def prompt_columns(config: TaskConfig) -> PromptColumns:
    """Columns of a declaration. In raw templates molecules are those declared, and other input text is a sequence."""
    template = Template(config.prompt.input, config.prompt.target, raw=config.prompt.raw)
    declared = config.molecules
    molecules = list(declared or [])
    sequences: list[str] = []
    for slot in template.slots:
        alphabet = ENTITIES[slot.name].alphabet if slot.kind == "entity" else slot.name
        plain = slot.kind == "text" and slot.part == "input" and slot.column not in molecules
        if slot.kind == "feature":
            (molecules if slot.name in FEATURES_OF_MOLECULES else sequences).append(slot.column)
        elif slot.kind in ("entity", "alphabet") and alphabet == SMILES and declared is None:
            molecules.append(slot.column)
        elif plain or (slot.kind in ("entity", "alphabet") and alphabet in SEQUENCES):
            sequences.append(slot.column)
    return PromptColumns(
        inputs=template.columns("input"),
        targets=template.columns("target") if config.prompt.target is not None else [],
        molecules=list(dict.fromkeys(molecules)),
        sequences=list(dict.fromkeys(sequences)),
    )
