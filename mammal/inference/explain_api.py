"""The method `explain` of the Python API, which `mammal.inference.Mammal` inherits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mammal.inference.answers_api import answer_frame
from mammal.inference.open_model import OpenModel
from mammal.inference.other_arguments import with_hints
from mammal.rows.tables import row_table

if TYPE_CHECKING:
    import pandas as pd

    from mammal.rows.batched import Progress
    from mammal.rows.task_choice import TaskLike


class Explaining(OpenModel):
    """Explains the predictions of a model, with its tokenizer and its tasks."""

    @with_hints()
    def explain(
        self,
        data: Any,
        task: TaskLike | None = None,
        *,
        method: str = "integrated_gradients",
        target: str | None = None,
        label: str | None = None,
        baseline: str = "mask",
        steps: int = 32,
        tolerance: float = 0.01,
        fragments: str = "groups",
        window: int | None = None,
        every_token: bool = False,
        long: bool = False,
        columns: Mapping[str, str] | str | None = None,
        view: str | Mapping[str, str] | None = None,
        encoding: str | None = None,
        prefix: str = "",
        progress: Progress | None = None,
    ) -> pd.DataFrame:
        """Computes how much each atom, residue, base or token of a row contributes to its prediction.

        A regression is explained in the unit of its file, or in decimal logarithms of it if the task declares
        `scale.log`. A classification is explained in log-odds of a label (natural logarithm), before calibration.
        Atoms are numbered in the order of the SMILES that the model reads (column `read`), which can be another SMILES
        of the molecule than yours.

        Args:
            data: as for `predict`.
            task: a classification or a regression. Default: the default task.
            method: `"integrated_gradients"`: attributions that sum to `output` minus `baseline` (needs the extra
                `explain`). `"occlusion"`: how much `output` falls if a substructure or a window of a sequence is
                masked.
            target: target column that is explained, of a task with several. Default: the only one.
            label: label whose log-odds are explained. Default: the positive one of two labels, the predicted one of
                more.
            baseline: token whose embedding replaces the tokens of your values in the baseline and where something is
                masked: `"mask"` (`<MASK>`) or `"pad"` (`<PAD>`). Numbers lose their value instead.
            steps: steps of the integral at first. It is computed again with twice as many, up to 1,024, for rows
                whose error is above `tolerance`.
            tolerance: largest difference between the sum of the attributions and `output` minus `baseline`, as a share
                of the latter (at least 0.1 in log-odds or standard deviations of the target).
            fragments: occlusion of molecules: `"groups"` (ring systems, functional groups and chains), `"brics"` or
                `"atom"`.
            window: occlusion of sequences: residues, bases or tokens that are masked together. A variant is always
                masked alone. Default: 1, or as many as give 64 windows.
            every_token: attributions of tokens instead of atoms, residues and bases.
            long: one line for each part instead of one for each row.
            columns: as for `predict`.
            view: as for `predict`.
            encoding: as for `predict`.
            prefix: text before the names of the added columns.
            progress: function that is called with the number of rows that were just explained.

        Returns:
            Your rows with the columns that `mammal.explanation.records` lists: `explained` (what it is), `output`,
                `baseline`, `difference` and `steps`; `read`, `part`, `parts` and `attribution` (float32, one number for
                each part) of each column that the task reads; `fragments` with occlusion; `cut` if any row was cut; and
                `error`. With `long` one line for each part, with `row`, `column`, `position` and `text`.

        Raises:
            TaskError: there is no such task; it is not a classification or regression; it has several targets and none
                is named; or its probe reads features of whole molecules or DNA.
            ConfigError: an option is wrong, or captum is not installed.
            DataError: a column that the task reads is missing, or a file can't be read.
        """
        from mammal.explanation.question import Explain

        chosen = self.find_task(task, columns, view)
        how: dict[str, Any] = {"method": method, "target": target, "label": label, "baseline": baseline}
        how |= {"steps": steps, "tolerance": tolerance, "fragments": fragments, "window": window}
        how |= {"every_token": every_token, "long": long, "prefix": prefix}
        question = Explain(self.model, chosen, self.pace, **how)
        question.reading = question.reading.with_mapping(chosen, columns)
        frame = answer_frame(question, row_table(data, question.reading, encoding), prefix, progress)
        return frame.astype({column.name: "Int64" for column in question.columns if column.holds == "integer"})
