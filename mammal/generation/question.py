"""The question that generates sequences for the rows of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mammal.decoding.random_numbers import Draw
from mammal.generation.fill_encoder import answer_encoder
from mammal.generation.seeds import own_seed
from mammal.generation.settings import resolve
from mammal.generation.shared_conditions import asked_of_all
from mammal.rows.answer_columns import AnswerColumn, Record, answer_columns, invalid_message
from mammal.rows.bare_prompts import PROMPT, BarePromptEncoder
from mammal.rows.batched import Encoder, Pace, Progress, Refused, Row
from mammal.rows.cut_rows import mark_cut
from mammal.rows.question import TaskQuestion
from mammal.rows.read_columns import ReadColumns
from mammal.rows.tables import Failed
from mammal.rows.task_choice import require_numbers

if TYPE_CHECKING:
    from mammal.generation.samples import Sample
    from mammal.model.model import MammalModel
    from mammal.tasks.kinds.generation import GenerationTask
    from mammal.tasks.task import Task
    from mammal.tokenization import Tokenizer


class Generate(TaskQuestion):
    """Generates `n` sequences for each row.

    The answers have the columns of the task (`mammal.rows.answer_columns`) and these: `sample` (number of the sequence,
    from 0), `normalised_score` (only beam search), `draws` (only if invalid sequences are sampled again), and the
    conditions that are the same for all rows.

    Args:
        model: the model.
        tokenizer: converts prompts to token ids and back.
        task: task that writes the prompt. None: rows are prompts, in the column `prompt`, and answers keep their tags.
        pace: how many rows are processed together.
        n: sequences for each row.
        settings: settings of decoding by name, see `mammal.generation.settings.Settings`.
        conditions: values of conditions of the task, the same for all rows.
        prefix: text before the names of the added columns.

    Raises:
        ConfigError: there is no such setting or condition, or settings contradict each other.
        TaskError: a setting does not fit the task, or the task generates nothing.
        DataError: the value of a condition is not a finite number.
    """

    task: GenerationTask | None

    def __init__(
        self,
        model: MammalModel,
        tokenizer: Tokenizer,
        task: Task | None,
        pace: Pace,
        *,
        n: int = 1,
        settings: Mapping[str, Any] | None = None,
        conditions: Mapping[str, Any] | None = None,
        prefix: str = "",
    ):
        from mammal.tasks.kinds.generation import generation_task

        answering = None if task is None else generation_task(task)
        if answering is not None:
            require_numbers(model, answering)
        asked = resolve(answering, tokenizer, n, settings or {})
        self.model, self.tokenizer, self.task, self.pace = model, tokenizer, asked.task, pace
        self.config, self.rules = asked.config, asked.rules
        self._guided = (settings or {}).get("guidance") is not None and self.config.guidance != 1
        self._redraws, self._seeds = asked.redraws, asked.seed_column
        self.conditions = asked_of_all(self.task, conditions or {})
        self.encoder = self._encoder()
        self.reading = self._reading()
        self._fields = None if self.task is None else answer_columns(self.task, prefix=prefix)
        text = [AnswerColumn(f"{prefix}text", "text"), AnswerColumn(f"{prefix}score", "number")]
        self.columns = [
            *(_column(f"{prefix}{name}", value) for name, value in self.conditions.items()),
            AnswerColumn(f"{prefix}sample", "integer"),
            *([AnswerColumn(f"{prefix}draws", "integer")] if self._redraws else []),
            *(text if self._fields is None else self._fields),
            *([AnswerColumn(f"{prefix}normalised_score", "number")] if self.config.num_beams > 1 else []),
        ]

    @property
    def sequences_of_row(self) -> int:
        """Number of sequences that are generated for a row, those of a consensus included."""
        return max(self.config.num_return_sequences, self.rules.consensus)

    def one_by_one(self) -> Generate:
        """Returns a copy of the question that generates one sequence per row.

        Empty rows then get the same sequences that a single empty row gets with a larger `n`.
        """
        single = copy(self)
        single.config = replace(self.config, num_return_sequences=1)
        return single

    def ask(
        self, rows: Sequence[Row], *, first: int = 0, progress: Progress | None = None
    ) -> list[list[Record] | Refused]:
        return self.ask_at(rows, range(first, first + len(rows)), progress=progress)

    def ask_at(
        self, rows: Sequence[Row], positions: Sequence[int], *, progress: Progress | None = None
    ) -> list[list[Record] | Refused]:
        """Answers rows as `ask` does, each as the row of its table that is at a given position.

        Args:
            rows: the rows.
            positions: position of each row in its table, from 0. Sampling depends on it.
            progress: function that is called with the number of rows that were just answered.
        """
        from mammal.generation.rows import generate_rows

        draws = [self._draw(row, position) for row, position in zip(rows, positions, strict=True)]
        answers: dict[int, list[Record] | Refused] = {}
        answers.update((i, given) for i, given in enumerate(draws) if isinstance(given, Refused))
        asked = [i for i in range(len(rows)) if i not in answers]
        if progress is not None and answers:
            progress(len(answers))
        full = [{**rows[i], **self.conditions} for i in asked]
        firsts = [draw for draw in draws if isinstance(draw, Draw)]
        cut: set[int] = set()
        how: dict[str, Any] = {"rules": self.rules, "firsts": firsts, "pace": self.pace, "progress": progress}
        made = generate_rows(self.model, self.encoder, full, self.config, cut=cut, **how)
        for place, (i, row, draw, given) in enumerate(zip(asked, full, firsts, made, strict=True)):
            if isinstance(given, Refused):
                answers[i] = given
            else:
                answers[i] = mark_cut(self._records(given, row, draw.copy), cut=place in cut)
        return [answers[i] for i in range(len(rows))]

    def _draw(self, row: Row, position: int) -> Draw | Refused:
        """Returns the key of the random numbers of a row, which depends on its seed, or else on its position.

        Empty rows count as copies of one row when they are sampled: many rows with one sequence each get the same
        sequences as one row with many. When sequences are searched, they are numbered from 0 in each row.
        """
        if self._seeds is not None:
            return own_seed(row, self._seeds)
        if self.config.do_sample and not self.reading.among(list(row)):
            return Draw(self.config.seed, 0, position * self.config.num_return_sequences)
        return Draw(self.config.seed, position)

    def _records(self, samples: Sequence[Sample], row: Row, first: int) -> list[Record]:
        """Returns a record for each requested sequence. Beam search can find fewer; the others are failed records."""
        wanted = self.config.num_return_sequences
        missing = range(len(samples), wanted)
        what = f"only {len(samples)} sequences are possible, or the beams are too few"
        if self.rules.identity is not None:
            what = f"only {len(samples)} different sequences were found, and {wanted} are wanted"
        return [
            *(self._record(sample, row, first + i) for i, sample in enumerate(samples)),
            *(Failed(self._known(first + i, None), what) for i in missing),
        ]

    def _record(self, sample: Sample, row: Row, number: int) -> Record:
        known = self._known(number, sample.draws)
        if sample.problem is not None:
            return Failed(known, invalid_message(sample.problem, sample.draws))
        score = [sample.normalised_score] if self.config.num_beams > 1 else []
        if self.task is None or self._fields is None:
            ids = [token for token in sample.ids if token != self.tokenizer.eos_id]
            return *known, self.tokenizer.decode(ids), sample.score, *score
        from mammal.generation.samples import sample_prediction

        said = sample_prediction(self.task, 0, sample, row)
        if said.error is not None:
            return Failed(known, said.error)
        return *known, *(read(said) for read in self._fields.values()), *score

    def _known(self, number: int, draws: int | None) -> Record:
        """Returns the first values of a record, which are known also for a failed one."""
        return *self.conditions.values(), number, *([draws] if self._redraws else [])

    def _encoder(self) -> Encoder:
        if self.task is None:
            return BarePromptEncoder(self.tokenizer)
        return answer_encoder(self.task, self.rules.grammar, self.config.max_new_tokens)

    def _reading(self) -> ReadColumns:
        """Returns the columns that are read from the user's rows, without conditions that are the same for all."""
        own = () if self._seeds is None else (self._seeds,)
        if self.task is None:
            return ReadColumns((PROMPT, *own))
        whole = ReadColumns.of_task(self.task)
        return replace(
            whole,
            names=[*(name for name in whole.names if name not in self.conditions), *own],
            beside=[name for name in whole.beside if name not in self.conditions],
            conditions={name: of for name, of in whole.conditions.items() if name not in self.conditions},
            steered=bool(self.conditions),
            guided=self._guided,
        )


def _column(name: str, value: Any) -> AnswerColumn:
    return AnswerColumn(name, "text" if isinstance(value, str) else "number")
