"""Writing of rows as prompts: standardised cells, choice of views and wordings, conditions given or withheld.

`mammal.tasks.batches.row_examples` encodes prompts, and `mammal.tasks.task` adds the labels of rows.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np

from mammal.tasks.declaration.schema import TaskConfig
from mammal.tasks.errors import DataError, unfitted
from mammal.tasks.features import build_features
from mammal.tasks.molecules.chemistry import standardise, standardised
from mammal.tasks.molecules.policy import Standardised, standard_of
from mammal.tasks.prompts.columns import prompt_columns
from mammal.tasks.prompts.conditions import Conditions
from mammal.tasks.sequences.residues import protein_columns, upper_case_residues
from mammal.tasks.tables.cells import Row, as_number, as_required_text, is_missing
from mammal.tasks.views.dna import cropped, dna_columns
from mammal.tasks.views.slots import Shown
from mammal.tokenization.strands import reverse_complement_in_place
from mammal.tokenization.template import Template

if TYPE_CHECKING:
    from mammal.tasks.features.feature import Feature
    from mammal.tokenization.prompt import Prompt
    from mammal.tokenization.tokenizer import Tokenizer


logger = logging.getLogger(__name__)


class RowPrompts:
    """The prompts of one declared task on one tokenizer.

    Attributes:
        config: the declaration.
        tokenizer: the tokenizer that encodes the prompts.
        template: template of the prompts.
        columns: every column that the prompts can read.
        beside: further columns that prompts use if a row has them: places of hidden stretches, and the molecule from
            which conditions are computed.
        needed: for each entity or value that a prompt reads, the columns of which a row must have one.
        identities: for each of these, the column that identifies it (for a molecule its SMILES, even if another form is
            shown).
        aliases: column -> another name that it can have in a row.
        fallbacks: those aliases that the declaration does not name.
        views: views of the slots that have several (`mammal.tasks.views`), by the column that the template names.
        target_columns: columns that are predicted.
        molecules: columns that hold SMILES.
        standard: how molecules are standardised.
        sequences: columns that hold residues or bases.
        dna: columns that hold bases.
        proteins: columns that hold residues.
        conditions: columns of the input that a row may lack, and that steer generation.
        steering: these conditions, with their scales.
        other_strand: whether DNA is read from its other strand, as the view `reverse_complement` shows it. Set while
            probes are fitted on both strands (`reading_other_strand`).
        epoch: number of the epoch, set by the training loop; changes random choices between epochs (views, span
            corruption).

    Raises:
        TaskError: the template does not fit the labels or the tokenizer.
        PromptError: the template is malformed.
    """

    def __init__(self, config: TaskConfig, tokenizer: Tokenizer):
        self.config = config
        self.tokenizer = tokenizer
        self.template = Template(config.prompt.input, config.prompt.target, raw=config.prompt.raw)
        of_tokens = config.family == "token_classification"
        labels = config.labels if of_tokens or config.family == "classification" else None
        features = config.family == "features"
        self.template.lint(
            tokenizer=tokenizer, labels=labels, mode=config.mode, features=features, token_labels=of_tokens
        )
        columns = prompt_columns(config)
        self.columns = columns.inputs
        self.beside = [config.conditions.of] if config.conditions.of else []
        self.target_columns = columns.targets
        self.needed, self.identities, self.aliases = columns.needed, columns.identities, columns.aliases
        self.views, self.fallbacks = columns.views, columns.fallbacks
        self._slots = self.template.columns("input")
        self.molecules, self.sequences = frozenset(columns.molecules), frozenset(columns.sequences)
        self.standard = standard_of(config.standardise)
        self.dna = frozenset(dna_columns(self.template))
        self.proteins = frozenset(protein_columns(self.template))
        self._folded: set[str] = set()
        self.numbers = frozenset(s.column for s in self.template.slots if s.value is not None and s.value.is_number)
        self.steering = Conditions(config, self.template, self.text_if_any, self.molecules)
        self.conditions = self.steering.columns
        read = [slot for slot in self.template.slots if slot.part == "input"]
        self.features = build_features(read, config.esm2, self.molecules, self.sequences)
        self.epoch = 0
        self.other_strand = False

    @contextmanager
    def reading_other_strand(self) -> Iterator[None]:
        """Reads all DNA of rows from its other strand while the context is open."""
        self.other_strand = True
        try:
            yield
        finally:
            self.other_strand = False

    @property
    def name(self) -> str:
        """Name of the task."""
        return self.config.name

    @property
    def kind(self) -> str:
        return self.config.kind

    @property
    def family(self) -> str:
        """The kind whose answers have the same form: classification, regression, generation or denoising."""
        return self.config.family

    @property
    def mode(self) -> str:
        return self.config.mode

    @property
    def draws(self) -> bool:
        """Whether training chooses the form of a row's prompt at random."""
        worded = any(len(words.wordings) > 1 for words in self.template.words)
        return worded or self.steering.varies or any(slot.varies for slot in self.views.values())

    def prepare(self, row: Row, *, target: bool = False) -> dict[str, str]:
        """Returns the cells of a row as the template needs them: standardised, scaled, and labels as codes.

        Args:
            row: columns of the user.
            target: include the target columns.

        Raises:
            DataError: a column is missing, a cell is empty, a molecule is not valid, or a label is unknown.
        """
        given = self.steering.given(row)
        return self._values(row, self.show(row), given, target=target)

    def show(self, row: Row, drawn_for: object | None = None) -> dict[str, Shown]:
        """Returns the forms that the slots with views show for a row.

        Args:
            row: the row.
            drawn_for: id of the row: return the forms that training samples for it in this epoch. None: return the
                forms that are shown outside training.
        """
        read = partial(self.text_if_any, row)
        if drawn_for is None:
            return {column: slot.fixed(read) for column, slot in self.views.items()}
        return {column: slot.drawn(read, self._random_state(drawn_for, column)) for column, slot in self.views.items()}

    def _random_state(self, row_id: object, what: str) -> np.random.Generator:
        """Random state for one choice for one row in this epoch."""
        return np.random.default_rng(
            [self.config.view_seed, self.epoch, crc32(str(row_id).encode()), crc32(what.encode())]
        )

    def inputs(self, row: Row) -> dict[str, str]:
        """Returns the row's standardised input cells by column (`identities`), for models that do not read prompts.

        A molecule with several views is returned as its SMILES.
        """
        found: dict[str, str] = {}
        for column in self._slots:
            slot = self.views.get(column)
            if column in self.conditions:
                found |= {name: text for name, text in self.steering.given(row).items() if name == column}
            elif slot is None or len(slot.ways) > 1:
                column = column if slot is None else slot.identity
                found[column] = self._text(row, column)
            else:
                found[column] = slot.fixed(partial(self.text_if_any, row)).text
        return found

    @property
    def molecule_slots(self) -> list[str]:
        """The columns of the input that the template writes as molecules, in the order of the template."""
        written = [column for column in self._slots if column not in self.numbers]
        identity_of = {column: slot.identity for column, slot in self.views.items()}
        return [column for column in written if identity_of.get(column, column) in self.molecules]

    def molecules_read(self, row: Row) -> dict[str, Standardised | None]:
        """Returns what the prompt of a row shows of its molecules, and how that differs from the row.

        Args:
            row: columns of the user.

        Returns:
            For each of `molecule_slots` the text and the changes; None for a condition that the row lacks. A form that
            is not computed from a SMILES (a name) has no changes.

        Raises:
            DataError: as for `prepare`.
        """
        texts, shown = self.prepare(row), self.show(row)
        found: dict[str, Standardised | None] = {}
        for slot in self.molecule_slots:
            view = shown[slot].view if slot in shown else None
            column = slot if view is None else self.views[slot].source(view)
            changes = self.changes(row, column) if slot in texts and column in self.molecules else ""
            found[slot] = Standardised(texts[slot], changes) if slot in texts else None
        return found

    def changes(self, row: Row, column: str) -> str:
        """Returns how the molecule that prompts show differs from that of a row; empty if nothing does.

        Args:
            row: columns of the user.
            column: column of the molecule.

        Raises:
            DataError: the cell is empty, or RDKit can't parse it.
        """
        return standardised(as_required_text(row, column, self.aliases), self.standard, column).changes

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
        """Indices of the wordings of the template's own text that training samples; outside training the first ones."""
        if drawn_for is None or not self.template.words:
            return []
        rng = self._random_state(drawn_for, "wordings")
        return [int(rng.integers(len(words.wordings))) for words in self.template.words]

    def prepare_target(self, row: Row) -> dict[str, str]:
        """Returns the target cells as text, written like input cells; some kinds of task write them differently."""
        return {column: self._text(row, column) for column in self.target_columns}

    def render(
        self, row: Row, *, target: bool = False, drawn_for: object | None = None, withheld: bool = False
    ) -> Prompt:
        """Writes the prompt of a row.

        Args:
            row: columns of the user.
            target: also write the text of the answer.
            drawn_for: id of the row: write what training samples for it in this epoch. None: what is written outside
                training.
            withheld: write no condition, as guidance needs it for comparison.

        Raises:
            DataError: a column is missing, a cell is empty, a molecule is not valid, or a label is unknown.
            PromptError: a value contains syntax of the prompt language.
        """
        shown = self.show(row, drawn_for)
        written = {column: view.written_as for column, (view, _) in shown.items()}
        out = self.steering.everything if withheld else frozenset()
        if drawn_for is not None and self.steering.varies:
            out |= self.steering.withheld(self._random_state(drawn_for, "conditions"))
        given = self.steering.given(row, out)
        prompt = self.template.render(
            self._values(row, shown, given, target=target),
            target=target,
            written=written,
            absent=self.steering.everything - given.keys(),
            wordings=self._wordings(drawn_for),
        )
        return replace(prompt, sample=self._computed(row)) if self.features else prompt

    def fit_features(self, rows: Sequence[Row]) -> None:
        """Fits the scales of features and conditions on training rows; prompts can't be written without them."""
        self.steering.fit(rows)
        for key, feature in self.features.items():
            feature.fit(self._readable(rows, self._featured(key)))

    @property
    def features_are_fitted(self) -> bool:
        """Whether the scales of features are known."""
        return all(feature.is_fitted for feature in self.features.values())

    def feature_texts(self, rows: Sequence[Row]) -> list[tuple[Feature, list[str]]]:
        """Returns the features that rows need, each with the texts it is computed from; unreadable cells are left out.

        Args:
            rows: the rows.
        """
        return [(feature, self._readable(rows, self._featured(key))) for key, feature in self.features.items()]

    def fitted(self) -> dict[str, Any]:
        """Returns the scales of features and conditions, as plain values."""
        stored = {key: state for key, feature in self.features.items() if (state := feature.state())}
        fitted = {"features": stored, "conditions": self.steering.state()}
        return {name: state for name, state in fitted.items() if state}

    def load_fitted(self, state: Mapping[str, Any]) -> None:
        """Restores what `fitted` returned. The scale of a feature that the prompt does not have is ignored."""
        for key, stored in state.get("features", {}).items():
            if key in self.features:
                self.features[key].load_state(stored)
        self.steering.load_state(state.get("conditions", {}))

    def _text(self, row: Row, column: str) -> str:
        """A cell as slots write it: molecules are standardised, DNA is cropped to its window, numbers are checked."""
        text = as_required_text(row, column, self.aliases)
        if column in self.molecules:
            return standardise(text, self.standard, column)
        if column in self.dna:
            return self._bases(text)
        if column in self.numbers:
            as_number(text, column)
        return self._upper_case(text, column) if column in self.proteins else text

    def _bases(self, text: str) -> str:
        """DNA, cropped to the window of the task; its other strand covers the same bases."""
        if self.config.data.window is not None:
            text = cropped(text, self.config.data.window, self.config.data.window_shift)
        return reverse_complement_in_place(text) if self.other_strand else text

    def _upper_case(self, text: str, column: str) -> str:
        """Residues in upper case. The first time that this changes a column's value, a warning is logged."""
        folded = upper_case_residues(text)
        if folded != text and column not in self._folded:
            self._folded.add(column)
            logger.warning("column %s: residues in lower case are read as upper case; the first: %.20s", column, text)
        return folded

    def text_if_any(self, row: Row, column: str) -> str | None:
        """Returns a cell as slots write it, None if the row lacks the column or the cell is empty."""
        value = row.get(column, row.get(self.aliases.get(column, column)))
        return None if is_missing(value) else self._text(row, column)

    def _computed(self, row: Row) -> dict[str, np.ndarray]:
        """Vectors of the feature slots, by their key in the prompt; they do not depend on views."""
        for feature in self.features.values():
            if not feature.is_fitted:
                raise unfitted(self.name, feature.name)
        return {key: feature.of(self._text(row, self._featured(key))) for key, feature in self.features.items()}

    def _featured(self, key: str) -> str:
        """The column from which a feature is computed; for a slot with views, the column that identifies its entity."""
        column = key.rpartition(".")[0]
        return self.views[column].identity if column in self.views else column

    def _readable(self, rows: Sequence[Row], column: str) -> list[str]:
        texts = []
        for row in rows:
            try:
                texts.append(self._text(row, column))
            except DataError:  # encoding refuses the row with this reason
                continue
        return texts
