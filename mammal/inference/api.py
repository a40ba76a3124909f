"""The Python API: a model, its tokenizer and its tasks, asked for answers in the user's own columns, units and labels.

import mammal
model = mammal.load("checkpoints/tiny-melting-point")
model.predict(["CCO", "c1ccccc1"])                 # a frame: smiles, prediction, error
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mammal import upper_layers
from mammal.inference.from_names import predict_question
from mammal.inference.generate_api import Generation
from mammal.inference.infill_api import Infilling
from mammal.inference.questions import Embed, Score
from mammal.inference.variants_api import VariantScoring
from mammal.rows.answer_columns import ERROR
from mammal.rows.bare_prompts import PROMPT, TARGET, is_prompt
from mammal.rows.batched import Pace, Progress, Refused
from mammal.rows.question import Question
from mammal.rows.tables import ReadColumns, RowTable, check_names, table, with_targets
from mammal.rows.task_choice import TaskLike, changed_task, entity_task, find_task, the_only

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    import torch

    from mammal.bundle.card import Card
    from mammal.bundle.folder import Bundle
    from mammal.model.model import MammalModel
    from mammal.tasks.task import Task
    from mammal.tokenization import Tokenizer

logger = logging.getLogger(__name__)


def load(
    source: str | os.PathLike[str],
    *,
    task: TaskLike | None = None,
    device: str = "auto",
    dtype: str = "auto",
    tokenizer: str | os.PathLike[str] | Tokenizer | None = None,
    base: str | os.PathLike[str] | None = None,
) -> Mammal:
    """Opens a model for use.

    Args:
        source: a bundle's folder, a published folder, a `.ckpt` in its folder, the name of a bundle that ships with the
            package, or a hub id (`owner/name`).
        task: what to ask by default: one of the bundle's tasks, a task known by name, or a declaration. Published
            checkpoints hold no task: `task="dti_bindingdb_pkd"`.
        device: "auto" takes a CUDA device where there is one; "cpu", "cuda:1" …
        dtype: "auto" is bfloat16 on CUDA and float32 elsewhere; "bfloat16", "float32".
        tokenizer: for folders that have none.
        base: where the base of an adapter bundle is, if it was moved.

    Raises:
        BundleError: there is no such model, or a part of it is missing, corrupt or another model's.
        TaskError: there is no such task, or the model can't do it.
        ConfigError: the device or dtype can't be had.
    """
    from mammal.bundle.folder import read_bundle
    from mammal.model.memory import bound_kernel_caches
    from mammal.model.runtime import pick_device, pick_dtype, tune_allocator

    tune_allocator()
    bound_kernel_caches()
    place = pick_device(device)
    bundle = read_bundle(source, device=place, dtype=pick_dtype(dtype, place), tokenizer=tokenizer, base=base)
    model = Mammal.of_bundle(bundle)
    if task is not None:
        model.use(task)
    return model


class Mammal(Generation, Infilling, VariantScoring):
    """A model ready to be asked.

    Attributes:
        model, tokenizer: its parts.
        tasks: the bundle's own, fitted, by name.
        config, metrics: contents of `config.json` and `metrics.json`.
        pace: how much is computed at once.
    """

    def __init__(
        self,
        model: MammalModel,
        tokenizer: Tokenizer,
        tasks: Sequence[Task] = (),
        *,
        config: Mapping[str, Any] | None = None,
        metrics: Mapping[str, Any] | None = None,
    ):
        self.model = model
        self.tokenizer = tokenizer
        self.tasks: dict[str, Task] = {task.name: task for task in tasks}
        self.config = dict(config or {})
        self.metrics = dict(metrics or {})
        self.pace = Pace.of_device(model.device.type)
        self._chosen: Task | None = None

    @classmethod
    def of_bundle(cls, bundle: Bundle) -> Mammal:
        tasks = list(bundle.tasks.values())
        return cls(bundle.model, bundle.tokenizer, tasks, config=bundle.config, metrics=bundle.metrics)

    def __repr__(self) -> str:
        parameters = sum(weight.numel() for weight in self.model.parameters()) / 1e6
        dtype = str(self.model.dtype).removeprefix("torch.")
        tasks = ", ".join(self.tasks) or "none"
        return f"Mammal({parameters:,.1f} M parameters, {dtype} on {self.device}, tasks: {tasks})"

    @property
    def device(self) -> torch.device:
        return self.model.device

    @property
    def task(self) -> Task:
        """The task that is meant where none is named.

        Raises:
            TaskError: there is none, or several and none was chosen.
        """
        return self._chosen or the_only(self.tasks)

    def use(self, task: TaskLike) -> Task:
        """Makes a task the one that is meant where none is named."""
        self._chosen = self.find_task(task)
        return self._chosen

    def find_task(
        self,
        task: TaskLike | None = None,
        columns: Mapping[str, str] | None = None,
        view: str | Mapping[str, str] | None = None,
    ) -> Task:
        """A task by name, file or declaration; None: the one that is meant.

        Args:
            columns: names of the columns to read, as {the task's name: yours}.
            view: what is shown where a task has several views, such as "iupac"; default: the first that a row has.

        Raises:
            TaskError: there is no such task, or it is not clear which is meant.
        """
        found = self.task if task is None else find_task(task, self.tasks, self.tokenizer)
        changes: dict[str, Any] = {"data": {"columns": dict(columns)}} if columns else {}
        changes |= {} if view is None else {"view": view}
        return changed_task(found, changes) if changes else found

    def predict(
        self,
        data: Any,
        task: TaskLike | None = None,
        *,
        columns: Mapping[str, str] | None = None,
        view: str | Mapping[str, str] | None = None,
        names: str | None = None,
        names_by: str = "auto",
        name_warning: bool = False,
        vocabulary: bool = False,
        every_label: bool = False,
        prefix: str = "",
        progress: Progress | None = None,
    ) -> pd.DataFrame:
        """Answers for every row, in order, beside the columns that came. A row that can't be read has an `error`.

        Args:
            data: a list of values (where the task reads one column), of tuples or of mappings; a frame; a file.
            task: one of the bundle's, one known by name, or a declaration; default: the one that is meant.
            columns: names of the columns to read, as {the task's name: yours}.
            view: what is shown where the task has several views (docs/tasks.md); default: the first that a row has.
            names: column of IUPAC names, from which the molecule is read in rows without a SMILES; the result then
                says in `smiles_read` what was read. A list of values holds names.
            names_by: who reads them: "opsin" (needs Java), "model" (the bundle's task `iupac_to_smiles`), or "auto": a
                prompt that shows names itself gets them as they are, else OPSIN where it is installed, else the model.
            name_warning: also answer names that OPSIN reads with a doubt (ambiguous names, racemates), which the column
                `name_warning` then gives; default: such rows get an error.
            vocabulary: classification: probabilities among all tokens, not among the classes: the raw score of the
                published code, uncalibrated.
            every_label: classification: also the probability of each label.
            prefix: put before the names of the columns that are added (`mammal.rows.answer_columns` lists them).
            progress: called with the number of rows that were just answered.

        Raises:
            DataError: a column that the task reads is missing.
        """
        chosen = self.find_task(task, columns, view)
        how: dict[str, Any] = {
            "names": names,
            "names_by": names_by,
            "name_warning": name_warning,
            "vocabulary": vocabulary,
            "every_label": every_label,
        }
        question = predict_question(self.model, self.tasks, chosen, self.pace, prefix=prefix, **how)
        return self._frame(question, table(data, question.reading), prefix, progress)

    def embed(
        self,
        data: Any,
        task: TaskLike | None = None,
        *,
        entity: str | None = None,
        pooling: str = "mean",
        columns: Mapping[str, str] | None = None,
        view: str | Mapping[str, str] | None = None,
        progress: Progress | None = None,
    ) -> np.ndarray | list[np.ndarray]:
        """Vectors of the encoder, float32 [rows, width], in order. A row that can't be read is NaN, and logged.

        Args:
            data: as for `predict`.
            task: whose prompt is written.
            entity: instead of a task: what the values are ("smiles", "protein", "dna" …).
            pooling: "mean" or "max" over the tokens of the values, "first" token, or "none": a list of [tokens, width].
        """
        chosen = self.find_task(task, columns, view) if entity is None else entity_task(entity, self.tokenizer)
        question = Embed(self.model, chosen, self.pace, pooling=pooling)
        given = table(data, question.reading)
        answers = question.ask(given.rows, progress=progress)
        _warn_of_refused(answers)
        width = self.model.config.d_model
        missing = np.full((0, width) if pooling == "none" else width, np.nan, np.float32)
        vectors = [missing if isinstance(answer, Refused) else answer[0][0] for answer in answers]
        if pooling == "none":
            return vectors
        return np.stack(vectors) if vectors else np.empty((0, width), np.float32)

    def score(
        self,
        data: Any,
        targets: Sequence[Any] | None = None,
        task: TaskLike | None = None,
        *,
        columns: Mapping[str, str] | None = None,
        view: str | Mapping[str, str] | None = None,
        prefix: str = "",
        progress: Progress | None = None,
    ) -> pd.DataFrame:
        """Log-likelihood of each row's target given its input: natural logarithm, summed over the target's tokens.

        Args:
            data: rows that hold the target's column too, or inputs for which `targets` are given; or prompts in wire
                syntax with targets of that kind.
            targets: one for each row.
        """
        chosen = None if is_prompt(data) else self.find_task(task, columns, view)
        question = Score(self.model, self.tokenizer, chosen, self.pace, prefix=prefix)
        if targets is None:
            given = table(data, question.reading)
        elif chosen is None:
            given = with_targets(table(data, ReadColumns((PROMPT,))), targets, (TARGET,))
        else:
            given = with_targets(table(data, ReadColumns.of_task(chosen)), targets, chosen.target_columns)
        return self._frame(question, given, prefix, progress)

    def finetune(
        self, task: TaskLike, output: str | os.PathLike[str], *, data: Any = None, overrides: Sequence[str] = ()
    ) -> Mammal:
        """Trains a copy of this model on a task and gives it, evaluated and saved in `output/bundle`.

        Args:
            task: what to learn: a known name, a file, or a declaration.
            output: a new folder for everything that the run leaves.
            data: rows with the columns of the task (a frame, a list of mappings, a file); default: what the task says.
            overrides: settings as on the command line, such as `["adapt=lora", "trainer.max_time=00:10:00"]`.

        Raises:
            MammalError: the task, the data or a setting is wrong. TrainingError: training can't go on.
        """
        # Training is a layer above inference.
        tuned: Mammal = upper_layers.finetune(self, task, output, data=data, overrides=overrides)
        return tuned

    def save(
        self,
        folder: str | os.PathLike[str],
        *,
        metrics: Mapping[str, Any] | None = None,
        card: Card | None = None,
        dtype: str = "float32",
    ) -> Path:
        """Writes a bundle with this model, its tokenizer and its tasks (see `mammal.bundle.save_bundle`)."""
        from mammal.bundle.folder import save_bundle

        chosen = {} if self._chosen is None else {self._chosen.name: self._chosen}
        tasks = list({**self.tasks, **chosen}.values())
        return save_bundle(
            folder, self.model, self.tokenizer, tasks, self.metrics if metrics is None else metrics, card, dtype=dtype
        )

    def _frame(self, question: Question, given: RowTable, prefix: str, progress: Progress | None) -> pd.DataFrame:
        error = f"{prefix}{ERROR}"
        check_names(given.names, [*(column.name for column in question.columns), error])  # before the model works
        return given.frame(question.columns, question.ask(given.rows, progress=progress), error)


def _warn_of_refused(answers: Sequence[object]) -> None:
    refused = [(number, given.reason) for number, given in enumerate(answers, 1) if isinstance(given, Refused)]
    if refused:
        number, reason = refused[0]
        logger.warning(
            "%d of %d rows have no vector; the first is row %d: %s", len(refused), len(answers), number, reason
        )
