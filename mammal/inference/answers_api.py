"""The methods `predict`, `embed` and `score` of the Python API, which `mammal.inference.Mammal` inherits."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mammal.errors import ConfigError
from mammal.inference.from_names import predict_question
from mammal.inference.open_model import OpenModel
from mammal.inference.other_arguments import with_hints
from mammal.inference.questions import Embed, Score
from mammal.inference.several_tasks import one_task, several_question, several_tasks
from mammal.rows.answer_columns import ERROR
from mammal.rows.bare_prompts import PROMPT, TARGET, is_prompt
from mammal.rows.batched import Progress, Refused
from mammal.rows.cut_rows import FIRST, Answer, cut_message, rows_cut
from mammal.rows.question import Question
from mammal.rows.read_columns import ReadColumns
from mammal.rows.tables import RowTable, check_names, row_table, with_targets
from mammal.rows.task_choice import TaskLike, entity_task

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)


class Answering(OpenModel):
    """Answers rows with a model, its tokenizer and its tasks: predictions, vectors and likelihoods."""

    @with_hints()
    def predict(
        self,
        data: Any,
        task: TaskLike | Sequence[TaskLike] | None = None,
        *,
        columns: Mapping[str, str] | str | None = None,
        view: str | Mapping[str, str] | None = None,
        encoding: str | None = None,
        names: str | None = None,
        names_by: str = "auto",
        name_warning: bool = False,
        vocabulary: bool = False,
        every_label: bool = False,
        applicability: bool = True,
        nearest: int = 0,
        standardised: bool = False,
        mc_dropout: int = 0,
        prefix: str = "",
        progress: Progress | None = None,
    ) -> pd.DataFrame:
        """Predicts the target of every row.

        Args:
            data: a list of values (if the task reads one column), of tuples or of mappings; a dict of columns; a data
                frame of pandas or polars, or an arrow table; the path of a file. RDKit molecules are read as SMILES.
            task: name of a task of the bundle or of a known task, a YAML file or a declaration; a list of them; or
                `"all"` for every task of the bundle except those that generate text. Default: the default task.
            columns: names of your columns, as `{column of the task: column of your table}`, or one name if the task
                reads one column. Default: the names of the task, else the only column of a similar or usual name.
            view: which form of a value the prompt shows if the task has several, such as `"iupac"`, or a mapping from
                columns to forms. Default: the first form that a row has. See "Views" in docs/tasks.md.
            encoding: encoding of a text file, such as `"latin-1"`. Default: UTF-8, or UTF-16 with a byte order mark.
            names: column of IUPAC names. The molecule is read from it in rows without a SMILES, and the result gets a
                column `smiles_read` with the molecule that was read. If `data` is a list of values, these are the
                names.
            names_by: what reads the names: `"opsin"` (needs Java), `"model"` (the task `iupac_to_smiles` of the
                bundle), or `"auto"`: a prompt that shows names gets them unchanged; otherwise OPSIN if it is installed,
                else the model.
            name_warning: also answer names that OPSIN is not sure about (ambiguous names, racemates). The column
                `name_warning` then has the doubt. Default: such rows get an error.
            vocabulary: classification: return probabilities among all tokens instead of among the labels. This is the
                raw, uncalibrated score of the published code.
            every_label: classification: also return the probability of each label.
            applicability: also return how near each row is to the training rows, if the bundle keeps any of the task
                (docs/trust.md).
            nearest: number of the nearest training rows in a column `nearest`. Default: 0, no such column.
            standardised: also return the text that the model read of each molecule, and what standardisation changed
                (docs/tasks.md). Default: no such columns.
            mc_dropout: number of passes with dropout, 2 to 1,000, for a column `spread`: the standard deviation over
                these passes (docs/trust.md). Default: 0, no such column.
            prefix: text before the names of the added columns.
            progress: function that is called with the number of rows that were just finished.

        Returns:
            One row for each row of `data`, in the same order, with your columns and these:

                - `prediction`: the number (in the unit of the training file), the label, or the generated number;
                - `low` and `high`: regression, if the bundle contains a conformal interval;
                - `probability`: classification: of the last of two labels, or of the predicted one of more labels;
                - `text` and `score`: generation: the generated text and its log-likelihood;
                - `spread`: with `mc_dropout`: of the prediction, or of the probability in `probability`;
                - `similarity`, `percentile`, `outside` and `nearest`: how near the row is to the training rows, if the
                  bundle keeps any;
                - `standardised` and `changes`, on request: the molecule as the model read it, and what differs from
                  yours, such as `salt removed; charge neutralised`. With several molecules, the names start with the
                  name of the slot (`SLOT_standardised`);
                - `cut`: if any row was longer than the model reads: true of those rows;
                - `error`: why a row has no prediction, else missing.

            With several target columns, the names start with the name of the target (`TARGET_prediction`). With a list
            of tasks or `"all"`, they start with the name of the task (`TASK_prediction`), and `TASK_error` says why a
            row has no answer of that task; `error` is then the reason of rows that no task can answer.

        Raises:
            DataError: a column that the task reads is missing, or a file can't be read.
            TaskError: there is no such task.
            ConfigError: an option does not fit the task or the bundle, or a task is named twice.
        """
        how: dict[str, Any] = {
            "names": names,
            "names_by": names_by,
            "name_warning": name_warning,
            "vocabulary": vocabulary,
            "every_label": every_label,
            "applicability": applicability,
            "nearest": nearest,
            "standardised": standardised,
            "mc_dropout": mc_dropout,
        }
        opened = (self.model, self.tasks)
        if (several := several_tasks(self, task, columns, view)) is None:
            chosen = self.find_task(one_task(task), columns, view)
            question = predict_question(*opened, chosen, self.pace, prefix=prefix, **how)
            question.reading = question.reading.with_mapping(chosen, columns)
        else:
            question = several_question(*opened, several, self.pace, prefix=prefix, **how)
            question.reading = question.reading.with_mapping(None, columns)
        return answer_frame(question, row_table(data, question.reading, encoding), prefix, progress)

    @with_hints()
    def embed(
        self,
        data: Any,
        task: TaskLike | None = None,
        *,
        entity: str | None = None,
        pooling: str = "mean",
        columns: Mapping[str, str] | str | None = None,
        view: str | Mapping[str, str] | None = None,
        encoding: str | None = None,
        normalize: bool = False,
        as_frame: bool = False,
        progress: Progress | None = None,
    ) -> np.ndarray | list[np.ndarray] | pd.DataFrame:
        """Returns vectors of the encoder for every row.

        Args:
            data: as for `predict`.
            task: task that writes the prompt. Default: the default task.
            entity: what the values are, instead of a task: `"smiles"`, `"protein"`, `"dna"`, …
                (`mammal.tokenization.ENTITIES`).
            pooling: how the states of the tokens become one vector: `"mean"` or `"max"` over the tokens of the values,
                `"first"` (the first token), or `"none"` (the states of all tokens).
            columns: names of your columns, as `{column of the task: column of your table}`, or one name if the task
                reads one column. Default: the names of the task, else the only column of a similar or usual name.
            view: which form of a value the prompt shows if the task has several, such as `"iupac"`, or a mapping from
                columns to forms. Default: the first form that a row has. See "Views" in docs/tasks.md.
            encoding: encoding of a text file, such as `"latin-1"`. Default: UTF-8, or UTF-16 with a byte order mark.
            normalize: scale each vector to length 1, so that the dot product of two is their cosine similarity.
            as_frame: return a data frame with one column for each dimension (0, 1, …), under the index of `data`.
            progress: function that is called with the number of rows that were just finished.

        Returns:
            float32 array [rows, width], in the order of the rows (with `as_frame` a data frame). With `pooling="none"`,
                a list with one float32 array [tokens, width] for each row. A row that can't be read is NaN (or has no
                tokens), and a warning is logged.

        Raises:
            DataError: a column that the task reads is missing, or a file can't be read.
            TaskError: there is no such task.
            ConfigError: there is no such entity or pooling, or `as_frame` with `pooling="none"`.
        """
        read = task if entity is None else entity_task(entity, self.tokenizer)
        chosen = self.find_task(read, columns, view)
        if as_frame and pooling == "none":
            raise ConfigError('as_frame needs one vector for each row, and pooling is "none"', hint='pooling="mean"')
        question = Embed(self.model, chosen, self.pace, pooling=pooling, normalize=normalize)
        question.reading = question.reading.with_mapping(chosen, columns)
        given = row_table(data, question.reading, encoding)
        question.look_at(given.rows, given.sources)
        answers = given.answered(question.ask(given.rows, progress=progress))
        _warn_of_refused(answers)
        _warn_of_cut(answers, None)
        width = self.model.config.d_model
        missing = np.full((0, width) if pooling == "none" else width, np.nan, np.float32)
        vectors = [missing if isinstance(answer, Refused) else answer[0][0] for answer in answers]
        if pooling == "none":
            return vectors
        stacked = np.stack(vectors) if vectors else np.empty((0, width), np.float32)
        if not as_frame:
            return stacked
        import pandas as pd

        return pd.DataFrame(stacked, index=given.left.index)

    @with_hints()
    def score(
        self,
        data: Any,
        targets: Sequence[Any] | None = None,
        task: TaskLike | None = None,
        *,
        columns: Mapping[str, str] | str | None = None,
        view: str | Mapping[str, str] | None = None,
        encoding: str | None = None,
        prefix: str = "",
        progress: Progress | None = None,
    ) -> pd.DataFrame:
        """Computes the log-likelihood of each row's target given its input.

        Args:
            data: rows that contain the target column too; or inputs, if `targets` are given; or prompts in wire syntax,
                with targets in wire syntax.
            targets: one target for each row. Default: the target column of `data`.
            task: task that writes the prompt and the target. Default: the default task.
            columns: names of your columns, as `{column of the task: column of your table}`, or one name if the task
                reads one column. Default: the names of the task, else the only column of a similar or usual name.
            view: which form of a value the prompt shows if the task has several, such as `"iupac"`, or a mapping from
                columns to forms. Default: the first form that a row has. See "Views" in docs/tasks.md.
            encoding: encoding of a text file, such as `"latin-1"`. Default: UTF-8, or UTF-16 with a byte order mark.
            prefix: text before the names of the added columns.
            progress: function that is called with the number of rows that were just finished.

        Returns:
            Your rows with the columns `log_likelihood` (natural logarithm, summed over the tokens of the target),
                `cut` (if any row was longer than the model reads: true of those rows) and `error` (why a row has no
                log-likelihood, else missing).

        Raises:
            DataError: a column is missing, or `targets` has not one target for each row.
            TaskError: there is no such task.
        """
        chosen = None if is_prompt(data) else self.find_task(task, columns, view)
        question = Score(self.model, self.tokenizer, chosen, self.pace, prefix=prefix)
        if targets is None:
            given = row_table(data, question.reading.with_mapping(chosen, columns), encoding)
        elif chosen is None:
            given = with_targets(row_table(data, ReadColumns((PROMPT,)), encoding), targets, (TARGET,))
        else:
            reading = ReadColumns.of_task(chosen).with_mapping(chosen, columns)
            given = with_targets(row_table(data, reading, encoding), targets, chosen.target_columns)
        return answer_frame(question, given, prefix, progress)


def answer_frame(question: Question, given: RowTable, prefix: str, progress: Progress | None) -> pd.DataFrame:
    """Returns the user's columns with those of the answers.

    Args:
        question: computes the answers.
        given: the user's rows.
        prefix: text before the name of the column with errors.
        progress: function that is called with the number of rows that were just finished.

    Raises:
        DataError: a column of the answers has the name of a column of the user.
    """
    error = f"{prefix}{ERROR}"
    check_names(given.names, [*(column.name for column in question.columns), error])  # before the model works
    question.look_at(given.rows, given.sources)
    answers = question.ask(given.rows, progress=progress)
    _warn_of_cut(answers, given.cut_name([*(column.name for column in question.columns), error]))
    return given.frame(question.columns, answers, error)


def _warn_of_cut(answers: Sequence[Answer], column: str | None) -> None:
    if cut := rows_cut(answers):
        logger.warning("%s", cut_message(len(cut), [place + 1 for place in cut[:FIRST]], column))


def _warn_of_refused(answers: Sequence[object]) -> None:
    refused = [(number, given.reason) for number, given in enumerate(answers, 1) if isinstance(given, Refused)]
    if refused:
        number, reason = refused[0]
        logger.warning(
            "%d of %d rows have no vector; the first is row %d: %s", len(refused), len(answers), number, reason
        )
