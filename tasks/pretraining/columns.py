"""Columns of a task whose texts are compared with the texts of a corpus."""

from __future__ import annotations

from mammal.tasks.declaration.schema import TaskConfig


def family_columns(config: TaskConfig) -> dict[str, list[str]]:
    """Returns the columns of the prompt and of the target that hold molecules, proteins and DNA.

    Args:
        config: declaration of the task.

    Returns:
        `molecule`, `protein` and `dna` -> columns.

    Raises:
        TaskError: the prompt can't show a declared view.
        PromptError: the template is malformed.
    """
    from mammal.tasks.prompts.columns import prompt_columns
    from mammal.tasks.sequences.residues import protein_columns
    from mammal.tasks.views.dna import dna_columns
    from mammal.tokenization.template import Template

    template = Template(config.prompt.input, config.prompt.target, raw=config.prompt.raw)
    molecules = prompt_columns(config).molecules
    return {"molecule": molecules, "protein": protein_columns(template), "dna": dna_columns(template)}
