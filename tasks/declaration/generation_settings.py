"""Declaration of every setting of generation: its type, default, range, use and one line of help.

A setting is declared only here. The keys of a task's `generation:` (`mammal.tasks.declaration.schema`), the fields of
`mammal.decoding.GenerationConfig`, the keys of `mammal generate` and their help, the options of batch jobs, the
arguments of `Mammal.generate`, and the checks of all of these are derived from it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, Literal, get_type_hints

CONSTRAINTS = ("none", "alphabet", "grammar")
FILL_LENGTHS = ("free", "marked")
HYDRA_NAME = "generation_settings"
"""Name of the config that has every setting as a key; `configs/generate.yaml` lists it in its defaults."""

Way = Literal["all", "sampling", "beams"]


@dataclass(frozen=True)
class Range:
    """The range of numbers that a setting may have; infinity and NaN are never allowed.

    Attributes:
        low: lower bound.
        high: upper bound, which is allowed.
        open: whether `low` itself is excluded.
    """

    low: float = -math.inf
    high: float = math.inf
    open: bool = False

    def problem(self, value: float) -> str | None:
        """Returns the condition that a value violates, such as `must be above 0`; None if the value is in the range."""
        if not math.isfinite(value):
            return "must be a finite number"
        if self.low < value <= self.high or (value == self.low and not self.open):
            return None
        if self.high < math.inf:
            return f"must lie in {'(' if self.open else '['}{self.low:g}, {self.high:g}]"
        if self.open:
            return f"must be above {self.low:g}"
        return f"must be at least {self.low:g}" if self.low else "must be 0 or more"


ANY_NUMBER = Range()
POSITIVE = Range(0, open=True)
NOT_NEGATIVE = Range(0)
FROM_ONE = Range(1)
SHARE = Range(0, 1)
SHARE_ABOVE_0 = Range(0, 1, open=True)


@dataclass(frozen=True)
class Use:
    """Properties of a setting.

    Attributes:
        help: one line of help.
        of: the decoding method that uses it. Setting a key of `sampling` switches sampling on; a key of `beams` needs
            beam search.
        off: value with which the setting has no effect, so that it can be combined with every decoding method; None:
            there is no such value.
        range: valid numbers.
        choices: valid texts; empty: any text.
        needs_task: whether it has no meaning for a bare prompt.
        later: whether the setting did not exist in the first bundles. A stored declaration leaves it out at its
            default, so that earlier versions can read the bundle, and the identity of a task stays the same.
    """

    help: str
    of: Way = "all"
    off: Any = None
    range: Range = ANY_NUMBER
    choices: tuple[str, ...] = ()
    needs_task: bool = False
    later: bool = False


def setting(default: Any, help: str, **how: Any) -> Any:
    """Returns a field of a class of settings; `how` gives the other attributes of `Use`."""
    return field(default=default, metadata={"use": Use(help, **how)})


@dataclass
class DecodingSettings:
    """Settings for the choice of tokens. A task can declare them, and a call can change them.

    `GenerationConfig` has them, too.
    """

    max_new_tokens: int = setting(128, "most tokens of a sequence, <EOS> included", range=FROM_ONE)
    min_new_tokens: int = setting(0, "tokens before which no <EOS> is generated", range=NOT_NEGATIVE)
    repetition_penalty: float = setting(
        1.0, "lowers the scores of tokens that the sequence already has; 1: off", range=POSITIVE, later=True
    )
    no_repeat_ngram_size: int = setting(
        0, "no run of this many tokens occurs twice in a sequence; 0: off", range=NOT_NEGATIVE, later=True
    )
    guidance: float = setting(
        1.0, "how strongly to follow the conditions of a row; 1: as the model learned", needs_task=True
    )
    do_sample: bool = setting(False, "true: sample; false: search for the best; null: by n and the settings given")
    temperature: float = setting(1.0, "divides the scores of tokens", of="sampling", range=POSITIVE)
    top_k: int | None = setting(
        0, "keep this many of the likeliest tokens; 0: off", of="sampling", off=0, range=NOT_NEGATIVE
    )
    top_p: float | None = setting(
        1.0,
        "keep the likeliest tokens that together have this share of the probability",
        of="sampling",
        range=SHARE_ABOVE_0,
    )
    min_p: float | None = setting(
        0.0, "drop tokens less likely than this share of the likeliest one; 0: off", of="sampling", off=0, range=SHARE
    )
    num_beams: int = setting(1, "beams of the search for the best; 1: greedy", range=FROM_ONE)
    num_beam_groups: int = setting(
        1, "groups that differ by diversity_penalty", of="beams", off=1, range=FROM_ONE, later=True
    )
    diversity_penalty: float = setting(
        0.0,
        "cost of a token for each beam of an earlier group that takes it",
        of="beams",
        off=0,
        range=NOT_NEGATIVE,
        later=True,
    )
    length_penalty: float = setting(1.0, "ranked by log-likelihood / length ** length_penalty", of="beams", off=1)
    early_stopping: bool = setting(
        False, "stop once there are as many sequences as beams", of="beams", off=False, later=True
    )

    drafts: bool | int | None = setting(
        None,
        "guess tokens from the prompt: the most at once; null: where it saves time; false: never",
        range=NOT_NEGATIVE,
        later=True,
    )


@dataclass
class AnswerSettings:
    """Settings for the form of answers. A task can declare them, and a call can change them."""

    constraint: str = setting("grammar", "none | alphabet | grammar", choices=CONSTRAINTS, needs_task=True)
    fill_length: str = setting(
        "free",
        "infilling: free, or marked: as many tokens as there are marks",
        choices=FILL_LENGTHS,
        needs_task=True,
    )
    max_draws: int | None = setting(
        None,
        "most attempts at a valid sequence; null: 20 with constraint grammar, else 1",
        of="sampling",
        off=1,
        range=FROM_ONE,
        needs_task=True,
    )
    faithful: bool = setting(
        False,
        "sample again, too, what the grammar made likelier than the model has it",
        of="sampling",
        off=False,
        needs_task=True,
    )
    consensus: int = setting(
        0,
        "infilling: commonest token of each place in this many samples; 0: off",
        of="sampling",
        off=0,
        range=NOT_NEGATIVE,
        needs_task=True,
        later=True,
    )


@dataclass
class CallSettings:
    """Settings that only a call can set."""

    starts_with: str | None = setting(
        None, "text that every sequence begins with (constraint grammar)", needs_task=True
    )
    scaffold: str | None = setting(
        None, "SMILES with attachment points *, which every molecule keeps (constraint grammar)", needs_task=True
    )
    distinct: bool | None = setting(
        None,
        "true: all sequences of a row differ (molecules: by canonical SMILES)",
    )
    stop: str | Sequence[str] | None = setting(
        None, """tokens that end a sequence: stop=[C,N]; signs in quotes: 'stop=["."]'"""
    )
    seed: int = setting(0, "seed of sampling, for all rows")
    seed_column: str | None = setting(
        None, "column with each row's own seed; its samples then depend on nothing else", of="sampling"
    )


@dataclass(frozen=True)
class Declared:
    """A declared setting.

    Attributes:
        name: its name.
        kind: its type.
        default: default in a task.
        in_call: default in a call; None: the value that the task declares.
        use: its other properties.
    """

    name: str
    kind: Any
    default: Any
    in_call: Any
    use: Use


def _declared(owner: type) -> Iterator[Declared]:
    kinds = get_type_hints(owner)
    for found in fields(owner):
        assert found.default is not MISSING, f"{found.name} needs a default"
        in_call = found.default if owner is CallSettings else None
        yield Declared(found.name, kinds[found.name], found.default, in_call, _use(found))


def _use(found: Field[Any]) -> Use:
    return found.metadata["use"]


SETTINGS: Mapping[str, Declared] = {
    known.name: known for owner in (AnswerSettings, DecodingSettings, CallSettings) for known in _declared(owner)
}
"""All settings of a call, by name."""


def of_way(way: Way) -> tuple[str, ...]:
    """Returns the names of the settings that only this decoding method uses."""
    return tuple(name for name, known in SETTINGS.items() if known.use.of == way)


def problems(settings: DecodingSettings | AnswerSettings) -> Iterator[str]:
    """Yields an error text for each number outside its range, such as `temperature must be above 0, not -1`."""
    for found in fields(settings):
        value = getattr(settings, found.name)
        if found.name not in SETTINGS or isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if wrong := SETTINGS[found.name].use.range.problem(value):
            yield f"{found.name} {wrong}, not {value}"


def choices(settings: AnswerSettings) -> Iterator[tuple[str, str, Sequence[str]]]:
    """Yields name, value and valid values of each setting with a fixed set of texts."""
    for name, known in SETTINGS.items():
        if known.use.choices:
            yield name, getattr(settings, name), known.use.choices


def help_lines() -> str:
    """Returns the settings as the keys of a YAML file, each with its line of help."""
    lines = []
    for name, known in SETTINGS.items():
        key = f"{name}: {'null' if known.in_call is None else known.in_call}"
        way = "" if known.use.of == "all" else f"{known.use.of}: "
        lines.append(f"{key.ljust(27)} # {way}{known.use.help}")
    return "".join(f"{line}\n" for line in lines)


def call_defaults() -> dict[str, Any]:
    """Returns every setting with its default in a call."""
    return {name: known.in_call for name, known in SETTINGS.items()}


def stored_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings of a task as a bundle stores them: without `later` settings that have their default."""
    return {
        name: value
        for name, value in values.items()
        if name not in SETTINGS or not SETTINGS[name].use.later or value != SETTINGS[name].default
    }
