"""The Python API: a model with its tokenizer and its tasks, which answers in the user's columns, units and labels.

import mammal
model = mammal.load("checkpoints/tiny-melting-point")
model.predict(["CCO", "c1ccccc1"])                 # a frame: smiles, prediction, error
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mammal import upper_layers
from mammal.bundle.lazy_tasks import LazyTasks
from mammal.errors import ConfigError
from mammal.inference.familiar import Familiar
from mammal.inference.from_names import predict_question
from mammal.inference.generate_api import Generation
from mammal.inference.infill_api import Infilling
from mammal.inference.questions import Embed, Score
from mammal.inference.variants_api import VariantScoring
from mammal.rows.answer_columns import ERROR
from mammal.rows.bare_prompts import PROMPT, TARGET, is_prompt
from mammal.rows.batched import Pace, Progress, Refused
from mammal.rows.column_match import given_columns
from mammal.rows.cut_rows import FIRST, Answer, cut_message, rows_cut
from mammal.rows.question import Question
from mammal.rows.read_columns import ReadColumns
from mammal.rows.tables import RowTable, check_names, row_table, with_targets
from mammal.rows.task_choice import TaskLike, changed_task, entity_task, find_task, the_only

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    import torch

    from mammal.bundle.card import Card
    from mammal.bundle.folder import Bundle
    from mammal.inference.exported import Exported
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
    config_dirs: Sequence[str | Path] = (),
) -> Mammal:
    """Opens a model for use.

    Args:
        source: folder of a bundle, folder of a published model, a `.ckpt` file in such a folder, name of a bundle that
            is installed with the package, or a hub id (`owner/name`).
        task: default task of the model: the name of a task of the bundle, the name of a known task, a YAML file or a
            declaration. Published checkpoints contain no task, so pass one, such as `task="dti_bindingdb_pkd"`.
        device: `"auto"` (a CUDA device if there is one, else the CPU), `"cpu"`, `"cuda"`, `"cuda:1"`, ….
        dtype: number format of the weights. `"auto"` is bfloat16 on CUDA and float32 elsewhere. Otherwise `"bfloat16"`
            or `"float32"`.
        tokenizer: tokenizer, or its folder, for a model folder that contains none. Default: the one of the model.
        base: folder of the base model of an adapter bundle, if it was moved. Default: the path that the bundle records.
        config_dirs: folders of your own with `task/*.yaml`, where tasks are found by name. The folders in
            `MAMMAL_CONFIGS` and the tasks of the package are always searched.

    Returns:
        The model with its tokenizer and its tasks, in evaluation mode on the requested device.

    Raises:
        BundleError: there is no such model, or a part of it is missing, damaged or belongs to another model.
        TaskError: there is no such task, or the model can't do it.
        ConfigError: the device or the number format is not available.
    """
    from mammal.bundle.folder import read_bundle
    from mammal.model.memory import bound_kernel_caches
    from mammal.model.runtime import pick_device, pick_dtype, tune_allocator

    tune_allocator()
    bound_kernel_caches()
    place = pick_device(device)
    bundle = read_bundle(source, device=place, dtype=pick_dtype(dtype, place), tokenizer=tokenizer, base=base)
    model = Mammal.of_bundle(bundle, config_dirs)
    if task is not None:
        model.use(task)
    return model


class Mammal(Generation, Infilling, VariantScoring, Familiar):
    """A model with its tokenizer and its tasks. `mammal.load` makes one.

    Attributes:
        model: the network.
        tokenizer: converts prompts to token ids.
        tasks: fitted tasks of the bundle, by name; each is built when it is first used.
        config: contents of `config.json` of the bundle.
        metrics: contents of `metrics.json` of the bundle.
        pace: tokens and rows of a batch, and rows that are encoded together. It changes speed and memory, not results.
        config_dirs: folders of the user's own in which `find_task` looks for `task/*.yaml`.

    Args:
        model: the network.
        tokenizer: the tokenizer that the network was trained with.
        tasks: fitted tasks. Default: none.
        config: contents of `config.json`. Default: empty.
        metrics: contents of `metrics.json`. Default: empty.
        config_dirs: folders of the user's own with `task/*.yaml`. Default: none.
    """

    def __init__(
        self,
        model: MammalModel,
        tokenizer: Tokenizer,
        tasks: Sequence[Task] | LazyTasks = (),
        *,
        config: Mapping[str, Any] | None = None,
        metrics: Mapping[str, Any] | None = None,
        config_dirs: Sequence[str | Path] = (),
    ):
        self.model = model
        self.tokenizer = tokenizer
        self.tasks: MutableMapping[str, Task] = (
            tasks.copy() if isinstance(tasks, LazyTasks) else {task.name: task for task in tasks}
        )
        self.config = dict(config or {})
        self.metrics = dict(metrics or {})
        self.pace = Pace.of_device(model.device.type)
        self.config_dirs = tuple(config_dirs)
        self._chosen: Task | None = None

    @classmethod
    def of_bundle(cls, bundle: Bundle, config_dirs: Sequence[str | Path] = ()) -> Mammal:
        """Makes a model of a bundle that `mammal.bundle.read_bundle` has read.

        Args:
            bundle: the parts of the bundle.
            config_dirs: folders of the user's own with `task/*.yaml`.
        """
        how: dict[str, Any] = {"config": bundle.config, "metrics": bundle.metrics, "config_dirs": config_dirs}
        return cls(bundle.model, bundle.tokenizer, bundle.tasks, **how)

    @classmethod
    def from_pretrained(
        cls,
        source: str | os.PathLike[str],
        *,
        task: TaskLike | None = None,
        device: str = "auto",
        dtype: str = "auto",
        tokenizer: str | os.PathLike[str] | Tokenizer | None = None,
        base: str | os.PathLike[str] | None = None,
        config_dirs: Sequence[str | Path] = (),
    ) -> Mammal:
        """Opens a model for use. The same as `mammal.load`.

        Args:
            source: as for `mammal.load`.
            task: as for `mammal.load`.
            device: as for `mammal.load`.
            dtype: as for `mammal.load`.
            tokenizer: as for `mammal.load`.
            base: as for `mammal.load`.
            config_dirs: as for `mammal.load`.

        Raises:
            BundleError: there is no such model, or a part of it is missing, damaged or belongs to another model.
            TaskError: there is no such task, or the model can't do it.
            ConfigError: the device or the number format is not available.
        """
        how: dict[str, Any] = {"tokenizer": tokenizer, "base": base, "config_dirs": config_dirs}
        return load(source, task=task, device=device, dtype=dtype, **how)

    def __repr__(self) -> str:
        parameters = sum(weight.numel() for weight in self.model.parameters()) / 1e6
        dtype = str(self.model.dtype).removeprefix("torch.")
        tasks = ", ".join(self.tasks) or "none"
        return f"Mammal({parameters:,.1f} M parameters, {dtype} on {self.device}, tasks: {tasks})"

    @property
    def device(self) -> torch.device:
        """Device on which the weights are."""
        return self.model.device

    @property
    def task(self) -> Task:
        """Default task: the one that `use` has chosen, else the only task of the bundle.

        Raises:
            TaskError: the bundle has no task, or it has several and none was chosen.
        """
        return self._chosen or the_only(self.tasks)

    def use(self, task: TaskLike) -> Task:
        """Sets the default task.

        Args:
            task: name of a task of the bundle or of a known task, a YAML file or a declaration.

        Returns:
            The task.

        Raises:
            TaskError: there is no such task, or the tokenizer can't write its prompts.
        """
        self._chosen = self.find_task(task)
        return self._chosen

    def find_task(
        self,
        task: TaskLike | None = None,
        columns: Mapping[str, str] | str | None = None,
        view: str | Mapping[str, str] | None = None,
    ) -> Task:
        """Returns a task by its name, file or declaration.

        Args:
            task: name of a task of the bundle or of a known task, a YAML file or a declaration. Default: the default
                task.
            columns: names of your columns, as `{column of the task: column of your table}`, or one name if the task
                reads one column. Default: the names of the task, else the only column of a similar or usual name.
            view: which form of a value the prompt shows if the task has several, such as `"iupac"`, or a mapping from
                columns to forms. Default: the first form that a row has. See "Views" in docs/tasks.md.

        Raises:
            TaskError: there is no such task, or no task was named and there is no default.
            ConfigError: `columns` names a column that the task does not have.
        """
        found = self.task if task is None else find_task(task, self.tasks, self.tokenizer, self.config_dirs)
        given = given_columns(found, columns)
        changes: dict[str, Any] = {"data": {"columns": given}} if given else {}
        changes |= {} if view is None else {"view": view}
        return changed_task(found, changes) if changes else found

    def predict(
        self,
        data: Any,
        task: TaskLike | None = None,
        *,
        columns: Mapping[str, str] | str | None = None,
        view: str | Mapping[str, str] | None = None,
        encoding: str | None = None,
        names: str | None = None,
        names_by: str = "auto",
        name_warning: bool = False,
        vocabulary: bool = False,
        every_label: bool = False,
        prefix: str = "",
        progress: Progress | None = None,
    ) -> pd.DataFrame:
        """Predicts the target of every row.

        Args:
            data: a list of values (if the task reads one column), of tuples or of mappings; a dict of columns; a data
                frame of pandas or polars, or an arrow table; the path of a file. RDKit molecules are read as SMILES.
            task: name of a task of the bundle or of a known task, a YAML file or a declaration. Default: the default
                task.
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
            prefix: text before the names of the added columns.
            progress: function that is called with the number of rows that were just finished.

        Returns:
            One row for each row of `data`, in the same order, with your columns and these:

                - `prediction`: the number (in the unit of the training file), the label, or the generated number;
                - `low` and `high`: regression, if the bundle contains a conformal interval;
                - `probability`: classification: of the last of two labels, or of the predicted one of more labels;
                - `text` and `score`: generation: the generated text and its log-likelihood;
                - `cut`: if any row was longer than the model reads: true of those rows;
                - `error`: why a row has no prediction, else missing.

            With several target columns, the names start with the name of the target (`TARGET_prediction`).

        Raises:
            DataError: a column that the task reads is missing, or a file can't be read.
            TaskError: there is no such task.
            ConfigError: an option does not fit the task.
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
        question.reading = question.reading.with_mapping(chosen, columns)
        return self._frame(question, row_table(data, question.reading, encoding), prefix, progress)

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
            Your rows with the columns `score` (natural logarithm, summed over the tokens of the target) and `error`
                (why a row has no score, else missing).

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
        return self._frame(question, given, prefix, progress)

    def finetune(
        self, task: TaskLike, output: str | os.PathLike[str], *, data: Any = None, overrides: Sequence[str] = ()
    ) -> Mammal:
        """Trains a copy of this model on a task, evaluates it, and saves it in `output/bundle`.

        This model does not change. The run is the same as `mammal train init=…`.

        Args:
            task: what to learn: name of a task, a YAML file or a declaration.
            output: new or empty folder for all files of the run.
            data: rows with the columns of the task: a data frame, a list of mappings, or the path of a file. Default:
                the data that the task declares.
            overrides: settings as on the command line, such as `["adapt=lora", "trainer.max_time=00:10:00"]`.

        Returns:
            The trained model, on the device and in the number format of this one. The task is its default task.

        Raises:
            ConfigError: the output folder is not empty, or a setting is wrong.
            TaskError: there is no such task, or it does not fit the tokenizer.
            DataError: the data can't be read.
            TrainingError: training can't continue, for example because the loss is not a number.
        """
        # Training is a layer above inference, which this module can't import.
        tuned: Mammal = upper_layers.finetune(self, task, output, data=data, overrides=overrides)
        return tuned

    def export(
        self,
        folder: str | os.PathLike[str],
        format: str,
        *,
        task: TaskLike | Sequence[TaskLike] | None = None,
        leave_out: Sequence[str] = (),
        overwrite: bool = False,
    ) -> Exported:
        """Writes this model in the format of another program, and compares what that program computes with it.

        The weights are written in float32. Adapters are merged. This model does not change.

        Args:
            folder: new or empty folder.
            format: `"transformers"`: a folder that `T5ForConditionalGeneration.from_pretrained` and
                `T5EncoderModel.from_pretrained` load. `"onnx"`: a graph of the encoder, from token ids to states and to
                the answers of tasks in encoder mode; it needs the extra `onnx`.
            task: one task or several: names, YAML files or declarations. For ONNX, their answers are outputs of the
                graph. Default: the tasks of the bundle; for ONNX, those of them in encoder mode.
            leave_out: parts of the model that may be missing in the files: `"encoder_head"`,
                `"scalars_prediction_head"`, `"decoder_scalars"`, `"input_scalars"`, `"external_embeddings"`. T5 of
                transformers has none of these, ONNX graphs have no external embeddings. Default: none; a model with
                such a part is refused.
            overwrite: replace an earlier export in the folder. Other folders are never replaced.

        Returns:
            What was written, with the largest differences. `export.json` in the folder has the same facts.

        Raises:
            ConfigError: there is no such format or part; the format can't hold the model; a package is not installed;
                or the folder is not empty.
            TaskError: there is no such task.
            BundleError: an output of the export differs from that of this model by more than rounding. Nothing is
                written then.
        """
        # The exporters are a layer above inference, which this module can't import.
        how: dict[str, Any] = {"task": task, "leave_out": leave_out, "overwrite": overwrite}
        done: Exported = upper_layers.export(self, folder, format, **how)
        return done

    def save(
        self,
        folder: str | os.PathLike[str],
        *,
        metrics: Mapping[str, Any] | None = None,
        card: Card | None = None,
        dtype: str = "float32",
    ) -> Path:
        """Writes a bundle with this model, its tokenizer and its tasks.

        Args:
            folder: folder of the bundle. A bundle that exists there is replaced after the new one is complete.
            metrics: contents of `metrics.json`. Default: those of this model.
            card: facts for the model card. Default: an empty card.
            dtype: number format of the stored weights, `"float32"` or `"bfloat16"`.

        Returns:
            The folder of the bundle.

        Raises:
            BundleError: the folder contains something that is not a bundle, or can't be written.
        """
        from mammal.bundle.folder import save_bundle

        chosen = {} if self._chosen is None else {self._chosen.name: self._chosen}
        tasks = list({**self.tasks, **chosen}.values())
        return save_bundle(
            folder, self.model, self.tokenizer, tasks, self.metrics if metrics is None else metrics, card, dtype=dtype
        )

    def _frame(self, question: Question, given: RowTable, prefix: str, progress: Progress | None) -> pd.DataFrame:
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
