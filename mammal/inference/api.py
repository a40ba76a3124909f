"""The Python API: a model with its tokenizer and its tasks, which answers in the user's columns, units and labels.

import mammal
model = mammal.load("checkpoints/tiny-melting-point")
model.predict(["CCO", "c1ccccc1"])                 # a frame: smiles, prediction, error
"""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal import upper_layers
from mammal.bundle.lazy_tasks import LazyTasks
from mammal.inference.answers_api import Answering
from mammal.inference.explain_api import Explaining
from mammal.inference.familiar import Familiar
from mammal.inference.generate_api import Generation
from mammal.inference.infill_api import Infilling
from mammal.inference.other_arguments import OF_TRANSFORMERS, with_hints
from mammal.inference.seen_api import SeenInPretraining
from mammal.inference.variants_api import VariantScoring
from mammal.rows.batched import Pace
from mammal.rows.column_match import given_columns
from mammal.rows.task_choice import TaskLike, changed_task, find_task, the_only
from mammal.tasks.pretraining.pretraining_rows import PretrainingRows

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from mammal.bundle.card import Card
    from mammal.bundle.folder import Bundle
    from mammal.inference.exported import Exported
    from mammal.model.model import MammalModel
    from mammal.tasks.task import Task
    from mammal.tokenization import Tokenizer


@with_hints(OF_TRANSFORMERS)
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
        dtype: number format of the weights. `"auto"` is bfloat16 on CUDA and float32 elsewhere. Otherwise `"bfloat16"`,
            `"float32"`, or on CPUs `"int8"`: the decoder computes with 8-bit copies of its weights, and the rest with
            float32.
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
    int8 = dtype == "int8"
    stored = pick_dtype("float32" if int8 else dtype, place)
    bundle = read_bundle(source, device=place, dtype=stored, tokenizer=tokenizer, base=base)
    if int8:
        bundle.model.use_int8()
    model = Mammal.of_bundle(bundle, config_dirs)
    if task is not None:
        model.use(task)
    return model


class Mammal(Answering, Explaining, Generation, Infilling, VariantScoring, SeenInPretraining, Familiar):
    """A model with its tokenizer and its tasks. `mammal.load` makes one.

    Attributes:
        model: the network.
        tokenizer: converts prompts to token ids.
        tasks: fitted tasks of the bundle, by name; each is built when it is first used.
        config: contents of `config.json` of the bundle.
        metrics: contents of `metrics.json` of the bundle.
        pace: tokens and rows of a batch, and rows that are encoded together. It changes speed and memory, not results.
        config_dirs: folders of the user's own in which `find_task` looks for `task/*.yaml`.
        folder: folder that the model was read from; None for a model that was made in memory.
        pretraining: filters of the rows that the model was pretrained on; empty if that is unknown.

    Args:
        model: the network.
        tokenizer: the tokenizer that the network was trained with.
        tasks: fitted tasks. Default: none.
        config: contents of `config.json`. Default: empty.
        metrics: contents of `metrics.json`. Default: empty.
        config_dirs: folders of the user's own with `task/*.yaml`. Default: none.
        folder: folder that the model was read from. Default: none.
        pretraining: filters of the rows that the model was pretrained on. Default: unknown.
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
        folder: Path | None = None,
        pretraining: PretrainingRows | None = None,
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
        self.folder = folder
        self.pretraining = pretraining or PretrainingRows()
        self._chosen: Task | None = None

    @classmethod
    def of_bundle(cls, bundle: Bundle, config_dirs: Sequence[str | Path] = ()) -> Mammal:
        """Makes a model of a bundle that `mammal.bundle.read_bundle` has read.

        Args:
            bundle: the parts of the bundle.
            config_dirs: folders of the user's own with `task/*.yaml`.
        """
        how: dict[str, Any] = {"config": bundle.config, "metrics": bundle.metrics, "config_dirs": config_dirs}
        how |= {"folder": bundle.source.folder, "pretraining": bundle.pretraining}
        return cls(bundle.model, bundle.tokenizer, bundle.tasks, **how)

    @classmethod
    @with_hints(OF_TRANSFORMERS)
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
        dtype = self.model.number_format
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

        If the model was read from a bundle, its record of fine-tuning, training rows and validation losses is kept, and
        so are the filters of pretraining rows.

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
        from mammal.bundle.adaptation import moved
        from mammal.bundle.folder import read_losses, save_bundle

        chosen = {} if self._chosen is None else {self._chosen.name: self._chosen}
        tasks = list({**self.tasks, **chosen}.values())
        kept = self.metrics if metrics is None else metrics
        how: dict[str, Any] = {
            "adaptation": moved(self.config, self.folder, Path(folder)),
            "losses": None if self.folder is None else read_losses(self.folder),
            "data": (self.config.get("mammal") or {}).get("data"),
            "pretraining": self.pretraining,
        }
        return save_bundle(folder, self.model, self.tokenizer, tasks, kept, card, dtype=dtype, **how)
