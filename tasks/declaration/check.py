"""Builds the declaration of a task from a mapping, and checks its keys and values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import is_dataclass
from math import inf
from typing import Any

from mammal.tasks.declaration.data_config import LEAKAGE, SOURCES, check_data
from mammal.tasks.declaration.generation_settings import choices, problems
from mammal.tasks.declaration.schema import (
    CENSORED,
    CLASS_WEIGHTS,
    FEATURES,
    KINDS,
    LOSSES,
    MODES,
    PROBABILITIES,
    STANDARDISE,
    TOO_LONG,
    UNKNOWNS,
    TaskConfig,
)
from mammal.tasks.declaration.typed import NotTyped, hints_of, typed
from mammal.tasks.errors import TaskError
from mammal.tasks.molecules.policy import POLICY_VALUES
from mammal.tasks.views.declared import check_views
from mammal.tokenization.errors import did_you_mean


def task_config(declared: Mapping[str, Any], *, where: str | None = None) -> TaskConfig:
    """Builds a checked TaskConfig from a mapping.

    Args:
        declared: keys and values of the declaration.
        where: the file, for error messages.

    Raises:
        TaskError: a key is unknown (the message names its path), a value has the wrong type, or values contradict each
            other.
    """
    check_keys(declared, where=where)
    try:
        config = typed(declared, TaskConfig)
    except NotTyped:
        config = _converted(declared, where)
    assert isinstance(config, TaskConfig)
    _write_features(config, where)
    _write_policy(config, where)
    check_values(config, where=where)
    return config


_NO_LIST = "Invalid value assigned: AnyNode is not a ListConfig"
"""How a message of OmegaConf (2.3) begins if a list was declared as one value."""


def _converted(declared: Mapping[str, Any], where: str | None) -> Any:
    """The declaration with values converted to the declared types where OmegaConf can do it (`"5"` to 5)."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        merged = OmegaConf.merge(OmegaConf.structured(TaskConfig), OmegaConf.create(dict(declared)))
        return OmegaConf.to_object(merged)
    except OmegaConfBaseException as error:
        path = str(getattr(error, "full_key", None) or "task")
        what = str(error).splitlines()[0]
        if what.startswith(_NO_LIST):
            found = OmegaConf.select(OmegaConf.create(dict(declared)), path)
            raise TaskError("must be a list", where=_join(where, path), hint=f"{path}: [{found}]") from error
        raise TaskError(what, where=_join(where, path)) from error


def _write_features(config: TaskConfig, where: str | None) -> None:
    """Adds the slots of `features` to the end of the input, unless the template has them already."""
    if config.features and config.prompt.raw:
        hint = "write the prompt as a template of slots, without raw: true"
        raise TaskError("features can't be added to a raw prompt", where=where, hint=hint)
    for feature in config.features:
        column, _, name = feature.rpartition(":")
        if not column or name not in FEATURES:
            hint = f"COLUMN:FEATURE, the feature one of {', '.join(FEATURES)}"
            raise TaskError(f"features has {feature!r}", where=where, hint=hint)
    slots = [f"{{{feature}}}" for feature in config.features]
    config.prompt.input = " ".join([config.prompt.input, *(slot for slot in slots if slot not in config.prompt.input)])


def _write_policy(config: TaskConfig, where: str | None) -> None:
    """Checks `standardise`, and adds the keys of a policy that are not declared, so that bundles store all of them."""
    declared = config.standardise
    if not isinstance(declared, Mapping):
        if declared not in STANDARDISE:
            hint = did_you_mean(str(declared), STANDARDISE, noun="standardise")
            if declared is False:
                hint = 'write "off" with quotes, because YAML reads off as false'
            raise TaskError(f"standardise is {declared!r}", where=where, hint=hint)
        return
    for key, value in declared.items():
        if key not in POLICY_VALUES:
            hint = did_you_mean(str(key), POLICY_VALUES, noun="key")
            raise TaskError(f"unknown key 'standardise.{key}'", where=where, hint=hint)
        if value not in POLICY_VALUES[key]:
            hint = did_you_mean(str(value), POLICY_VALUES[key], noun="value")
            raise TaskError(f"standardise.{key} is {value!r}", where=where, hint=hint)
    config.standardise = {key: declared.get(key, values[0]) for key, values in POLICY_VALUES.items()}


def check_keys(declared: Mapping[str, Any], *, where: str | None = None) -> None:
    """Checks that the schema has every key.

    Args:
        declared: keys and values of the declaration.
        where: the file, for error messages.

    Raises:
        TaskError: a key is unknown; the message gives its path and the nearest valid name.
    """
    _check_keys(declared, TaskConfig, "", where)


def _check_keys(declared: Mapping[str, Any], schema: type, path: str, where: str | None) -> None:
    hints = hints_of(schema)
    names = list(hints)
    for key, value in declared.items():
        here = f"{path}{key}"
        if key not in names:
            hint = did_you_mean(str(key), names, noun=f"key of {path.rstrip('.') or 'a task'}")
            raise TaskError(f"unknown key {here!r}", where=where, hint=hint)
        if is_dataclass(hints[key]):
            if not isinstance(value, Mapping):
                raise TaskError(f"{here!r} must be a mapping, not {value!r}", where=where)
            _check_keys(value, hints[key], f"{here}.", where)


def check_values(config: TaskConfig, *, where: str | None = None) -> None:
    """Checks that values are valid and can be combined.

    Args:
        config: the declaration.
        where: the file, for error messages.

    Raises:
        TaskError: a value is not valid, or values contradict each other.
    """
    for path, value, valid in (
        ("kind", config.kind, KINDS),
        ("mode", config.mode, MODES),
        ("data.source", config.data.source, SOURCES),
        ("probability", config.probability, PROBABILITIES),
        ("loss", config.loss, LOSSES),
        ("on_unknown", config.on_unknown, UNKNOWNS),
        ("too_long", config.too_long, TOO_LONG),
        ("data.leakage", config.data.leakage, LEAKAGE),
        ("censored", config.censored, CENSORED),
        *((f"generation.{name}", value, valid) for name, value, valid in choices(config.generation)),
    ):
        if value not in valid:
            raise TaskError(f"{path} is {value!r}", where=where, hint=did_you_mean(str(value), valid, noun=path))
    for problem in problems(config.generation):
        raise TaskError(f"generation.{problem}", where=where)
    if not config.name:
        raise TaskError("a task needs a name", where=where, hint="name: my_task")
    if not config.prompt.input:
        raise TaskError(f"task {config.name} has no prompt.input", where=where)
    if config.prompt.target is None and config.family != "denoising":
        raise TaskError(f"task {config.name} has no prompt.target", where=where)
    if config.family == "classification":
        _check_labels(config, where)
        _check_class_weights(config, where)
    if config.family in ("features", "token_classification") and config.mode != "encoder":
        raise TaskError(f"a {config.kind} task runs in mode encoder, not {config.mode}", where=where)
    _check_token_labels(config, where)
    _check_feature_weights(config, where)
    if config.family in ("generation", "denoising") and config.mode != "decoder":
        raise TaskError(f"a {config.kind} task runs in mode decoder, not {config.mode}", where=where)
    if config.generation.fill_length == "marked" and config.generation.constraint != "grammar":
        what = f"generation.fill_length needs the grammar, and constraint is {config.generation.constraint}"
        raise TaskError(what, where=where, hint="constraint: grammar")
    _check_consensus(config, where)
    _check_own_head(config, where)
    if config.chain and (config.family, config.mode) != ("regression", "decoder"):
        hint = "kind: regression, mode: decoder; numbers that are generated among text are fed back anyway"
        raise TaskError("chain feeds numbers to the decoder before the next is read", where=where, hint=hint)
    if not (config.unit is None or isinstance(config.unit, str | dict)):
        raise TaskError(f"unit is {config.unit!r}", where=where, hint="text, or a mapping from target columns to text")
    if not 0 <= config.number_weight < inf:
        raise TaskError(f"number_weight must be 0 or more, not {config.number_weight}", where=where)
    if config.scale.std is not None and config.scale.std <= 0:
        raise TaskError(f"scale.std must be positive, not {config.scale.std}", where=where)
    check_views(config.views, config.view, where)
    check_data(config.data, where)


def _check_own_head(config: TaskConfig, where: str | None) -> None:
    if config.own_head and (config.family != "regression" or config.mode != "encoder"):
        what = f"own_head is for kind regression in mode encoder, not {config.kind} in mode {config.mode}"
        raise TaskError(what, where=where, hint="leave own_head out")


def _check_consensus(config: TaskConfig, where: str | None) -> None:
    """A consensus compares samples place by place, so they must have the same length."""
    generation = config.generation
    if not generation.consensus:
        return
    if config.family not in ("generation", "denoising"):
        what = f"generation.consensus is made of generated answers, and a {config.kind} task generates none"
        raise TaskError(what, where=where, hint="leave consensus out")
    if generation.fill_length != "marked":
        what = "generation.consensus compares samples of one length, and generation.fill_length is free"
        raise TaskError(what, where=where, hint="fill_length=marked")
    if generation.num_beams > 1:
        what = f"generation.consensus is made of samples, and generation.num_beams={generation.num_beams} searches"
        raise TaskError(what, where=where, hint="num_beams=1, or consensus=0")
    if generation.no_repeat_ngram_size:
        what = "a consensus of samples without repeats can have repeats, so no_repeat_ngram_size has no effect"
        raise TaskError(what, where=where, hint="no_repeat_ngram_size=0, or consensus=0")


def _check_labels(config: TaskConfig, where: str | None) -> None:
    if len(config.labels) < 2:
        raise TaskError(f"task {config.name} needs at least two labels", where=where, hint='labels: ["0", "1"]')
    for name, values in (("labels", config.labels), ("codes", config.codes)):
        repeated = sorted(value for value, count in Counter(values).items() if count > 1)
        if repeated:
            raise TaskError(f"{name} repeats {', '.join(repeated)}", where=where)
    if config.codes and len(config.codes) != len(config.labels):
        raise TaskError(f"{len(config.codes)} codes for {len(config.labels)} labels", where=where)


MOST_TOKEN_LABELS = 100
"""More labels than this are numbers or words, which belong to other kinds of task."""


def _check_token_labels(config: TaskConfig, where: str | None) -> None:
    if config.family != "token_classification":
        for key in ("labels_of", "labels_at", "missing_label"):
            if getattr(config, key) is not None:
                raise TaskError(f"{key} is for kind token_classification, not {config.kind}", where=where)
        return
    _check_labels(config, where)
    _check_class_weights(config, where)
    if len(config.labels) > MOST_TOKEN_LABELS:
        what = f"{len(config.labels)} labels, and a token can have one of {MOST_TOKEN_LABELS} at most"
        raise TaskError(what, where=where, hint="join rare labels")
    if config.codes:
        raise TaskError("codes are for labels of rows, not for those of tokens", where=where, hint="leave codes out")
    if config.prompt.raw:
        hint = "write the prompt as a template of slots, without raw: true"
        raise TaskError("labels of tokens need to know which text is the sequence", where=where, hint=hint)
    if config.probability != "classes":
        what = "probabilities of the labels of tokens are among the labels"
        raise TaskError(f"{what}, not {config.probability}", where=where, hint="probability: classes")


def _check_class_weights(config: TaskConfig, where: str | None) -> None:
    declared = config.class_weights
    for weights in declared.values() if isinstance(declared, dict) else [declared]:
        if isinstance(weights, list):
            if len(weights) != len(config.labels):
                raise TaskError(f"{len(weights)} class_weights for {len(config.labels)} labels", where=where)
            if not all(isinstance(w, int | float) and not isinstance(w, bool) and 0 < w < inf for w in weights):
                raise TaskError(f"class_weights must be positive numbers, not {weights}", where=where)
        elif weights not in CLASS_WEIGHTS:
            hint = did_you_mean(str(weights), CLASS_WEIGHTS, noun="class_weights")
            raise TaskError(f"class_weights is {weights!r}", where=where, hint=f"{hint}, or one number for each label")


def _join(where: str | None, path: str) -> str:
    return f"{where}: {path}" if where else path


def _check_feature_weights(config: TaskConfig, where: str | None) -> None:
    weights = config.feature_weights
    if weights and config.family != "features":
        raise TaskError(f"feature_weights are for kind features, not {config.kind}", where=where)
    for name, weight in weights.items():
        if not 0 <= weight < inf:
            raise TaskError(f"feature_weights.{name} must be 0 or more, not {weight}", where=where)
