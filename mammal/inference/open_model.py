"""Declares the members that the base classes of `mammal.Mammal` share. Each base class is in a file of its own."""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from mammal.bundle.card import Card
    from mammal.model.model import MammalModel
    from mammal.rows.batched import Pace
    from mammal.rows.task_choice import TaskLike
    from mammal.tasks.pretraining.pretraining_rows import PretrainingRows
    from mammal.tasks.task import Task
    from mammal.tokenization import Tokenizer


class OpenModel(Protocol):
    """A model with its tokenizer and its tasks. `mammal.Mammal` has all members, with their descriptions."""

    model: MammalModel
    tokenizer: Tokenizer
    tasks: MutableMapping[str, Task]
    pace: Pace
    config_dirs: Sequence[str | Path]
    folder: Path | None
    pretraining: PretrainingRows
    _chosen: Task | None

    @property
    def device(self) -> torch.device: ...

    @property
    def task(self) -> Task: ...

    def find_task(
        self,
        task: TaskLike | None = None,
        columns: Mapping[str, str] | str | None = None,
        view: str | Mapping[str, str] | None = None,
    ) -> Task: ...

    def predict(self, *args: Any, **kwargs: Any) -> pd.DataFrame: ...

    def generate(self, *args: Any, **kwargs: Any) -> pd.DataFrame: ...

    def save(
        self,
        folder: str | os.PathLike[str],
        *,
        metrics: Mapping[str, Any] | None = None,
        card: Card | None = None,
        dtype: str = "float32",
    ) -> Path: ...
