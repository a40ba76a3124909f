"""Generation tasks: the target text is generated token by token; numbers in it are predicted by the scalar head.

Numbers of a target (`{y:scalar}`, see `mammal.tasks.targets.numbers`) are standardised by the training rows, as in
regression, and are returned in the file's unit.
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
from mammal.tasks.errors import TaskError
from mammal.tasks.grammar.build import TargetBuilder
from mammal.tasks.infilling.fill_grammar import FillGrammar
from mammal.tasks.infilling.marks import SENTINEL
from mammal.tasks.kinds.text_answers import TextAnswers
from mammal.tasks.metrics.answers import Answers
from mammal.tasks.metrics.registry import metric_named
from mammal.tasks.tables.cells import Row
from mammal.tasks.targets.losses import token_loss, value_loss
from mammal.tasks.targets.numbers import TargetNumbers
from mammal.tokenization.encoding import Encoding
from mammal.tokenization.prompt import find_tags, parse_prompt
from mammal.tokenization.value_slots import CHARACTERS

if TYPE_CHECKING:
    from mammal.tasks.grammar.grammar import Grammar, State
    from mammal.tasks.task import Task
    from mammal.tokenization.tokenizer import Tokenizer

EOS = "<EOS>"
"""Special token -> the character of the answer that it stands for."""


class GenerationTask(TextAnswers):
    """A task that generates text for a row: a molecule, a sequence, a name, digits.

    Only tasks of this class have methods that decode, constrain or check generated token ids. Use `generation_task` or
    `fills_in` to test for it.
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
        # Use every beam, because several may be the same molecule, which counts as one answer.
        self.ranks = beams if wanted > 1 else 1

    @property
    def wants(self) -> tuple[str, ...]:
        return ("logits", "values") if self.number_targets else ("logits",)

    def prepare_target(self, row: Row) -> dict[str, str]:
        texts = {column: self._text(row, column) for column in self.target_columns if column not in self.number_targets}
        return texts | (self.spoken.texts(row) if self.number_targets else {})

    @cached_property
    def candidates_V(self) -> np.ndarray | None:
        """Ids of the target's alphabets, its tags and `<EOS>`; None (all ids) if `generation.constraint` is none."""
        if self.config.generation.constraint == "none":
            return None
        asked = [slot for slot in self.template.slots if slot.part == "target"]
        tags = {EOS, *(tag.text for tag in find_tags(self._sample_target) if tag.text in self.tokenizer.specials)}
        if any(slot.as_tags for slot in asked):
            tags |= {tag for tag in CHARACTERS if tag in self.tokenizer.specials}
        if any(slot.kind == "scalar" for slot in asked):
            tags.add("<SCALAR>")
        return np.unique(np.concatenate([self._alphabet_ids(self._sample_target), self._special_ids(tags)]))

    def grammar(self, *, prefix: str | None = None, scaffold: str | None = None) -> Grammar | None:
        """Returns the grammar of answers (`mammal.tasks.grammar`); None if every token is allowed anywhere.

        Args:
            prefix: beginning of the first text of the answer.
            scaffold: a SMILES with attachment points `*` that the answer's first molecule must contain.

        Raises:
            TaskError: no answer can have this prefix or scaffold, or the target's slots can't be distinguished.
        """
        if self.fills:
            return self.fill_grammar(prefix=prefix, scaffold=scaffold)
        return None if self.template.target is None else self._target.grammar(prefix, scaffold)

    def grammar_start(self, grammar: Grammar, row: Row) -> State:
        """Returns the state of the task's grammar before the first token of a row's answer."""
        return self.fill_start(grammar, row) if isinstance(grammar, FillGrammar) else grammar.start()

    def invalid_reason(self, ids: Sequence[int], row: Row | None = None, *, scaffold: str | None = None) -> str | None:
        """Returns the reason why generated token ids are not a valid answer; None if they are valid or not checkable.

        Args:
            ids: token ids of the answer, up to and including `<EOS>`.
            row: the row that is answered. Without it, an answer that fills in a molecule is not checked.
            scaffold: a SMILES with attachment points `*` that the answer's molecule must contain.
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
        """Converts generated token ids to a prediction: text without tags, stripped, and numbers in the file's unit.

        With several target columns, the prediction has an answer for each. It is the part after the column's sentinel.
        If not every column has a sentinel of its own, texts and numbers are assigned in the order of the template. A
        number is None if it was not generated, or has no value because the model's decoder has no scalar head.

        Args:
            ids: generated token ids.
            row_id: name of the row.
            score: log-likelihood of the sequence (natural logarithm).
            values: value of each token, as the scalar head predicts it; NaN if there is none.
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
        """The ids before `<EOS>`; all ids if there is none."""
        every = list(map(int, ids))
        return every[: every.index(self.tokenizer.eos_id)] if self.tokenizer.eos_id in every else every

    def _said_for(self, ids: Sequence[int], sentinels: Sequence[str]) -> dict[str, str]:
        parts = self._parts(ids, {name: name for name in sentinels})
        return {name: "".join(self._chunks(ids[part])) for name, part in parts.items()}

    def _in_order(self, ids: Sequence[int]) -> list[str]:
        """The texts of a target in the order of the template; if all tags were generated, empty texts are included."""
        chunks, places = self._chunks(ids), self._text_places
        if len(chunks) == places[-1]:
            return [chunks[place].strip() for place in places[:-1]]
        return [chunk.strip() for chunk in chunks if chunk.strip()]

    @cached_property
    def _text_places(self) -> list[int]:
        """Indices of the chunks of a complete target that are texts, followed by the number of chunks."""
        ids_T = self.tokenizer.encode(self._sample_target, on_unknown="warn").ids_L
        chunks = self._chunks(self._before_end(ids_T.tolist()))
        return [*(place for place, chunk in enumerate(chunks) if chunk.strip()), len(chunks)]

    @cached_property
    def _sentinels(self) -> dict[str, str] | None:
        """Sentinel -> the target column after it; None if a column has no sentinel of its own."""
        prompt = self.template.render(self.template.samples, target=True)
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
        """Positions of each column's answer: from its sentinel (the first, if repeated) to the next sentinel."""
        tokens = [self.tokenizer.token(int(token_id)) for token_id in ids]
        starts = [place for place, token in enumerate(tokens) if token.startswith(SENTINEL)]
        parts: dict[str, slice] = {}
        for start, end in pairwise([*starts, len(tokens)]):
            if tokens[start] in sentinels:
                parts.setdefault(sentinels[tokens[start]], slice(start, end))
        return parts

    def _numbers(self, ids: Sequence[int], values: Sequence[float]) -> list[float]:
        """The values of `<SCALAR>` tokens, in order."""
        given = zip(ids, values, strict=False)
        return [value for token_id, value in given if token_id == self.tokenizer.scalar_id]

    def fit(self, rows: Sequence[Row]) -> None:
        """Fits mean and standard deviation of the target's numbers on training rows, unless declared."""
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

    def _chunks(self, ids: Sequence[int]) -> list[str]:
        """Texts of runs of regular tokens; a special token that is not a digit ends a run."""
        chunks = [b""]  # bytes, because a character of text may be divided over several tokens
        for token_id in map(int, ids):
            token = self.tokenizer.token(token_id)
            if token in CHARACTERS:
                chunks[-1] += CHARACTERS[token].encode()
            elif token in self.tokenizer.specials:
                chunks.append(b"")
            else:
                chunks[-1] += self.tokenizer.token_bytes(token_id)
        return [chunk.decode(errors="replace") for chunk in chunks]

    @cached_property
    def _sample_target(self) -> str:
        """The target in the syntax of the prompt language, with one-letter values."""
        return str(self.template.render(self.template.samples, target=True).target)

    def _alphabet_ids(self, wire: str) -> np.ndarray:
        alphabets = {segment.alphabet for segment in parse_prompt(wire)} & set(self.tokenizer.alphabets)
        return np.concatenate([self.tokenizer.alphabet_ids(a) for a in sorted(alphabets)])

    def _special_ids(self, tags: set[str]) -> np.ndarray:
        return np.array([self.tokenizer.special_id(tag) for tag in sorted(tags)], dtype=np.int64)


def generation_task(task: Task) -> GenerationTask:
    """Returns the same task, after checking that its answers are generated.

    Raises:
        TaskError: the task is of another kind.
    """
    if not isinstance(task, GenerationTask):
        what = f"{task.name} is a {task.kind} task: its answers are read, not generated"
        raise TaskError(what, hint="mammal predict")
    return task


def fills_in(task: Task | None) -> TypeGuard[GenerationTask]:
    """Whether the task's answers fill in hidden stretches of its rows."""
    return isinstance(task, GenerationTask) and bool(task.fills)
