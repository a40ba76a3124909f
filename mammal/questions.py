"""The four questions a table of rows can be asked: predict, embed, score, generate.

A question knows which columns it reads, which it gives, and how to answer rows; the Python API makes frames of the
answers, batch jobs make files of them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mammal.answers import Column, answer_columns
from mammal.choose import variant
from mammal.errors import ConfigError, TaskError, did_you_mean
from mammal.frames import Reading
from mammal.prompts import PROMPT, TARGET, PromptEncoder
from mammal.walk import Encoder, Pace, Progress, Refused, Row, TaskEncoder

if TYPE_CHECKING:
    from mammal.decoding import GenerationConfig
    from mammal.model.model import MammalModel
    from mammal.tasks.task import Task
    from mammal.tokenization import Tokenizer
    from mammal.verbs import Sample

Record = tuple[Any, ...]
"""Values of one row of the result, in the order of `Question.columns`."""


class Question(ABC):
    """Asked of rows.

    Attributes:
        task: whose prompt is written; None: rows are prompts.
        encoder: how rows become batches.
        reading: columns that are read.
        columns: columns that an answer fills.
        told: what a job's manifest records of it besides its task and options.
        helpers: what it asks the same model on its way.
    """

    helpers: Sequence[Question] = ()
    told: Mapping[str, Any] = MappingProxyType({})
    task: Task | None
    encoder: Encoder
    reading: Reading
    columns: Sequence[Column]

    @abstractmethod
    def ask(
        self, rows: Sequence[Row], *, part: int = 0, progress: Progress | None = None
    ) -> list[list[Record] | Refused]:
        """For each row its records (one, or several where sequences are generated), or why there is none.

        Args:
            part: number of this part of a longer table; makes random draws differ from part to part.
        """


class Predict(Question):
    """Labels, numbers or text, as the task says.

    Args:
        vocabulary: classification: probabilities among all tokens, as the published code gives them; uncalibrated.
        every_label: classification: also the probability of each label.
        prefix: put before the names of the columns.
    """

    task: Task

    def __init__(
        self,
        model: MammalModel,
        task: Task,
        pace: Pace,
        *,
        vocabulary: bool = False,
        every_label: bool = False,
        prefix: str = "",
    ):
        if vocabulary:
            task = variant(task, {"probability": "vocabulary"}, calibrated=False)
        self.model, self.task, self.pace = model, task, pace
        self.encoder = TaskEncoder(task)
        self.reading = replace(Reading.of_task(task), molecules=task.molecules)
        self._fields = answer_columns(task, prefix=prefix, every_label=every_label)
        self.columns = list(self._fields)

    def ask(
        self, rows: Sequence[Row], *, part: int = 0, progress: Progress | None = None
    ) -> list[list[Record] | Refused]:
        from mammal.verbs import predict_rows

        predictions = predict_rows(self.model, self.task, rows, encoder=self.encoder, pace=self.pace, progress=progress)
        reads = self._fields.values()
        return [
            Refused(said.error) if said.error is not None else [tuple(read(said) for read in reads)]
            for said in predictions
        ]


class Embed(Question):
    """Vectors of the encoder.

    Args:
        pooling: see `mammal.verbs.embed_rows`.
    """

    def __init__(self, model: MammalModel, task: Task, pace: Pace, *, pooling: str = "mean", prefix: str = ""):
        from mammal.verbs import POOLINGS

        if pooling not in POOLINGS:
            raise ConfigError(f"there is no pooling {pooling!r}", hint=did_you_mean(pooling, POOLINGS, noun="pooling"))
        self.model, self.task, self.pace, self.pooling = model, task, pace, pooling
        self.reading = Reading.of_task(task)
        self.encoder = TaskEncoder(task)
        self._tags = sorted(task.tokenizer.specials.values())
        self.columns = [Column(f"{prefix}embedding", "matrix" if pooling == "none" else "vector")]

    def ask(
        self, rows: Sequence[Row], *, part: int = 0, progress: Progress | None = None
    ) -> list[list[Record] | Refused]:
        from mammal.verbs import embed_rows

        vectors = embed_rows(
            self.model, self.encoder, rows, pooling=self.pooling, tags=self._tags, pace=self.pace, progress=progress
        )
        return [given if isinstance(given, Refused) else [(given,)] for given in vectors]


class Score(Question):
    """Log-likelihood of a target given an input: natural logarithm, summed over the target's tokens.

    Args:
        task: None: rows are prompts, in the columns `prompt` and `target`.
    """

    def __init__(self, model: MammalModel, tokenizer: Tokenizer, task: Task | None, pace: Pace, *, prefix: str = ""):
        if task is not None and "logits" not in task.wants:
            raise TaskError(f"{task.name} is a {task.kind} task: numbers have no likelihood", hint="use predict")
        self.model, self.task, self.pace = model, task, pace
        self.reading = Reading((PROMPT, TARGET)) if task is None else Reading.of_task(task, target=True)
        self.columns = [Column(f"{prefix}log_likelihood", "number")]
        self.encoder = PromptEncoder(tokenizer, target=True) if task is None else TaskEncoder(task, target=True)

    def ask(
        self, rows: Sequence[Row], *, part: int = 0, progress: Progress | None = None
    ) -> list[list[Record] | Refused]:
        from mammal.verbs import score_rows

        scores = score_rows(self.model, self.encoder, rows, pace=self.pace, progress=progress)
        return [given if isinstance(given, Refused) else [(given,)] for given in scores]


class Generate(Question):
    """Sequences, `n` for each row.

    Args:
        task: None: rows are prompts, in the column `prompt`; tags of the answer are then kept.
        settings: fields of `mammal.decoding.GenerationConfig` that differ from what the task declares.
    """

    def __init__(
        self,
        model: MammalModel,
        tokenizer: Tokenizer,
        task: Task | None,
        pace: Pace,
        *,
        n: int = 1,
        settings: Mapping[str, Any] | None = None,
        prefix: str = "",
    ):
        if task is not None and not task.target_is_text:
            raise TaskError(
                f"{task.name} is a {task.kind} task: its answers are read, not generated", hint="use predict"
            )
        self.model, self.tokenizer, self.task, self.pace = model, tokenizer, task, pace
        self.reading = Reading((PROMPT,)) if task is None else Reading.of_task(task)
        self.config = generation_config(task, tokenizer, n, settings or {})
        text = [Column(f"{prefix}text", "text"), Column(f"{prefix}score", "number")]
        self._fields = None if task is None else answer_columns(task, prefix=prefix)
        self.columns = [Column(f"{prefix}sample", "integer"), *(text if self._fields is None else self._fields)]
        self.encoder = PromptEncoder(tokenizer) if task is None else TaskEncoder(task)

    def ask(
        self, rows: Sequence[Row], *, part: int = 0, progress: Progress | None = None
    ) -> list[list[Record] | Refused]:
        from mammal.verbs import derived_seed, generate_rows

        config = replace(self.config, seed=derived_seed(self.config.seed, part))
        answers = generate_rows(self.model, self.encoder, rows, config, pace=self.pace, progress=progress)
        return [
            given if isinstance(given, Refused) else [(i, *self._record(sample)) for i, sample in enumerate(given)]
            for given in answers
        ]

    def _record(self, sample: Sample) -> Record:
        if self.task is None or self._fields is None:
            ids = [token for token in sample.ids if token != self.tokenizer.eos_id]
            return self.tokenizer.decode(ids), sample.score
        said = self.task.decode_generated(sample.ids, 0, sample.score, sample.values)
        return tuple(read(said) for read in self._fields.values())


def generation_config(task: Task | None, tokenizer: Tokenizer, n: int, settings: Mapping[str, Any]) -> GenerationConfig:
    """What the task declares, changed by the settings given (those that are None are not).

    Unless `do_sample` is given, several sequences a row, or a setting of draws, mean sampling.

    Raises:
        ConfigError: an unknown setting, or settings that contradict each other.
    """
    from dataclasses import fields

    from mammal.decoding import GenerationConfig
    from mammal.verbs import declared_generation

    given = {name: value for name, value in settings.items() if value is not None}
    valid = {field.name for field in fields(GenerationConfig)} - {"allowed_ids", "scalar_id", "num_return_sequences"}
    if unknown := sorted(set(given) - valid):
        raise ConfigError(f"unknown setting {unknown[0]!r}", hint=did_you_mean(unknown[0], valid, noun="setting"))
    if n < 1:
        raise ConfigError(f"n must be at least 1, not {n}")
    base = GenerationConfig(max_new_tokens=_PROMPT_TOKENS) if task is None else declared_generation(task)
    drawn = bool(given.keys() & {"temperature", "top_k", "top_p"}) or (
        n > 1 and given.get("num_beams", base.num_beams) == 1
    )
    if given.setdefault("do_sample", drawn or (base.do_sample and "num_beams" not in given)):
        given.setdefault("num_beams", 1)
    return replace(base, **given, num_return_sequences=n, scalar_id=tokenizer.specials.get("<SCALAR>"))


_PROMPT_TOKENS = 256
"""Most tokens that are generated for a bare prompt."""
