"""Methods of `Mammal` with the names that users of transformers and scikit-learn know; `Mammal` has them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from mammal.errors import BundleError, MammalError, TaskError
from mammal.inference.open_model import OpenModel
from mammal.inference.other_arguments import with_hints

if TYPE_CHECKING:
    import numpy as np
    import torch

    from mammal.bundle.card import Card
    from mammal.bundle.push import Pushed
    from mammal.rows.batched import Progress
    from mammal.rows.task_choice import TaskLike


class Familiar(OpenModel):
    """Moves, describes and saves a model, and gives probabilities, under familiar names."""

    def save_pretrained(
        self,
        folder: str | os.PathLike[str],
        *,
        metrics: Mapping[str, Any] | None = None,
        card: Card | None = None,
        dtype: str = "float32",
    ) -> Path:
        """Writes a bundle. The same as `save`.

        Args:
            folder: as for `save`.
            metrics: as for `save`.
            card: as for `save`.
            dtype: as for `save`.

        Raises:
            BundleError: the folder contains something that is not a bundle, or can't be written.
        """
        return self.save(folder, metrics=metrics, card=card, dtype=dtype)

    def push_to_hub(
        self,
        repo: str,
        *,
        private: bool | None = None,
        revision: str | None = None,
        message: str | None = None,
        base: str | None = None,
        rows: bool = False,
        token: str | None = None,
    ) -> Pushed:
        """Uploads the bundle that this model was read from to the Hugging Face hub. The same as `mammal.push_to_hub`.

        The files of the folder are uploaded as they are. Save a model that was made or changed in memory first, and
        open what was saved.

        Args:
            repo: repository, `owner/name`. It is made if it does not exist.
            private: as for `mammal.push_to_hub`.
            revision: as for `mammal.push_to_hub`.
            message: as for `mammal.push_to_hub`.
            base: as for `mammal.push_to_hub`.
            rows: as for `mammal.push_to_hub`.
            token: as for `mammal.push_to_hub`.

        Raises:
            ConfigError: as for `mammal.push_to_hub`.
            BundleError: the model was not read from a folder; or as for `mammal.push_to_hub`.
        """
        from mammal.bundle.push import push_to_hub

        if self.folder is None:
            hint = 'model.save(FOLDER), then mammal.push_to_hub(FOLDER, "owner/name")'
            raise BundleError("the model was not read from a folder, so it has no card and figures to push", hint=hint)
        how: dict[str, Any] = {"private": private, "revision": revision, "message": message, "base": base}
        return push_to_hub(self.folder, repo, rows=rows, token=token, **how)

    def to(self, device: str | torch.device) -> Self:
        """Moves the model to a device, and sets the batch size to the default for it.

        Args:
            device: `"auto"`, `"cpu"`, `"cuda"`, `"cuda:1"`, …, or a device of torch.

        Returns:
            This model.

        Raises:
            ConfigError: there is no such device here.
        """
        from mammal.model.runtime import pick_device
        from mammal.rows.batched import Pace

        place = pick_device(device)
        if place.type != self.device.type:
            self.pace = Pace.of_device(place.type)
        self.model.to(place)
        return self

    @property
    def task_names(self) -> list[str]:
        """Names of the tasks of the bundle."""
        return list(self.tasks)

    def info(self) -> dict[str, Any]:
        """Describes the model and its tasks.

        Returns:
            `parameters` (number of weights), `dtype`, `device`, `tokenizer` (hash of the vocabulary), and `tasks`: for
                each task its `about`, `kind`, `columns` (read), `targets` (predicted), `labels`, `unit`, or `error` if
                it can't be used.
        """
        return {
            "parameters": sum(weight.numel() for weight in self.model.parameters()),
            "dtype": str(self.model.dtype).removeprefix("torch."),
            "device": str(self.device),
            "tokenizer": self.tokenizer.hash,
            "tasks": {name: self._described(name) for name in self.tasks},
        }

    def _described(self, name: str) -> dict[str, Any]:
        try:
            task = self.tasks[name]
        except MammalError as error:
            return {"error": str(error)}
        facts: dict[str, Any] = {
            "about": task.config.about,
            "kind": task.kind,
            "columns": [group[0] for group in task.needed],
            "targets": list(task.target_columns),
            "labels": list(task.config.labels),
            "unit": task.config.unit,
        }
        return {key: value for key, value in facts.items() if value not in ("", [], None)}

    @with_hints()
    def predict_proba(
        self,
        data: Any,
        task: TaskLike | None = None,
        *,
        columns: Mapping[str, str] | str | None = None,
        view: str | Mapping[str, str] | None = None,
        encoding: str | None = None,
        progress: Progress | None = None,
    ) -> np.ndarray:
        """Predicts the probability of each label, as `predict_proba` of scikit-learn does.

        Args:
            data: as for `predict`.
            task: classification task with one target column. Default: the default task.
            columns: as for `predict`.
            view: as for `predict`.
            encoding: as for `predict`.
            progress: function that is called with the number of rows that were just finished.

        Returns:
            float64 array [rows, labels], in the order of the rows, and of the labels of the task
                (`model.find_task(task).config.labels`). A row without an answer is NaN.

        Raises:
            TaskError: the task is not a classification, or it has several target columns.
            DataError: a column that the task reads is missing, or a file can't be read.
        """
        chosen = self.find_task(task, columns, view)
        if chosen.family != "classification":
            hint = "use predict"
            if chosen.family == "token_classification":
                hint = "use predict(..., every_label=True)"
            raise TaskError(f"{chosen.name} is a {chosen.kind} task: it has no probabilities", hint=hint)
        if len(chosen.target_columns) != 1:
            raise TaskError(f"{chosen.name} has several target columns", hint="use predict(..., every_label=True)")
        prefix = "proba_of_mammal_"  # no column of the user's has it
        how: dict[str, Any] = {"columns": columns, "encoding": encoding, "progress": progress, "prefix": prefix}
        how["applicability"] = False
        answered = self.predict(data, chosen, every_label=True, **how)
        names = [f"{prefix}probability_{label}" for label in chosen.config.labels]
        return answered[names].to_numpy(dtype=float, na_value=float("nan"))
