"""Tasks whose rows may hide stretches of their sequences, for the answer to fill (`mammal.tasks.infilling`)."""

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
    """What generation and denoising share.

    Attributes:
        filling: of the stretches that rows hide; nothing can be hidden where the task doesn't fill in.
        fill_places: each column of `fills` -> the column that names the places its texts hide.

    Raises:
        TaskError: it is to fill in, and reads nothing that could hide a part.
    """

    def __init__(self, config: TaskConfig, tokenizer: Tokenizer):
        super().__init__(config, tokenizer)
        self.filling = Filling(config, self.template, tokenizer)
        self.fill_places = self.filling.places
        self.beside = [*self.beside, *self.fill_places.values()]
        if self.asks_for_fills and not self.fills:
            what = "infill: true, and the input has no sequence that could hide a part"
            raise TaskError(what, where=f"task {config.name}", hint="a slot such as {sequence:protein}")

    @property
    def asks_for_fills(self) -> bool:
        """Whether rows have to hide something, as those do not that are corrupted in training."""
        return self.config.infill and self.config.kind == "generation"

    @property
    def fills(self) -> tuple[str, ...]:
        """Input columns whose hidden stretches answers fill in; none where the task doesn't fill in."""
        return self.filling.columns

    def render(
        self, row: Row, *, target: bool = False, drawn_for: object | None = None, withheld: bool = False
    ) -> Prompt:
        """As for every task; hidden stretches of the input become sentinels.

        Raises:
            DataError: the row hides nothing, and the target is what it hides.
        """
        if self.asks_for_fills and not self.filling.hides(row, self.aliases):
            raise DataError(nothing_hidden(self.fill_places))
        return self.filling.hide(super().render(row, target=target, drawn_for=drawn_for, withheld=withheld))

    def fill_lengths(self, row: Row) -> list[int]:
        """Number of tokens that each hidden stretch of a row has by its marks; empty if the row hides nothing."""
        return self.filling.lengths(row, self.aliases)

    def fill_grammar(self, *, prefix: str | None = None, scaffold: str | None = None) -> FillGrammar | None:
        """Which token of an answer that fills in may follow which; None where every token may.

        Raises:
            TaskError: a prefix or scaffold is given, which such an answer can't keep to.
        """
        if prefix is not None or scaffold is not None:
            what = f"{self.name} fills in what its rows hide, which begins with nothing and keeps to no scaffold"
            raise TaskError(what, hint="write what is to stay around the marks")
        return None if self.candidates_V is None else self.filling.grammar(self.candidates_V)

    def fill_start(self, grammar: FillGrammar, row: Row) -> FillState:
        """The state of the grammar before the first token of a row's answer."""
        marked = self.config.generation.fill_length == "marked"
        return grammar.start_of(self.filling.plan(self.render(row), self.fill_lengths(row) if marked else None))

    def fill_in(self, said: Prediction, ids: Sequence[int], row: Row) -> Prediction:
        """The prediction that `ids` made, with the whole texts that come of it; the row hides stretches.

        Where the task has no target column, its text is what was generated for the stretches, apart by `;`.
        """
        prompt = self.render(row)
        asked = self.filling.sentinels(prompt)
        fill_of = self._said_for(ids, asked)
        text = said.text if self.target_columns else ";".join(fill_of.get(name, "") for name in asked)
        completed = self.filling.completed(prompt, fill_of, partial(self._text, row))
        return replace(said, text=text, completed=completed, by_target=said.by_target or None)

    def invalid_fill_reason(self, ids: Sequence[int], row: Row) -> str | None:
        """Why an answer does not complete the molecules that a row hides parts of; None if it does."""
        if not self.filling.molecules or not self.fill_lengths(row):
            return None
        completed = self.fill_in(Prediction(0), ids, row).completed or {}
        wrong = (text for column, text in completed.items() if column in self.filling.molecules and not _is_whole(text))
        return next((f"{text} is no molecule" for text in wrong), None)

    @abstractmethod
    def _said_for(self, ids: Sequence[int], sentinels: Sequence[str]) -> dict[str, str]:
        """Sentinel -> the text behind it, for those of them that were generated."""

    def _text(self, row: Row, column: str) -> str:
        """A cell that hides stretches is written as it stands: what is left of a molecule can't be standardised."""
        hiding = self.filling.text(row, column, self.aliases)
        return super()._text(row, column) if hiding is None else hiding


def _is_whole(smiles: str) -> bool:
    return canonical_or_none(smiles) is not None
