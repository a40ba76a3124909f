"""The settings with which users control generation, and how they are resolved.

The Python API, the command line and batch jobs have the same settings with the same names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from textwrap import indent
from typing import TYPE_CHECKING, Any, TypedDict

from mammal.decoding.config import GenerationConfig
from mammal.errors import ConfigError, TaskError, did_you_mean
from mammal.generation.other_names import our_names, without_zero_temperature
from mammal.generation.setting_types import OF_DRAWS, check_used, in_force, typed
from mammal.generation.stop_tokens import stop_ids
from mammal.rows.task_choice import changed_task
from mammal.tasks.declaration.generation_settings import SETTINGS, DecodingSettings, help_lines, of_way

if TYPE_CHECKING:
    from mammal.generation.samples import Rules
    from mammal.tasks.kinds.generation import GenerationTask
    from mammal.tokenization import Tokenizer


class Settings(TypedDict, total=False):
    """Settings of decoding, with the names and types that `mammal.tasks.declaration.generation_settings` declares.

    docs/generation.md describes each of them. A setting that is missing or None has the value that the task declares.

    If `do_sample` is not set, sequences are sampled if there are several for each row, or if a setting of sampling is
    given (`temperature`, `top_k`, `top_p`, `min_p`, `max_draws`, `faithful`, `consensus`, `seed_column`). Otherwise,
    the most likely sequence is searched.
    """

    constraint: str | None
    fill_length: str | None
    max_draws: int | None
    faithful: bool | None
    consensus: int | None
    max_new_tokens: int | None
    min_new_tokens: int | None
    repetition_penalty: float | None
    no_repeat_ngram_size: int | None
    guidance: float | None
    do_sample: bool | None
    temperature: float | None
    top_k: int | None
    top_p: float | None
    min_p: float | None
    num_beams: int | None
    num_beam_groups: int | None
    diversity_penalty: float | None
    length_penalty: float | None
    early_stopping: bool | None
    drafts: bool | int | None
    starts_with: str | None
    scaffold: str | None
    distinct: bool | None
    stop: str | Sequence[str] | None
    seed_column: str | None


Settings.__doc__ = f"{Settings.__doc__}\n    Keys:\n{indent(help_lines(), ' ' * 8)}"

_KINDS = {"n": int, **{name: known.kind for name, known in SETTINGS.items()}}
_OF_FILLS = ("fill_length", "consensus")
"""Settings of infilling."""
_OF_TASK = (*(name for name, known in SETTINGS.items() if known.use.choices), "consensus")
"""Settings that change the task itself."""
_OF_DECODING = frozenset(field.name for field in fields(GenerationConfig))
_PROMPT_TOKENS = 256
"""Maximum number of tokens that are generated for a prompt without a task."""


@dataclass(frozen=True)
class ResolvedSettings:
    """The result of combining the settings of a task with those of a user.

    Attributes:
        task: the task with the changed settings. None: rows are prompts.
        config: settings of decoding.
        rules: rules for valid sequences.
        seed_column: see `Settings`.
        redraws: whether a sequence can be sampled more than once.
    """

    task: GenerationTask | None
    config: GenerationConfig
    rules: Rules
    seed_column: str | None = None

    @property
    def redraws(self) -> bool:
        return self.config.do_sample and self.rules.redraws


def resolve(task: GenerationTask | None, tokenizer: Tokenizer, n: int, settings: Mapping[str, Any]) -> ResolvedSettings:
    """Combines the settings that a task declares with those of a user.

    Args:
        task: the task. None: rows are prompts.
        tokenizer: finds the ids of stop tokens.
        n: sequences for each row.
        settings: settings by name. None as a value: the task decides.

    Raises:
        ConfigError: a setting is unknown or has a wrong value, or settings contradict each other.
        TaskError: a setting does not fit the task.
    """
    settings = without_zero_temperature(our_names(settings) | {"n": n})
    n = settings.pop("n")
    given = {name: value for name, value in settings.items() if value is not None}
    if unknown := sorted(set(given) - set(SETTINGS)):
        raise ConfigError(f"unknown setting {unknown[0]!r}", hint=did_you_mean(unknown[0], SETTINGS, noun="setting"))
    given = typed({"n": n, **given}, _KINDS)
    n = given.pop("n")
    if n < 1:
        raise ConfigError(f"n must be at least 1, not {n}")
    if task is None and (refused := sorted(name for name in given if SETTINGS[name].use.needs_task)):
        raise ConfigError(f"{refused[0]} needs a task", hint="task=NAME")
    if task is not None:
        task = _changed(task, {name: given[name] for name in _OF_TASK if name in given})
    rules = _rules(task, given)
    if given.get("distinct"):
        from mammal.generation.sameness import sameness

        rules = replace(rules, identity=sameness(task))
    config = _config(task, tokenizer, n, given, rules)
    if config.guidance != 1 and rules.without is None:
        raise ConfigError(
            f"guidance needs conditions, but the task {task.name if task else ''} has none",
            hint="conditions: {columns: […]} in its file (docs/generation.md)",
        )
    return ResolvedSettings(task, config, rules, given.get("seed_column"))


def _changed(task: GenerationTask, changes: Mapping[str, Any]) -> GenerationTask:
    """Returns the task with changed settings of generation.

    Raises:
        TaskError: the changes do not fit the task.
    """
    if not task.fills and (idle := [name for name in _OF_FILLS if changes.get(name)]):
        raise TaskError(f"{task.name} does not fill in hidden parts, so {idle[0]} has no effect")
    if changes.get("consensus"):
        without_beams = {name: SETTINGS[name].default for name in of_way("beams")} | {"num_beams": 1}
        changes = {**without_beams, **changes}
    return changed_task(task, {"generation": changes}) if changes else task


def declared_generation(task: GenerationTask) -> GenerationConfig:
    """Returns the settings of decoding that a task declares."""
    asked = {known.name: getattr(task.config.generation, known.name) for known in fields(DecodingSettings)}
    return GenerationConfig(**asked, scalar_id=task.tokenizer.scalar_id if "values" in task.wants else None)


def declared_rules(
    task: GenerationTask,
    *,
    max_draws: int | None = None,
    faithful: bool | None = None,
    starts_with: str | None = None,
    scaffold: str | None = None,
) -> Rules:
    """Returns the rules that a task declares for its answers. The other arguments change them.

    Args:
        task: the task.
        max_draws: how often a sequence is sampled at most. None: the task decides.
        faithful: see `mammal.generation.samples.Rules`. None: the task decides.
        starts_with: text with which each answer starts.
        scaffold: scaffold that each molecule must contain.

    Raises:
        ConfigError: `max_draws` is less than 1, or `faithful` is requested without a grammar.
        TaskError: `starts_with` or `scaffold` is not possible for the task.
    """
    from mammal.generation.samples import MAX_DRAWS, Rules
    from mammal.rows.batched import TaskEncoder

    by_grammar = task.config.generation.constraint == "grammar"
    draws = task.config.generation.max_draws if max_draws is None else max_draws
    if draws is not None and draws < 1:
        raise ConfigError(f"max_draws must be at least 1, not {draws}")
    grammar = task.grammar(prefix=starts_with, scaffold=scaffold) if by_grammar else None
    return Rules(
        grammar=grammar,
        start=partial(task.grammar_start, grammar) if grammar is not None and task.fills else None,
        invalid_reason=partial(task.invalid_reason, scaffold=scaffold) if by_grammar or draws is not None else None,
        without=TaskEncoder(task, absent=True) if task.conditions else None,
        max_draws=draws or (MAX_DRAWS if by_grammar else 1),
        faithful=_faithful(task, faithful, steered=starts_with is not None or scaffold is not None),
        consensus=task.config.generation.consensus,
    )


def _faithful(task: GenerationTask, asked: bool | None, *, steered: bool) -> bool:
    """Decides whether sampling corrects for the grammar.

    By default it does not if a start or scaffold is required, because the model rarely produces it and sequences would
    be sampled again very often.

    Raises:
        ConfigError: it is requested, but the answer has no grammar.
    """
    by_grammar = task.config.generation.constraint == "grammar"
    if asked and not by_grammar:
        what = f"faithful needs the grammar of the target, but constraint is {task.config.generation.constraint}"
        raise ConfigError(what, hint="constraint=grammar")
    return by_grammar and (task.config.generation.faithful and not steered if asked is None else asked)


def _rules(task: GenerationTask | None, given: Mapping[str, Any]) -> Rules:
    from mammal.generation.samples import Rules

    if task is None:
        return Rules()
    kept = {name: given[name] for name in ("starts_with", "scaffold") if name in given}
    if kept and task.config.generation.constraint != "grammar":
        what = f"{next(iter(kept))} needs the grammar of the target, but constraint is"
        raise ConfigError(f"{what} {task.config.generation.constraint}", hint="constraint=grammar")
    return declared_rules(task, max_draws=given.get("max_draws"), faithful=given.get("faithful"), **kept)


def _config(
    task: GenerationTask | None, tokenizer: Tokenizer, n: int, given: Mapping[str, Any], rules: Rules
) -> GenerationConfig:
    base = GenerationConfig(max_new_tokens=_PROMPT_TOKENS) if task is None else declared_generation(task)
    how = {name: value for name, value in given.items() if name in _OF_DECODING}
    draws, beams = in_force(given, OF_DRAWS), how.get("num_beams", base.num_beams)
    if draws and "num_beams" in how and beams > 1:
        what = f"{draws[0]} is a setting of sampling, but num_beams is {beams}"
        raise ConfigError(what, hint="sampling and beam search exclude each other")
    drawn = bool(draws) or (n > 1 and beams == 1)
    if rules.consensus:
        _check_consensus({"n": n, **given})
        how["do_sample"] = True
    if how.setdefault("do_sample", drawn or (base.do_sample and "num_beams" not in how)):
        how.setdefault("num_beams", 1)
    elif n > max(beams, 1):
        searched = f"num_beams is {beams}" if beams > 1 else "without beams the search finds one sequence"
        raise ConfigError(f"n is {n}, but {searched}", hint=f"num_beams={n}, or do_sample=true")
    if "stop" in given:
        how["stop_ids"] = _stop_ids(given["stop"], task, tokenizer, rules)
    if how.get("num_beams", base.num_beams) == 1:
        base = base.without_beams()
    config = replace(base, **how, num_return_sequences=n, scalar_id=tokenizer.specials.get("<SCALAR>"))
    check_used(given, config)
    return config


def _check_consensus(given: Mapping[str, Any]) -> None:
    """Refuses settings that contradict the consensus of a task or call."""
    n, beams = given["n"], given.get("num_beams", 1)
    for name, wrong, why in (
        ("n", n > 1, f"is one answer, and n is {n}"),
        ("distinct", given.get("distinct"), "is one answer, and distinct is for several"),
        ("num_beams", beams > 1, f"is made of samples, and num_beams={beams} searches"),
        ("do_sample", given.get("do_sample") is False, "is made of samples, and do_sample is false"),
        ("stop", given.get("stop"), "needs answers of one length, and stop ends some of them earlier"),
        ("no_repeat_ngram_size", given.get("no_repeat_ngram_size"), "of samples without repeats can have repeats"),
    ):
        if wrong:
            raise ConfigError(f"a consensus {why}", hint=f"leave out {name}, or consensus=0")


def _stop_ids(stop: Any, task: GenerationTask | None, tokenizer: Tokenizer, rules: Rules) -> tuple[int, ...]:
    open_V = rules.grammar.ids_V if rules.grammar is not None else None if task is None else task.candidates_V
    return stop_ids(stop, tokenizer, open_V, whole=rules.grammar is not None)
