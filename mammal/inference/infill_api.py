"""The method `infill` of the Python API, which `mammal.inference.Mammal` inherits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Unpack

from mammal.errors import DataError, TaskError
from mammal.inference.open_model import OpenModel
from mammal.rows.input_data import is_path
from mammal.rows.tables import own_index

if TYPE_CHECKING:
    import pandas as pd

    from mammal.generation.settings import Settings
    from mammal.rows.task_choice import TaskLike
    from mammal.tasks.kinds.generation import GenerationTask


class Infilling(OpenModel):
    """Fills in hidden parts of sequences with a model and its tasks."""

    def infill(
        self,
        data: Any,
        hidden: str | Sequence[str] | None = None,
        *,
        task: TaskLike | None = None,
        n: int = 1,
        seed: int | Sequence[int] = 0,
        columns: Mapping[str, str] | str | None = None,
        encoding: str | None = None,
        **settings: Unpack[Settings],
    ) -> pd.DataFrame:
        """Fills in the hidden parts of sequences.

            model.infill("EVQLVESGG____SLRLSCAAS")                  # a run of marks is one hidden part
            model.infill("EVQLVESGGGLVQSLRLSCAAS", "10-13", n=5)    # positions count from 1; "10-13; 20" are two parts
            model.infill(chains, fill_length="marked")              # as many residues as there are marks

        Args:
            data: as for `generate`. A data frame or file gives positions in a column `hidden`.
            hidden: hidden positions, the same for all sequences or one text for each. Only if `data` consists of
                sequences (one, a list or a series), not of a table. Default: the marks in the sequences.
            task: task that fills in: a denoising task, or a generation task declared with `infill: true`. Default: the
                only such task of the bundle.
            n: answers for each sequence.
            seed: as for `generate`.
            columns: names of your columns, as `{column of the task: column of your table}`.
            encoding: as for `predict`.
            settings: settings of decoding, see `mammal.generation.settings.Settings`.

        Returns:
            As `generate`. The column `text` is what was filled in, and `completed` the whole sequence.

        Raises:
            TaskError: there is no task that fills in, or several and none was named.
            DataError: the positions do not fit the sequences.
            ConfigError: there is no such setting, or settings contradict each other.
        """
        chosen = self._filling_task(task, columns)
        named = columns if hidden is None else None
        how: dict[str, Any] = {"columns": named, "encoding": encoding, **settings}
        return self.generate(_rows(data, hidden, chosen), chosen, n=n, seed=seed, **how)

    def _filling_task(self, task: TaskLike | None, columns: Mapping[str, str] | str | None) -> GenerationTask:
        from mammal.tasks.kinds.generation import fills_in

        if task is None and not fills_in(self._chosen):
            own = [name for name, known in self.tasks.items() if fills_in(known)]
            if len(own) != 1:
                several = f"several tasks of this model fill in hidden parts: {', '.join(own)}"
                what = several if own else "no task of this model fills in hidden parts"
                raise TaskError(what, hint="task= one of them" if own else "mammal train task=protein_denoising")
            task = own[0]
        chosen = self.find_task(task, columns)
        if not fills_in(chosen):
            hint = "use a denoising task, or a generation task declared with infill: true"
            raise TaskError(f"{chosen.name} does not fill in hidden parts", hint=hint)
        return chosen


def _rows(data: Any, hidden: str | Sequence[str] | None, task: GenerationTask) -> Any:
    """Returns the data with the hidden positions as a column."""
    if hidden is None:
        return data
    texts, given = _listed(data), _listed(hidden)
    if len(task.fills) != 1 or texts is None or given is None:
        hint = "give the positions in a column of the data"
        raise DataError("hidden= works only if the data are sequences", hint=hint)
    given = given * len(texts) if isinstance(hidden, str) else given
    if len(given) != len(texts):
        raise DataError(f"positions are given for {len(given)} of {len(texts)} sequences", where="hidden")
    index, of_places = own_index(data), own_index(hidden)
    if index is not None and of_places is not None and list(index) != list(of_places):
        raise DataError("the index of hidden is not that of the sequences", where="hidden")
    (column,) = task.fills
    rows = [{column: text, task.fill_places[column]: places} for text, places in zip(texts, given, strict=True)]
    if index is None:
        return rows
    import pandas as pd

    return pd.DataFrame(rows, index=index)


def _listed(texts: Any) -> list[str] | None:
    """Returns one text, or several in a list, series or array, as a list. Returns None for other data."""
    if isinstance(texts, str):
        return None if is_path(texts) else [texts]
    one_column = hasattr(texts, "tolist") and getattr(texts, "ndim", 1) == 1
    every = texts.tolist() if one_column else texts
    known = isinstance(every, list | tuple) and all(isinstance(text, str) for text in every)
    return list(every) if known else None
