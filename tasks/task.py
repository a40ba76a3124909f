"""A task joins a declaration to a tokenizer: rows -> prompts -> examples -> batches -> losses, predictions, metrics.

`Task` holds what all kinds share; each kind (`mammal.tasks.kinds`) adds what its targets are and how they are read.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
from torch import Tensor

from mammal.tasks.answers import Answers
from mammal.tasks.batch import Batch, ModelOutput
from mammal.tasks.cells import Row, as_number, as_required_text, is_missing
from mammal.tasks.chemistry import standardise
from mammal.tasks.collate import collate
from mammal.tasks.columns import prompt_columns
from mammal.tasks.conditions import Conditions
from mammal.tasks.errors import DataError, TaskError, unfitted
from mammal.tasks.example import Example
from mammal.tasks.features import build_features
from mammal.tasks.metrics import check_metrics, evaluate, intervals
from mammal.tasks.prediction import Prediction
from mammal.tasks.schema import TaskConfig
from mammal.tasks.views.dna import cropped, dna_columns
from mammal.tasks.views.slots import Shown
from mammal.tokenization.encoding import Encoding
from mammal.tokenization.template import Template

if TYPE_CHECKING:
    from mammal.tasks.grammar.grammar import Grammar, State
    from mammal.tokenization.prompt import Prompt
    from mammal.tokenization.tokenizer import Tokenizer


class Task(ABC):
    """One declared task on one tokenizer.

    Attributes:
        config, tokenizer, template: what it was built from.
        columns: every column that its prompts may read.
        needed: for each thing that a prompt reads, the columns of which a row must have one.
        identities: for each the column that says which thing it is (of a molecule, whatever is shown, its SMILES).
        aliases: what a row may call a column instead; fallbacks: those of them that no declaration names.
        views: of the slots that have a choice (`mammal.tasks.views`), by the column that the template names.
        target_columns: columns that hold what is to be predicted; number_targets: those of them that hold a number.
        molecules, sequences: columns that hold SMILES, and residues or bases; dna: those that hold bases.
        conditions: columns of the input that a row may do without, and that steer generation (`steering`).
        epoch: set by the training loop; varies what is random from pass to pass (views, span corruption).

    Raises:
        TaskError, PromptError: the template does not fit the kind, the labels or the tokenizer.
    """

    target_is_text = False
    """Whether answers are text, to be generated, rather than read off the heads in one pass."""
    fills: tuple[str, ...] = ()
    """Input columns whose hidden stretches answers fill in (`mammal.tasks.infilling`)."""
    ranks = 1
    """Answers of each row that the task's metrics look at."""

    def __init__(self, config: TaskConfig, tokenizer: Tokenizer):
        self.config = config
        self.tokenizer = tokenizer
        self.template = Template(config.prompt.input, config.prompt.target, raw=config.prompt.raw)
        labels = config.labels if config.kind == "classification" else None
        self.template.lint(tokenizer=tokenizer, labels=labels, mode=config.mode)
        columns = prompt_columns(config)
        computed_from = [config.conditions.of] if config.conditions.of else []
        self.columns = list(dict.fromkeys([*columns.inputs, *computed_from]))
        self.target_columns = columns.targets
        self.needed, self.identities, self.aliases = columns.needed, columns.identities, columns.aliases
        self.views, self.fallbacks = columns.views, columns.fallbacks
        self._slots = self.template.columns("input")
        scalars = [slot.column for slot in self.template.slots if slot.kind == "scalar" and slot.part == "target"]
        self.number_targets = list(dict.fromkeys(scalars))
        check_metrics(config.metrics, config.kind, has_numbers=bool(self.number_targets))
        self.molecules, self.sequences = frozenset(columns.molecules), frozenset(columns.sequences)
        self.dna = frozenset(dna_columns(self.template))
        self.numbers = frozenset(slot.column for slot in self.template.slots if slot.kind in ("scalar", "digits"))
        self.steering = Conditions(config, self.template, self.text_if_any)
        self.conditions = self.steering.columns
        self.features = build_features(self.template.slots, config.esm2, self.molecules, self.sequences)
        self.epoch = 0

    @property
    def name(self) -> str:
        return self.config.name

    @property
    def kind(self) -> str:
        return self.config.kind

    @property
    def mode(self) -> str:
        return self.config.mode

    @property
    def draws(self) -> bool:
        """Whether training draws what it shows of a row."""
        worded = any(len(words.wordings) > 1 for words in self.template.words)
        return worded or self.steering.varies or any(slot.varies for slot in self.views.values())

    @property
    def varies(self) -> bool:
        """Whether training rows are read otherwise in every epoch."""
        return self.draws

    # Row -> Prompt

    def prepare(self, row: Row, *, target: bool = False) -> dict[str, str]:
        """The row's cells as the template wants them: standardised, scaled, labels as codes.

        Raises:
            DataError: a column is missing, a cell is empty, a molecule is invalid, a label is unknown.
        """
        given = self.steering.given(row)
        return self._values(row, self.show(row), given, target=target)

    def show(self, row: Row, drawn_for: object | None = None) -> dict[str, Shown]:
        """What the slots with views show of a row.

        Args:
            drawn_for: the row's id: what training shows of it in this epoch; None: what is shown anywhere else.
        """
        read = partial(self.text_if_any, row)
        if drawn_for is None:
            return {column: slot.settled(read) for column, slot in self.views.items()}
        return {column: slot.drawn(read, self._dice(drawn_for, column)) for column, slot in self.views.items()}

    def _dice(self, row_id: object, what: str) -> np.random.Generator:
        """What this epoch draws for one thing of one row."""
        return np.random.default_rng(
            [self.config.view_seed, self.epoch, crc32(str(row_id).encode()), crc32(what.encode())]
        )

    def inputs(self, row: Row) -> dict[str, str]:
        """The row's input cells by their columns (`identities`), for whoever does not read prompts: standardised, a
        molecule of several views as its SMILES."""
        found = {}
        for column in self._slots:
            slot = self.views.get(column)
            if column in self.conditions:
                found |= {name: text for name, text in self.steering.given(row).items() if name == column}
            elif slot is None or len(slot.ways) > 1:
                column = column if slot is None else slot.identity
                found[column] = self._text(row, column)
            else:
                found[column] = slot.settled(partial(self.text_if_any, row)).text
        return found

    def _values(
        self, row: Row, shown: Mapping[str, Shown], given: Mapping[str, str], *, target: bool
    ) -> dict[str, str]:
        values = self.steering.scaled(given)
        for column in self._slots:
            if column not in self.conditions:
                values[column] = shown[column].text if column in shown else self._text(row, column)
        if target:
            values.update(self.prepare_target(row))
        return values

    def _wordings(self, drawn_for: object | None) -> list[int]:
        """Which wording training draws of what the template itself says; the first ones anywhere else."""
        if drawn_for is None or not self.template.words:
            return []
        dice = self._dice(drawn_for, "wordings")
        return [int(dice.integers(len(words.wordings))) for words in self.template.words]

    def prepare_target(self, row: Row) -> dict[str, str]:
        """The target cells as text; generation and denoising write them like input cells."""
        return {column: self._text(row, column) for column in self.target_columns}

    def render(
        self, row: Row, *, target: bool = False, drawn_for: object | None = None, withheld: bool = False
    ) -> Prompt:
        """The prompt of a row; with `target` also the text of the answer, as it would stand on the wire.

        Args:
            drawn_for: see `show`.
            withheld: write no condition, as guidance compares with.
        """
        shown = self.show(row, drawn_for)
        written = {column: view.written_as for column, (view, _) in shown.items()}
        given = {} if withheld else self.steering.given(row)
        if drawn_for is not None and self.steering.varies:
            out = self.steering.withheld(self._dice(drawn_for, "conditions"))
            given = {column: text for column, text in given.items() if column not in out}
        prompt = self.template.render(
            self._values(row, shown, given, target=target),
            target=target,
            written=written,
            absent=self.steering.everything - given.keys(),
            wordings=self._wordings(drawn_for),
        )
        return replace(prompt, sample=self._computed(row)) if self.features else prompt

    def render_for_encoding(
        self, row: Row, *, target: bool = False, drawn_for: object | None = None, withheld: bool = False
    ) -> Prompt:
        """As `render`, without a target text that `encode_prepared` does not read."""
        return self.render(row, target=target and self.target_is_text, drawn_for=drawn_for, withheld=withheld)

    def fill_lengths(self, row: Row) -> list[int]:
        """Tokens that each stretch hides in a row, as marks say; none for tasks that don't fill in."""
        return []

    # Prompt -> Example

    def encode(self, row: Row, row_id: object = 0, *, target: bool = False, judged: bool = False) -> Example:
        """One row, encoded.

        Args:
            target: add what the loss needs, and leave out what it does not.
            judged: with `target`: keep all that `decode` reads, so that one pass gives loss and prediction.
        """
        rendered = [(row_id, row, self.render_for_encoding(row, target=target))]
        return self.encode_prepared(rendered, target=target, judged=judged)[0]

    def encode_prepared(
        self, rendered: Sequence[tuple[object, Row, Prompt]], *, target: bool, judged: bool = False
    ) -> list[Example]:
        """Rows with their prompts, encoded together (the fast path of `encode`)."""
        limits = self.config.max_len
        how: dict[str, Any] = {"on_unknown": self.config.on_unknown}
        prompts = [prompt for _, _, prompt in rendered]
        encodings = self.tokenizer.encode_batch(prompts, max_len=limits.input, **how)
        targets: Sequence[Encoding | None] = [None] * len(prompts)
        if target and self.target_is_text and self.template.target is not None:
            targets = self.tokenizer.encode_batch([str(p.target) for p in prompts], max_len=limits.target, **how)
        if self.config.too_long == "refuse":
            for part, found in (("input", encodings), ("target", targets)):
                _refuse_cut(part, found)
        return [
            self.example(row_id, row, encoding, text, target=target, judged=judged)
            for (row_id, row, _), encoding, text in zip(rendered, encodings, targets, strict=True)
        ]

    @abstractmethod
    def example(
        self,
        row_id: object,
        row: Row,
        encoding: Encoding,
        target_text: Encoding | None,
        *,
        target: bool,
        judged: bool = False,
    ) -> Example:
        """Add to an encoded input what this kind reads and expects; see `encode` for the arguments."""

    # Examples -> Batch -> loss, predictions

    @property
    @abstractmethod
    def wants(self) -> tuple[str, ...]:
        """Heads that a batch of this task needs."""

    @property
    def candidates_V(self) -> np.ndarray | None:
        """Sorted ids that the token head scores; None for all."""
        return None

    def collate(self, examples: Sequence[Example]) -> Batch:
        """Examples of this task as one batch."""
        return collate(
            examples,
            mode=self.mode,
            wants=self.wants,
            pad_id=self.tokenizer.pad_id,
            start_id=self.tokenizer.decoder_start_id if self.mode == "decoder" else self.tokenizer.pad_id,
            candidates_V=self.candidates_V,
            task=self.name,
        )

    @abstractmethod
    def loss(self, output: ModelOutput, batch: Batch) -> Tensor:
        """Scalar training loss of a batch that was encoded with its targets."""

    def decode(self, output: ModelOutput, batch: Batch) -> list[Prediction]:
        """One prediction for each encoder row, in order."""
        raise TaskError(f"{self.name} is a {self.kind} task: its answers are generated", hint="mammal generate")

    def decode_generated(
        self,
        ids: Sequence[int],
        row_id: object,
        score: float | None = None,
        values: Sequence[float] | None = None,
    ) -> Prediction:
        """The prediction that generated token ids make, with the values that they carry (NaN where one has none)."""
        raise TaskError(
            f"{self.name} is a {self.kind} task: its answers are read, not generated", hint="mammal predict"
        )

    def grammar(self, *, prefix: str | None = None, scaffold: str | None = None) -> Grammar | None:
        """Which token of an answer may follow which; None for kinds whose answers have no grammar.

        Args:
            prefix: text that the answer begins with.
            scaffold: a substructure that the answer's molecule keeps.

        Raises:
            TaskError: the answer can't keep to one of them.
        """
        return None

    def grammar_start(self, grammar: Grammar, row: Row) -> State:
        """Where the grammar of the task stands before the first token of a row's answer."""
        return grammar.start()

    def valid(self, ids: Sequence[int]) -> str | None:
        """Why generated token ids are no valid answer; None where they are, and for kinds that don't say."""
        return None

    def problem(self, ids: Sequence[int], row: Row) -> str | None:
        """Why generated token ids are no valid answer to a row; None where they are. As `valid`, which needs no row."""
        return self.valid(ids)

    # Fitting

    def fit(self, rows: Sequence[Row]) -> None:
        """Learn from the training rows what prompts and answers need (scales); forgets any calibration.

        Raises:
            TaskError: the rows can't teach it.
        """
        self.fit_features(rows)

    def fit_features(self, rows: Sequence[Row]) -> None:
        """The part of `fit` without which no prompt can be written: the scales of features and conditions."""
        self.steering.fit(rows)
        for key, feature in self.features.items():
            feature.fit(self._readable(rows, self._featured(key)))

    def calibrate(self, predictions: Sequence[Prediction], rows: Sequence[Row]) -> None:  # noqa: B027
        """Fit calibration on predictions for validation rows; kinds without one do nothing."""

    def state(self) -> dict[str, Any]:
        """What was fitted, as plain values for the bundle's `task.yaml`."""
        stored = {key: state for key, feature in self.features.items() if (state := feature.state())}
        fitted = {"features": stored, "conditions": self.steering.state()}
        return {name: state for name, state in fitted.items() if state}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` gave; the scale of a feature that the prompt does not have is passed over."""
        for key, stored in state.get("features", {}).items():
            if key in self.features:
                self.features[key].load_state(stored)
        self.steering.load_state(state.get("conditions", {}))

    # Judging

    def metrics(self, predictions: Sequence[Prediction], rows: Sequence[Row]) -> dict[str, float]:
        """The task's metrics over rows that were answered and have a label.

        With several target columns: the mean over columns under the metric's name, and `name/column` for each; a column
        for which a metric is undefined is left out. `censored` is the number of labels that were not judged because
        they are bounds, where there are any.
        """
        answers = self.answers(predictions, rows)
        return evaluate(self.config.metrics, answers) | _censored(answers)

    def metric_intervals(
        self, predictions: Sequence[Prediction], rows: Sequence[Row], *, samples: int = 1000, seed: int = 0
    ) -> dict[str, tuple[float, float]]:
        """95 % bootstrap intervals of the same metrics."""
        return intervals(self.config.metrics, self.answers(predictions, rows), samples=samples, seed=seed)

    @abstractmethod
    def answers(self, predictions: Sequence[Prediction], rows: Sequence[Row]) -> dict[str, Answers]:
        """Truth beside answer for each target column, over rows that have both."""

    def truths(self, rows: Sequence[Row]) -> np.ndarray:
        """What rows say of the target columns, [N, K]; kinds that have no labels to count refuse."""
        raise TaskError(f"{self.name} is a {self.kind} task: its targets are text")

    # Helpers of the kinds

    def _text(self, row: Row, column: str) -> str:
        """A cell as its slots write it: molecules standardised, DNA cut to its window, numbers checked."""
        text = as_required_text(row, column, self.aliases)
        if column in self.molecules:
            return standardise(text, self.config.standardise, column)
        if column in self.dna and self.config.data.window is not None:
            return cropped(text, self.config.data.window, self.config.data.window_shift)
        if column in self.numbers:
            as_number(text, column)
        return text

    def text_if_any(self, row: Row, column: str) -> str | None:
        """A cell as its slots write it, None where the row has no such column or nothing in it."""
        value = row.get(column, row.get(self.aliases.get(column, column)))
        return None if is_missing(value) else self._text(row, column)

    def _computed(self, row: Row) -> dict[str, np.ndarray]:
        """Vectors of the feature slots, by the name that the prompt calls them; views play no part in them."""
        for feature in self.features.values():
            if not feature.is_fitted:
                raise unfitted(self.name, feature.name)
        return {key: feature.of(self._text(row, self._featured(key))) for key, feature in self.features.items()}

    def _featured(self, key: str) -> str:
        """The column that a feature is computed from, of a slot with views the one that says which thing it is."""
        column = key.rpartition(".")[0]
        return self.views[column].identity if column in self.views else column

    def _readable(self, rows: Sequence[Row], column: str) -> list[str]:
        texts = []
        for row in rows:
            try:
                texts.append(self._text(row, column))
            except DataError:  # set aside when it is encoded, with this reason
                continue
        return texts

    def mask_positions(self, encoding: Encoding) -> np.ndarray:
        """Positions of the `<MASK>` tokens, in order.

        Raises:
            DataError: truncation, or the template, left another number than there are targets.
        """
        found = np.flatnonzero(encoding.ids_L == self.tokenizer.mask_id)
        wanted = len(self.target_columns)
        if len(found) != wanted:
            raise DataError(f"truncation left {len(found)} <MASK> in the prompt for {wanted} targets")
        return found


def _refuse_cut(part: str, encodings: Sequence[Encoding | None]) -> None:
    for encoding in encodings:
        if encoding is not None and encoding.is_cut:
            what = f"the {part} has more tokens than its limit, which would leave {len(encoding)} of them"
            raise DataError(what, hint="too_long: cut reads them alone; {column:entity@N} allows N")


def _censored(answers: Mapping[str, Answers]) -> dict[str, float]:
    """How many labels are bounds, in all and by column."""
    counts = {f"censored/{column}": float(a.censored) for column, a in answers.items() if a.censored}
    if not counts:
        return {}
    return {"censored": sum(counts.values())} | (counts if len(answers) > 1 else {})


def build_task(config: TaskConfig, tokenizer: Tokenizer) -> Task:
    """The task of a declaration.

    Raises:
        TaskError, PromptError: the declaration does not fit its kind or the tokenizer.
    """
    from mammal.tasks.kinds import KINDS

    return KINDS[config.kind](config, tokenizer)
