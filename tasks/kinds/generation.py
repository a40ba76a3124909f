"""Generation: the target text is produced token by token; numbers in it are read by the decoder's scalar head.

Numbers of a target (`{y:scalar}`, see `mammal.tasks.targets.numbers`) are standardised by the training rows, as a
regression's are, and come back in the file's unit.
Shapes: N rows, T target tokens, V scored tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np
from torch import Tensor

from mammal.tasks.batches.batch import Batch, ModelOutput
from mammal.tasks.batches.example import Example, Target
from mammal.tasks.batches.prediction import Prediction
from mammal.tasks.declaration.schema import TaskConfig
from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.grammar.build import TargetBuilder
from mammal.tasks.infilling.fill_grammar import FillGrammar
from mammal.tasks.infilling.marks import SENTINEL
from mammal.tasks.infilling.task_mixin import FillsIn
from mammal.tasks.metrics.answers import Answers, object_array
from mammal.tasks.metrics.registry import metric_named
from mammal.tasks.molecules.properties import PROPERTIES
from mammal.tasks.tables.cells import Row, cell, is_missing
from mammal.tasks.targets.losses import token_loss, value_loss
from mammal.tasks.targets.numbers import TargetNumbers
from mammal.tokenization.encoding import Encoding
from mammal.tokenization.prompt import find_tags, parse

if TYPE_CHECKING:
    from mammal.tasks.grammar.grammar import Grammar, State
    from mammal.tasks.task import Task
    from mammal.tokenization.tokenizer import Tokenizer

EOS = "<EOS>"
DIGITS = {f"<{character}>": character for character in "0123456789.+-"}
"""Special tokens that stand for a character of the answer."""


class GenerationTask(FillsIn):
    """Text for a row: a molecule, a sequence, a name, digits.

    Tasks of other kinds have none of the methods that read, steer or check generated token ids: callers ask
    `generation_task` or `fills_in` first.
    """

    target_is_text = True

    def __init__(self, config: TaskConfig, tokenizer: Tokenizer):
        super().__init__(config, tokenizer)
        self.spoken = TargetNumbers(config, self.template)
        wanted = max((metric_named(name).ranks for name in config.metrics), default=1)
        beams = config.generation.num_beams
        if wanted > max(1, beams):
            what = f"its metrics look at {wanted} answers, and generation.num_beams is {beams}"
            raise TaskError(what, where=f"task {config.name}", hint=f"num_beams: {wanted}, or other metrics")
        # Every beam, for several may spell the same molecule, which then counts as one answer.
        self.ranks = beams if wanted > 1 else 1

    @property
    def wants(self) -> tuple[str, ...]:
        return ("logits", "values") if self.number_targets else ("logits",)

    def prepare_target(self, row: Row) -> dict[str, str]:
        texts = {column: self._text(row, column) for column in self.target_columns if column not in self.number_targets}
        return texts | (self.spoken.texts(row) if self.number_targets else {})

    @cached_property
    def candidates_V(self) -> np.ndarray | None:
        """Tokens of the target's alphabets, its tags and `<EOS>`; None where `generation.constraint` is none."""
        if self.config.generation.constraint == "none":
            return None
        kinds = {slot.kind for slot in self.template.slots if slot.part == "target"}
        tags = {EOS, *(tag.text for tag in find_tags(self._sample_target) if tag.text in self.tokenizer.specials)}
        if kinds & {"digits", "label"}:
            tags |= {tag for tag in DIGITS if tag in self.tokenizer.specials}
        if "scalar" in kinds:
            tags.add("<SCALAR>")
        return np.unique(np.concatenate([self._alphabet_ids(self._sample_target), self._special_ids(tags)]))

    def grammar(self, *, prefix: str | None = None, scaffold: str | None = None) -> Grammar | None:
        """Which token of an answer may follow which (`mammal.tasks.grammar`).

        Args:
            prefix: what the first text of the answer begins with.
            scaffold: a SMILES with attachment points `*`, which the answer's first molecule keeps.

        Raises:
            TaskError: the answer can't keep to one of them, or its slots can't be told apart.
        """
        if self.fills:
            return self.fill_grammar(prefix=prefix, scaffold=scaffold)
        return None if self.template.target is None else self._target.grammar(prefix, scaffold)

    def grammar_start(self, grammar: Grammar, row: Row) -> State:
        """The state of the task's grammar before the first token of a row's answer."""
        return self.fill_start(grammar, row) if isinstance(grammar, FillGrammar) else grammar.start()

    def invalid_reason(self, ids: Sequence[int], row: Row | None = None, *, scaffold: str | None = None) -> str | None:
        """Why generated token ids are not a valid answer; None if they are valid, or if the answer can't be checked.

        Args:
            ids: token ids of the answer, up to and with `<EOS>`.
            row: the row that they answer. Without it, an answer that fills in a molecule is not checked.
            scaffold: a SMILES with attachment points `*` that the answer's molecule must keep.
        """
        if self.fills:
            return None if row is None else self.invalid_fill_reason(ids, row)
        return None if self.template.target is None else self._target.invalid_reason(ids, scaffold)

    @cached_property
    def _target(self) -> TargetBuilder:
        return TargetBuilder(self.template, self.tokenizer, self.config.labels, self.candidates_V)

    def example(
        self,
        row_id: object,
        row: Row,
        encoding: Encoding,
        target_text: Encoding | None,
        *,
        target: bool,
        judged: bool = False,
    ) -> Example:
        if target_text is None:
            return Example(row_id, encoding)
        ids_T = target_text.ids_L.astype(np.int64)
        asked = Target(ids_T, np.arange(len(ids_T)), ids_T)
        asked = self.spoken.carry(asked, target_text, row) if self.number_targets else asked
        return Example(row_id, encoding, targets=(asked,))

    def loss(self, output: ModelOutput, batch: Batch) -> Tensor:
        assert output.logits_DRV is not None and batch.labels_DR is not None, "a training batch holds labels"
        loss = token_loss(output.logits_DRV, batch.labels_DR, batch.candidates_V)
        if batch.label_values_DR is None or output.values_DR is None:
            return loss
        numbers = value_loss(output.values_DR, batch.label_values_DR, self.config.loss, batch.label_bounds_DR)
        return loss + self.config.number_weight * numbers

    def decode_generated(
        self,
        ids: Sequence[int],
        row_id: object,
        score: float | None = None,
        values: Sequence[float] | None = None,
    ) -> Prediction:
        """The prediction that generated token ids make: text without tags, stripped, and numbers in the file's unit.

        With several target columns also each column's own part: what stands behind its sentinel, or, where the template
        doesn't give each a sentinel, texts and numbers told out in the template's order. A number that was not
        generated, or has no value because the model's decoder has no scalar head, is None.
        """
        ids = self._before_end(ids)
        values = (values or ())[: len(ids)]
        chunks = [chunk for chunk in self._chunks(ids) if chunk.strip()]
        if len(self.target_columns) == 1:
            value = self.spoken.in_units(self.spoken.slots, self._numbers(ids, values)).get(self.target_columns[0])
            return Prediction(row_id, value=value, text="".join(chunks).strip(), score=score)
        texts = [column for column in self.target_columns if column not in self.number_targets]
        if self._sentinels is None:
            text_of = dict(zip(texts, self._in_order(ids), strict=False))
            value_of = self.spoken.in_units(self.spoken.slots, self._numbers(ids, values))
        else:
            parts = self._parts(ids, self._sentinels)
            text_of = {c: "".join(self._chunks(ids[part])).strip() for c, part in parts.items()}
            numbers = {c: self._numbers(ids[parts[c]], values[parts[c]]) for c in self.number_targets if c in parts}
            value_of = {k: v for c, said in numbers.items() for k, v in self.spoken.in_units([c], said).items()}
        said = {column: Prediction(row_id, text=text_of.get(column, ""), score=score) for column in texts}
        said |= {column: Prediction(row_id, value=value_of.get(column), score=score) for column in self.number_targets}
        return Prediction(row_id, text="".join(chunks).strip(), score=score, by_target=said)

    def _before_end(self, ids: Sequence[int]) -> list[int]:
        """The ids before `<EOS>`, all where there is none."""
        every = list(map(int, ids))
        return every[: every.index(self.tokenizer.eos_id)] if self.tokenizer.eos_id in every else every

    def _said_for(self, ids: Sequence[int], sentinels: Sequence[str]) -> dict[str, str]:
        parts = self._parts(ids, {name: name for name in sentinels})
        return {name: "".join(self._chunks(ids[part])) for name, part in parts.items()}

    def _in_order(self, ids: Sequence[int]) -> list[str]:
        """The texts of a target in its template's order; with all of its tags, an empty text keeps its place."""
        chunks, places = self._chunks(ids), self._text_places
        if len(chunks) == places[-1]:
            return [chunks[place].strip() for place in places[:-1]]
        return [chunk.strip() for chunk in chunks if chunk.strip()]

    @cached_property
    def _text_places(self) -> list[int]:
        """Which of the chunks of a whole target hold its texts, and last how many chunks there are."""
        ids_T = self.tokenizer.encode(self._sample_target, on_unknown="warn").ids_L
        chunks = self._chunks(self._before_end(ids_T.tolist()))
        return [*(place for place, chunk in enumerate(chunks) if chunk.strip()), len(chunks)]

    @cached_property
    def _sentinels(self) -> dict[str, str] | None:
        """Sentinel -> the target column behind it; None where some column has none of its own."""
        prompt = self.template.render(self._one_letter_values, target=True)
        found: dict[str, str] = {}
        behind = 0
        for slot in prompt.slots:
            if slot.part == "target":
                between = find_tags(str(prompt.target)[behind : slot.start])
                before = [tag.text for tag in between if tag.text.startswith(SENTINEL)]
                if not before or before[-1] in found:
                    return None
                found[before[-1]] = slot.column
                behind = slot.end
        return found

    def _parts(self, ids: Sequence[int], sentinels: Mapping[str, str]) -> dict[str, slice]:
        """Where each column's answer stands: from its sentinel, the first one where it is repeated, to the next."""
        tokens = [self.tokenizer.token(int(token_id)) for token_id in ids]
        starts = [place for place, token in enumerate(tokens) if token.startswith(SENTINEL)]
        parts: dict[str, slice] = {}
        for start, end in pairwise([*starts, len(tokens)]):
            if tokens[start] in sentinels:
                parts.setdefault(sentinels[tokens[start]], slice(start, end))
        return parts

    def _numbers(self, ids: Sequence[int], values: Sequence[float]) -> list[float]:
        """The values that `<SCALAR>` tokens carry, in order."""
        given = zip(ids, values, strict=False)
        return [value for token_id, value in given if token_id == self.tokenizer.scalar_id]

    def fit(self, rows: Sequence[Row]) -> None:
        """Mean and standard deviation of the target's numbers over the training rows, unless declared."""
        super().fit(rows)
        if self.number_targets:
            self.spoken.fit(rows)

    def state(self) -> dict[str, Any]:
        return super().state() | ({"scales": self.spoken.scales.state()} if self.number_targets else {})

    def load_state(self, state: Mapping[str, Any]) -> None:
        super().load_state(state)
        self.spoken.load_state(state.get("scales", {}))

    def answers(self, predictions: Sequence[Prediction], rows: Sequence[Row]) -> dict[str, Answers]:
        numbers = self.spoken.answers(predictions, rows) if self.number_targets else {}
        columns = self.target_columns
        return {c: numbers[c] if c in numbers else self._text_answers(c, predictions, rows) for c in columns}

    def _text_answers(self, column: str, predictions: Sequence[Prediction], rows: Sequence[Row]) -> Answers:
        pairs = []
        for n, (prediction, row) in enumerate(zip(predictions, rows, strict=True)):
            if prediction.error is None and not is_missing(cell(row, column, self.config.data.columns)):
                pairs.append((n, self._truth(row, column), prediction.for_target(column).text))
        kept = [(n, truth, answer) for n, truth, answer in pairs if answer is not None and truth is not None]
        numbers, truths, answered = zip(*kept, strict=True) if kept else ((), (), ())
        return Answers(
            np.array(truths, dtype=object),
            np.array(answered, dtype=object),
            rows_N=np.array(numbers, dtype=np.int64),
            ranked_N=_ranked([predictions[n] for n in numbers], column),
            asked_N=self._asked([rows[n] for n in numbers]),
            conditions=self._asked_properties(column, [rows[n] for n in numbers]),
            whole_N=self._whole([predictions[n] for n in numbers]),
        )

    def _whole(self, predictions: Sequence[Prediction]) -> np.ndarray | None:
        """The sequence that each answer completes, "" where it completes none; None without one that is filled in."""
        if len(self.fills) != 1:
            return None
        return object_array([(said.completed or {}).get(self.fills[0], "") for said in predictions])

    def _asked_properties(self, column: str, rows: Sequence[Row]) -> dict[str, np.ndarray] | None:
        """Property -> what each row asks of the molecule, NaN where it does not; None where no row could ask."""
        names = [name for name in self.steering.numbers if name in PROPERTIES]
        if column not in self.molecules or not names:
            return None
        asked = [self.steering.asked(row) for row in rows]
        return {name: np.array([row.get(name, np.nan) for row in asked], dtype=np.float64) for name in names}

    def _asked(self, rows: Sequence[Row]) -> np.ndarray | None:
        """SMILES of the one molecule that prompts read, None in rows where it can't be read; None without such."""
        read = [column for column in self.columns if column in self.molecules]
        return object_array([self._truth(row, read[0]) for row in rows]) if len(read) == 1 else None

    def _truth(self, row: Row, column: str) -> str | None:
        """A cell as text; None where it can't be read."""
        try:
            return self._text(row, column)
        except DataError:
            return None

    def _chunks(self, ids: Sequence[int]) -> list[str]:
        """Runs of regular tokens; every special token that is no digit ends a run."""
        chunks = [b""]  # bytes, as a character of text may lie in several tokens
        for token_id in map(int, ids):
            token = self.tokenizer.token(token_id)
            if token in DIGITS:
                chunks[-1] += DIGITS[token].encode()
            elif token in self.tokenizer.specials:
                chunks.append(b"")
            else:
                chunks[-1] += self.tokenizer.token_bytes(token_id)
        return [chunk.decode(errors="replace") for chunk in chunks]

    @cached_property
    def _sample_target(self) -> str:
        """The target's wire text with one-letter values."""
        return str(self.template.render(self._one_letter_values, target=True).target)

    @property
    def _one_letter_values(self) -> dict[str, str]:
        return {s.column: "0" if s.kind in ("scalar", "digits", "label") else "C" for s in self.template.slots}

    def _alphabet_ids(self, wire: str) -> np.ndarray:
        alphabets = {segment.alphabet for segment in parse(wire)} & set(self.tokenizer.alphabets)
        return np.concatenate([self.tokenizer.alphabet_ids(a) for a in sorted(alphabets)])

    def _special_ids(self, tags: set[str]) -> np.ndarray:
        return np.array([self.tokenizer.special_id(tag) for tag in sorted(tags)], dtype=np.int64)


def generation_task(task: Task) -> GenerationTask:
    """The same task, known to be one whose answers are generated.

    Raises:
        TaskError: its answers are read off the heads.
    """
    if not isinstance(task, GenerationTask):
        what = f"{task.name} is a {task.kind} task: its answers are read, not generated"
        raise TaskError(what, hint="mammal predict")
    return task


def fills_in(task: Task | None) -> TypeGuard[GenerationTask]:
    """Whether the task's answers fill in what its rows hide."""
    return isinstance(task, GenerationTask) and bool(task.fills)


def _ranked(predictions: Sequence[Prediction], column: str) -> np.ndarray | None:
    """The texts of each row, best first; None where no row has more than one."""
    if not any(prediction.runners_up for prediction in predictions):
        return None
    every = [(prediction, *prediction.runners_up) for prediction in predictions]
    return object_array([tuple(said.for_target(column).text or "" for said in row) for row in every])
