"""Creation of a task of the declared kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mammal.tasks.kinds import KINDS

if TYPE_CHECKING:
    from mammal.tasks.declaration.schema import TaskConfig
    from mammal.tasks.task import Task
    from mammal.tokenization.tokenizer import Tokenizer


def build_task(config: TaskConfig, tokenizer: Tokenizer) -> Task:
    """Builds the task that a declaration describes.

    Args:
        config: the declaration, as `mammal.tasks.load_task` returns it.
        tokenizer: the tokenizer that encodes its prompts.

    Raises:
        TaskError: the declaration does not fit its kind or the tokenizer.
        PromptError: the template is malformed.
    """
    return KINDS[config.kind](config, tokenizer)
