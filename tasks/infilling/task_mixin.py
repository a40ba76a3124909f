"""Base class of tasks with infilling: rows may have hidden stretches, which the answer fills in."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from mammal.tasks.batches.prediction import Prediction
from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.infilling.fill_grammar import FillGrammar, FillState
from mammal.tasks.infilling.filling import Filling, nothing_hidden
from mammal.tasks.molecules.chemistry import canonical_or_none
from mammal.tasks.tables.cells import Row
from mammal.tasks.task import Task
from mammal.tokenization.prompt import Prompt

if TYPE_CHECKING:
    from mammal.tasks.declaration.schema import TaskConfig
    from mammal.tokenization.tokenizer import Tokenizer


class FillsIn(Task):
    """The infilling methods of generation and denoising tasks (`mammal.tasks.infilling`).

    Attributes:
        filling: hidden stretches of rows; has no columns for a task without infilling.
        fill_places: each column of `fills` -> the column with its hidden places.

    Raises:
        TaskError: infilling is declared, and no input column can have hidden stretches; or a consensus of samples is
            declared, and a column has molecules.
    """

    def __init__(self, config: TaskConfig, tokenizer: Tokenizer):
        super().__init__(config, tokenizer)
        self.filling = Filling(config, self.template, tokenizer)
        self.fill_places = self.filling.places
        self.beside = [*self.beside, *self.fill_places.values()]
        if self.asks_for_fills and not self.fills:
            what = "infill: true, and the input has no sequence that could hide a part"
            raise TaskError(what, where=f"task {config.name}", hint="a slot such as {sequence:protein}")
        if config.generation.consensus:
            self._check_consensus()

    def _check_consensus(self) -> None:
        where = f"task {self.name}: generation.consensus"
        if not self.fills:
            what = "a consensus is one of answers that fill in hidden parts, and the task fills in none"
            raise TaskError(what, where=where, hint="infill: true in the task, or consensus=0")
        if self.filling.molecules:
            column = min(self.filling.molecules)
            what = f"the commonest tokens of a molecule ({column}), each chosen alone, are rarely a molecule"
            raise TaskError(what, where=where, hint="consensus=0")

    @property
    def asks_for_fills(self) -> bool:
        """Whether every row must have a hidden stretch; not for denoising, where spans are hidden at random."""
        return self.config.infill and self.config.family == "generation"

    @property
    def fills(self) -> tuple[str, ...]:
        """Input columns with hidden stretches that answers fill in; empty for tasks without infilling."""
        return self.filling.columns

    def render(
        self, row: Row, *, target: bool = False, drawn_for: object | None = None, withheld: bool = False
    ) -> Prompt:
        """Writes the prompt of a row as `RowPrompts.render`; hidden stretches of the input become sentinels.

        Raises:
            DataError: the row has no hidden stretch, and the task needs one; or an error of `RowPrompts.render`.
        """
        if self.asks_for_fills and not self.filling.hides(row, self.aliases):
            raise DataError(nothing_hidden(self.fill_places))
        return self.filling.hide(super().render(row, target=target, drawn_for=drawn_for, withheld=withheld))

    def fill_lengths(self, row: Row) -> list[int]:
        """Number of tokens that each hidden stretch of a row has by its marks; empty if the row hides nothing."""
        return self.filling.lengths(row, self.aliases)

    def fill_grammar(self, *, prefix: str | None = None, scaffold: str | None = None) -> FillGrammar | None:
        """Returns the grammar of infilling answers; None if every token is allowed anywhere.

        Raises:
            TaskError: a prefix or scaffold is given, which is not possible for infilling.
        """
        if prefix is not None or scaffold is not None:
            what = f"{self.name} fills in what its rows hide, which begins with nothing and keeps to no scaffold"
            raise TaskError(what, hint="write what is to stay around the marks")
        return None if self.candidates_V is None else self.filling.grammar(self.candidates_V)

    def fill_start(self, grammar: FillGrammar, row: Row) -> FillState:
        """Returns the state of the grammar before the first token of a row's answer."""
        marked = self.config.generation.fill_length == "marked"
        return grammar.start_of(self.filling.plan(self.render(row), self.fill_lengths(row) if marked else None))

    def fill_in(self, said: Prediction, ids: Sequence[int], row: Row) -> Prediction:
        """Adds the completed texts to a prediction for a row with hidden stretches.

        Without a target column, the text of the prediction becomes the generated stretches, separated by `;`.

        Args:
            said: the prediction.
            ids: its token ids.
            row: the row.
        """
        prompt = self.render(row)
        asked = self.filling.sentinels(prompt)
        fill_of = self._said_for(ids, asked)
        text = said.text if self.target_columns else ";".join(fill_of.get(name, "") for name in asked)
        completed = self.filling.completed(prompt, fill_of, partial(self._text, row))
        return replace(said, text=text, completed=completed, by_target=said.by_target or None)

    def invalid_fill_reason(self, ids: Sequence[int], row: Row) -> str | None:
        """Returns the reason why an answer does not complete the row's molecules to valid ones; None if it does."""
        if not self.filling.molecules or not self.fill_lengths(row):
            return None
        completed = self.fill_in(Prediction(0), ids, row).completed or {}
        wrong = (text for column, text in completed.items() if column in self.filling.molecules and not _is_whole(text))
        return next((f"{text} is not a molecule" for text in wrong), None)

    @abstractmethod
    def _said_for(self, ids: Sequence[int], sentinels: Sequence[str]) -> dict[str, str]:
        """Sentinel -> the generated text after it, for the sentinels that were generated."""

    def _text(self, row: Row, column: str) -> str:
        """The text of a cell; a cell with hidden stretches is not standardised, as a partial molecule can't be."""
        hiding = self.filling.text(row, column, self.aliases)
        return super()._text(row, column) if hiding is None else hiding

    def changes(self, row: Row, column: str) -> str:
        """As that of every task; nothing is changed in a cell with hidden stretches.

        Args:
            row: columns of the user.
            column: column of the molecule.
        """
        return super().changes(row, column) if self.filling.text(row, column, self.aliases) is None else ""


def _is_whole(smiles: str) -> bool:
    return canonical_or_none(smiles) is not None
