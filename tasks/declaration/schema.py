"""The schema of a task declaration: dataclasses with the keys of every `configs/task/*.yaml`.

The classes are not frozen, because OmegaConf makes the configuration of a frozen class read-only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from mammal.tasks.declaration.data_config import LATER, DataConfig
from mammal.tasks.declaration.generation_settings import (
    HYDRA_NAME,
    AnswerSettings,
    DecodingSettings,
    call_defaults,
    stored_settings,
)
from mammal.tokenization.template_syntax import VALUE_SLOTS

KINDS = {
    "classification": "classification",
    "regression": "regression",
    "generation": "generation",
    "denoising": "denoising",
    "features": "features",
    "token_classification": "token_classification",
}
"""Kind -> its family: which of these six kinds has answers of the same form (labels, numbers, text, hidden text,
vectors, a label for each token).

Metrics, columns of answers, baselines and figures depend on the family alone. `mammal.tasks.kinds` has the classes.
"""
MODES = ("encoder", "decoder")
STANDARDISE = ("off", "check", "canonical", "normalised")
PROBABILITIES = ("classes", "vocabulary")
LOSSES = ("mse", "mae", "rmse")
UNKNOWNS = ("raise", "warn")
TOO_LONG = ("cut", "refuse")
CENSORED = ("one_sided", "exact", "refuse")
CLASS_WEIGHTS = ("none", "balanced")
FEATURES = tuple(name for name, kind in VALUE_SLOTS.items() if kind == "feature")


@dataclass
class PromptConfig:
    """Templates of the prompt.

    Attributes:
        input: template of the encoder input.
        target: template of the target.
        raw: whether the templates are written in the tags of the prompt language, with `{column}` placeholders, and
            used byte for byte.
    """

    input: str = ""
    target: str | None = None
    raw: bool = False


@dataclass
class ScaleConfig:
    """Standardisation of numeric labels: the model is trained on (value - mean) / std.

    Attributes:
        mean: mean of the labels; null: fitted on training rows.
        std: standard deviation of the labels; null: fitted on training rows.
        log: use the decimal logarithm of the label instead of the label, for positive labels that span orders of
            magnitude.
    """

    mean: float | None = None
    std: float | None = None
    log: bool = False


@dataclass
class LengthConfig:
    """Limits on the number of tokens of input and target; null: only the limits of the prompt's segments apply."""

    input: int | None = None
    target: int | None = None


@dataclass
class DecodingConfig(AnswerSettings, DecodingSettings):
    """Settings of decoding of a generation task; a call can change them.

    `mammal.tasks.declaration.generation_settings` declares the keys; docs/generation.md explains them. `constraint`
    also determines the tokens that are scored in training: all tokens with `none`, as in published checkpoints; with
    `alphabet` and `grammar` only tokens that can occur in a target of this task.
    """


@dataclass
class ConditionsConfig:
    """Conditions that steer generation: columns of the input that can be withheld (`mammal.tasks.prompts.conditions`).

    Attributes:
        columns: the columns, which hold numbers or sequences.
        of: column of a molecule; conditions with the name of a property are properties of this molecule.
        drop: probability that training withholds a condition, for each of them independently.
        drop_all: probability that training withholds all conditions at once.
    """

    columns: list[str] = field(default_factory=list)
    of: str | None = None
    drop: float = 0.0
    drop_all: float = 0.0


@dataclass
class DenoisingConfig:
    """Span corruption (Raffel et al. 2020, T5).

    Attributes:
        density: share of tokens that are hidden.
        mean_span: mean length of a hidden span, in tokens.
        seed: seed of the random choice of spans.
    """

    density: float = 0.15
    mean_span: float = 5.0
    seed: int = 0


@dataclass
class PublishedConfig:
    """A published result for comparison.

    Attributes:
        metric: name of its metric.
        figure: its value.
        split: the split on which it was measured.
        source: the publication; without a `figure`, the reason why there is none.
    """

    metric: str | None = None
    figure: float | None = None
    split: str | None = None
    source: str | None = None


@dataclass
class TaskConfig:
    """Declaration of a task: the keys of its YAML file.

    Attributes:
        name: name of the task.
        about: one line about the task.
        kind: `classification`, `regression`, `generation`, `denoising`, `features` or `token_classification` (`KINDS`).
        mode: states of the model from which the heads read: `encoder` or `decoder`.
        data: where rows come from, and how they are split (`mammal.tasks.declaration.data_config.DataConfig`).
        prompt: templates of the input and the target.
        labels: class labels, written as in the file. The last of two is the positive one.
        labels_of: kind `token_classification`: the column of the input whose tokens have the labels. Default: the only
            sequence of the input.
        labels_at: kind `token_classification`: the residues, bases or atoms that have a label, as they are written,
            such as `[S, T, Y]`. Cells and answers have labels for these alone. Default: all of the sequence.
        missing_label: kind `token_classification`: text of a token without a label, in addition to `.`, `-`, blanks and
            empty items.
        codes: text of each label in the target. Default: its index, as digits of equal width.
        probability: `classes`: normalised over the tokens of the classes. `vocabulary`: softmax over all tokens.
        class_weights: classification, and token classification: weight of each label in the loss: `none`, `balanced`
            (the same total for each class), one number for each label, or a mapping from target columns to any of
            these.
        chain: regression in mode `decoder` with several numbers: each number is fed to the decoder before the next one
            is read (a regressor chain). Otherwise, the numbers do not depend on each other.
        own_head: regression in mode `encoder`: the numbers come from a head of this task alone, in place of the scalar
            head that all tasks of a model share.
        scale: standardisation of the numbers: mean, standard deviation, and whether they are logarithms.
        unit: unit of the numbers, or a mapping from target columns to units.
        loss: loss of the numbers: `mse`, `mae` or `rmse`.
        number_weight: generation: weight of the mean loss of a target's numbers next to the loss of its tokens.
        computed: number of the target -> column of the molecule of which it is a property
            (`mammal.tasks.molecules.properties`), for rows without a value of their own.
        censored: meaning of a cell such as `>10` in the loss: `one_sided` (a prediction above 10 is right), `exact`
            (10) or `refuse` (the row is left out).
        standardise: for `molecules`: `off`, `check` (RDKit must be able to read it), `canonical` (RDKit's canonical
            SMILES) or `normalised` (the same, with one spelling for sulfoxides, phosphine oxides, azides and other
            groups that can be written with separated charges); or a mapping with steps on top of the last one, such
            as `{salts: parent, charges: neutral}` (`mammal.tasks.molecules.policy`).
        molecules: columns with SMILES. Default: those that the template writes in the SMILES alphabet.
        max_len: overall limits of tokens of input and target. Default: only the limits of the segments.
        features: slots to add to the end of the input, such as `smiles:descriptors`.
        feature_weights: kind `features`: weight of each predicted feature in the loss, by name. Default: 1 each.
        views: column of a slot -> the forms in which it is shown (`mammal.tasks.views`), as a list, or with a share for
            each. Training samples one for each row and epoch. Default: all forms of a `molecule`; of other slots, the
            text.
        view: form that is shown outside training: one name, or a mapping from columns to names. Default: the first form
            that a row has a value for.
        view_seed: seed for sampling forms.
        conditions: columns of the input that can be missing, and that steer generation.
        esm2: ESM-2 model of slots `{column:esm2}`. Default: the smallest, esm2_t6_8M_UR50D.
        on_unknown: what an unknown character does: `raise` sets the row aside, `warn` encodes `<UNK>`.
        too_long: what happens to a text that is longer than its limit: `cut` reads its beginning, as published prompts
            do; `refuse` sets the row aside.
        generation: how the task decodes.
        infill: generation: rows hide parts of their sequences, which the answer fills in (`mammal.tasks.infilling`).
        infill_lengths: with `infill`, the prompt shows the length of each hidden part: `X` for each residue, `N` for
            each base.
        denoising: density and length of the hidden spans of a denoising task.
        metrics: names of the metrics.
        published: published result that results are compared with.
        checkpoint: id of a published checkpoint that reads this prompt.
        licence: licence of the data.
        citation: publication of the data.
        example: a row for examples and tests.
        version: increases when prompts, labels or splits change.
    """

    name: str = ""
    about: str = ""
    kind: str = ""
    mode: str = "decoder"
    data: DataConfig = field(default_factory=DataConfig)
    prompt: PromptConfig = field(default_factory=PromptConfig)
    labels: list[str] = field(default_factory=list)
    labels_of: str | None = None
    labels_at: list[str] | None = None
    missing_label: str | None = None
    codes: list[str] = field(default_factory=list)
    probability: str = "classes"
    class_weights: Any = "none"
    chain: bool = False
    own_head: bool = False
    scale: ScaleConfig = field(default_factory=ScaleConfig)
    unit: Any = None
    loss: str = "mse"
    number_weight: float = 1.0
    computed: dict[str, str] = field(default_factory=dict)
    censored: str = "one_sided"
    standardise: Any = "normalised"
    molecules: list[str] | None = None
    max_len: LengthConfig = field(default_factory=LengthConfig)
    features: list[str] = field(default_factory=list)
    feature_weights: dict[str, float] = field(default_factory=dict)
    views: dict[str, Any] = field(default_factory=dict)
    view: Any = None
    view_seed: int = 0
    conditions: ConditionsConfig = field(default_factory=ConditionsConfig)
    esm2: str | None = None
    on_unknown: str = "raise"
    too_long: str = "cut"
    generation: DecodingConfig = field(default_factory=DecodingConfig)
    infill: bool = False
    infill_lengths: bool = False
    denoising: DenoisingConfig = field(default_factory=DenoisingConfig)
    metrics: list[str] = field(default_factory=list)
    published: PublishedConfig = field(default_factory=PublishedConfig)
    checkpoint: str | None = None
    licence: str | None = None
    citation: str | None = None
    example: dict[str, str] = field(default_factory=dict)
    version: int = 1

    @property
    def family(self) -> str:
        """The kind whose answers have the same form (`KINDS`)."""
        return KINDS.get(self.kind, self.kind)


LATER_KEYS = {
    "labels_of": None,
    "labels_at": None,
    "missing_label": None,
    "infill_lengths": False,
    "own_head": False,
}
"""Keys of a task that version 0.1 does not have, and their defaults: they are stored only with another value."""


def stored_config(config: TaskConfig) -> dict[str, Any]:
    """Returns a declaration as a bundle stores it: with every key of version 0.1.

    The identity of a task is computed from the same form.
    """
    whole = asdict(config)
    values = {key: value for key, value in whole.items() if key not in LATER_KEYS or value != LATER_KEYS[key]}
    data = {key: value for key, value in values["data"].items() if key not in LATER or value != LATER[key]}
    return {**values, "data": data, "generation": stored_settings(values["generation"])}


def register_schema() -> None:
    """Registers the schema of a task and the settings of generation with Hydra; they are not in a YAML file."""
    from hydra.core.config_store import ConfigStore

    store = ConfigStore.instance()
    if "schema.yaml" not in store.repo.get("task", {}):  # a launcher can have given the process another store
        store.store(group="task", name="schema", node=TaskConfig)
        store.store(name=HYDRA_NAME, node=call_defaults())


def unit_text(unit: str | Mapping[str, str] | None) -> str:
    """Returns a task's unit in words; empty if it has none."""
    if isinstance(unit, Mapping):
        return ", ".join(f"{column} in {of_column}" for column, of_column in unit.items())
    return unit or ""
