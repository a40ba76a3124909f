"""Questions that a model answers for rows: predict, embed and score (see `mammal.generation.question` for generate).

A question lists the columns that it reads and those of its answers, and answers rows. The Python API makes data frames
of the answers, batch jobs write them to files.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mammal.errors import ConfigError, TaskError, did_you_mean
from mammal.inference.dropout_spread import check_mc_dropout
from mammal.rows.answer_columns import AnswerColumn, Record, answer_columns, invalid_message
from mammal.rows.applicability_columns import applicability_columns, check_nearest
from mammal.rows.bare_prompts import PROMPT, TARGET, BarePromptEncoder
from mammal.rows.batched import Pace, Progress, Refused, Row, TaskEncoder
from mammal.rows.cut_rows import mark_cut
from mammal.rows.question import EncodedAsGiven, UsedModel
from mammal.rows.read_columns import ReadColumns
from mammal.rows.standardised_columns import check_standardised, standardised_cells, standardised_columns
from mammal.rows.task_choice import changed_task, require_numbers

if TYPE_CHECKING:
    import numpy as np

    from mammal.model.model import MammalModel
    from mammal.tasks.batches.prediction import Prediction
    from mammal.tasks.task import Task
    from mammal.tokenization import Tokenizer


class Predict(EncodedAsGiven):
    """Predicts the label, the number or the text that is the target of the task.

    Args:
        model: the model.
        task: the task.
        pace: how many rows are processed together.
        vocabulary: classification: return uncalibrated probabilities among all tokens, as the published code does.
        every_label: classification: also return the probability of each label.
        applicability: also return how near each row is to the training rows, if the bundle keeps any of the task.
        nearest: number of the nearest training rows to return; 0: none.
        standardised: also return the text that the model reads of each molecule, and what standardisation changed.
        mc_dropout: number of passes with dropout, whose standard deviation is returned; 0: none.
        prefix: text before the names of the added columns.

    Raises:
        ConfigError: the target is a number, and the decoder of the model can't predict numbers; or `nearest` or
            `mc_dropout` is not possible with this bundle; or `standardised` is requested of a task without molecules.
        TaskError: `mc_dropout` is not possible with this task.
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
        applicability: bool = True,
        nearest: int = 0,
        standardised: bool = False,
        mc_dropout: int = 0,
        prefix: str = "",
    ):
        require_numbers(model, task)
        check_mc_dropout(model, task, mc_dropout)
        check_nearest(task, nearest, applicability=applicability)
        if standardised:
            check_standardised(task)
        if vocabulary:
            task = changed_task(task, {"probability": "vocabulary"}, calibrated=False)
        self.model, self.task, self.pace = model, task, pace
        self.near, self.nearest, self.mc_dropout = applicability or task.uses_similarity, nearest, mc_dropout
        self.encoder = _read_for_answers(task, near=self.near)
        self.reading = replace(ReadColumns.of_task(task), molecules=task.molecules)
        shown = applicability_columns(task, prefix=prefix, nearest=nearest) if applicability else {}
        answers = answer_columns(task, prefix=prefix, every_label=every_label, mc_dropout=mc_dropout > 0)
        self._fields = answers | shown
        self.columns = [*self._fields, *(standardised_columns(task, prefix) if standardised else ())]
        self._standardised = standardised

    def ask(
        self, rows: Sequence[Row], *, first: int = 0, progress: Progress | None = None
    ) -> list[list[Record] | Refused]:
        from mammal.inference.predict import predict_rows

        cut: set[int] = set()
        how: dict[str, Any] = {"encoder": self.encoder, "pace": self.pace, "progress": progress, "cut": cut}
        how |= {"near": self.near, "nearest": self.nearest, "mc_dropout": self.mc_dropout}
        return self.records(predict_rows(self.model, self.task, rows, **how), cut, rows)

    def records(
        self, predictions: Sequence[Prediction], cut: Collection[int], rows: Sequence[Row]
    ) -> list[list[Record] | Refused]:
        """Returns the answer to each row as values of the columns.

        Args:
            predictions: one for each row.
            cut: positions of rows of which the model has read a part only.
            rows: the rows.
        """
        problems = [_problem(said) for said in predictions]
        return [
            mark_cut([self._record(said, rows[place])], cut=place in cut) if problem is None else Refused(problem)
            for place, (said, problem) in enumerate(zip(predictions, problems, strict=True))
        ]

    def _record(self, said: Prediction, row: Row) -> Record:
        own = tuple(read(said) for read in self._fields.values())
        return own + standardised_cells(self.task, row) if self._standardised else own


def _read_for_answers(task: Task, *, near: bool) -> TaskEncoder:
    """Returns the encoder of a task. If the task fills in hidden parts, rows without a hidden part get an error."""
    from mammal.generation.fill_encoder import answer_encoder
    from mammal.generation.settings import declared_rules
    from mammal.tasks.kinds.generation import fills_in

    if not fills_in(task):
        return TaskEncoder(task, near=near)
    return answer_encoder(task, declared_rules(task).grammar, task.config.generation.max_new_tokens)


def _problem(said: Prediction) -> str | None:
    """Returns why a row has no valid answer, and None if it has one."""
    return said.error if said.problem is None else invalid_message(said.problem, said.draws)


class Embed(EncodedAsGiven):
    """Computes vectors of the encoder.

    Args:
        model: the model.
        task: task that writes the prompt.
        pace: how many rows are processed together.
        pooling: as for `mammal.inference.predict.embed_rows`.
        normalize: scale each vector to length 1.
        prefix: text before the name of the added column.

    Raises:
        ConfigError: there is no such pooling, or `normalize` is not a bool.
    """

    def __init__(
        self,
        model: MammalModel,
        task: Task,
        pace: Pace,
        *,
        pooling: str = "mean",
        normalize: bool = False,
        prefix: str = "",
    ):
        from mammal.inference.predict import POOLINGS

        if pooling not in POOLINGS:
            raise ConfigError(f"there is no pooling {pooling!r}", hint=did_you_mean(pooling, POOLINGS, noun="pooling"))
        if not isinstance(normalize, bool):
            raise ConfigError(f"normalize must be true or false, not {normalize!r}")
        self.model, self.task, self.pace, self.pooling, self.normalize = model, task, pace, pooling, normalize
        self.reading = ReadColumns.of_task(task)
        self.encoder = TaskEncoder(task)
        self._tags = sorted(task.tokenizer.specials.values())
        self.columns = [AnswerColumn(f"{prefix}embedding", "matrix" if pooling == "none" else "vector")]

    @property
    def uses(self) -> Sequence[UsedModel]:
        return [UsedModel(self.model)]

    def ask(
        self, rows: Sequence[Row], *, first: int = 0, progress: Progress | None = None
    ) -> list[list[Record] | Refused]:
        from mammal.inference.predict import embed_rows

        cut: set[int] = set()
        how: dict[str, Any] = {"pooling": self.pooling, "tags": self._tags, "pace": self.pace, "progress": progress}
        vectors = embed_rows(self.model, self.encoder, rows, cut=cut, **how)
        of_length = _unit if self.normalize else _as_is
        return [
            given if isinstance(given, Refused) else mark_cut([(of_length(given),)], cut=place in cut)
            for place, given in enumerate(vectors)
        ]


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors (the last axis) of length 1; one without a length stays as it is."""
    import numpy as np

    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)


def _as_is(vectors: np.ndarray) -> np.ndarray:
    return vectors


class Score(EncodedAsGiven):
    """Computes the log-likelihood of the target given the input (natural logarithm, summed over tokens of the target).

    Args:
        model: the model.
        tokenizer: encodes prompts that are given without a task.
        task: task that writes the prompt and the target. None: rows are prompts, with columns `prompt` and `target`.
        pace: how many rows are processed together.
        prefix: text before the name of the added column.

    Raises:
        TaskError: the task predicts numbers, which have no likelihood, or an ensemble of fine-tuned members answers it.
    """

    def __init__(self, model: MammalModel, tokenizer: Tokenizer, task: Task | None, pace: Pace, *, prefix: str = ""):
        if task is not None and "logits" not in task.wants:
            which = "has a probe, whose answers" if task.probes is not None else f"is a {task.kind} task: numbers"
            raise TaskError(f"{task.name} {which} have no likelihood", hint="use predict")
        if model.members and task is not None and task.has_probes:
            what = f"{task.name} is answered by an ensemble of {len(model.members)} members, which have no common"
            raise TaskError(f"{what} likelihood", hint="use predict, with every_label=true")
        self.model, self.task, self.pace = model, task, pace
        self.reading = ReadColumns((PROMPT, TARGET)) if task is None else ReadColumns.of_task(task, target=True)
        self.columns = [AnswerColumn(f"{prefix}log_likelihood", "number")]
        self.encoder = BarePromptEncoder(tokenizer, target=True) if task is None else TaskEncoder(task, target=True)

    def ask(
        self, rows: Sequence[Row], *, first: int = 0, progress: Progress | None = None
    ) -> list[list[Record] | Refused]:
        from mammal.inference.predict import score_rows

        cut: set[int] = set()
        scores = score_rows(self.model, self.encoder, rows, pace=self.pace, progress=progress, cut=cut)
        return [
            given if isinstance(given, Refused) else mark_cut([(given,)], cut=place in cut)
            for place, given in enumerate(scores)
        ]
