"""The scores of a pair of alleles and their columns.

    likelihood   log_likelihood_ref, log_likelihood_alt    in nats (`mammal.variants.likelihood`)
                 log_likelihood_ratio                      alternate minus reference; below 0 the reference is more
                                                           likely
    embedding    distance                                  mean over the aligned bases (`mammal.variants.distance`)
                 distance_site                             between the two alleles
                 distance_max, distance_max_offset         largest distance of an aligned base, and its offset: -1 is
                                                           the base before the site, 1 the base after it

With `strands: both` every number is the mean over the window and its reverse complement. Distances are averaged at each
position of the forward strand before the largest one is selected.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, cast

from mammal.errors import ConfigError, TaskError, did_you_mean
from mammal.rows.answer_columns import AnswerColumn
from mammal.rows.batched import Pace, Refused
from mammal.rows.question import UsedModel
from mammal.variants.distance import distance_profiles
from mammal.variants.likelihood import Likelihoods, allele_likelihoods
from mammal.variants.prompt import DNA, DnaPrompt, reads_dna_alone

if TYPE_CHECKING:
    from mammal.model.model import MammalModel
    from mammal.tasks.dna.alleles import AllelePair
    from mammal.tasks.kinds.denoising import DenoisingTask
    from mammal.tasks.task import Task
    from mammal.tokenization import Tokenizer
    from mammal.variants.distance import Profile

T = TypeVar("T")
LIKELIHOOD, EMBEDDING = "likelihood", "embedding"
COLUMNS = {
    LIKELIHOOD: ("log_likelihood_ref", "log_likelihood_alt", "log_likelihood_ratio"),
    EMBEDDING: ("distance", "distance_site", "distance_max", "distance_max_offset"),
}
INTEGERS = ("distance_max_offset",)
STRANDS = ("forward", "both")

Scores = tuple[float | int, ...]
"""Values in the order of `Scorer.columns`."""


@dataclass(frozen=True)
class VariantScoreOptions:
    """Which scores are computed for each pair of alleles, and how.

    Attributes:
        what: one or both of "likelihood" and "embedding".
        strands: "forward", or "both" for the mean with the reverse complement.
        window: number of bases that are read from the genome around a site; variants that are written in a sequence use
            the whole sequence.
        flank: number of bases on each side of the alleles that are hidden with them, for the likelihood. With 2 the
            hidden span of a single-nucleotide variant is as long as the average span of training.

    Raises:
        ConfigError: an attribute has an invalid value.
    """

    what: Sequence[str] = (LIKELIHOOD, EMBEDDING)
    strands: str = "forward"
    window: int = 512
    flank: int = 2

    def __post_init__(self) -> None:
        wanted = (self.what,) if isinstance(self.what, str) else tuple(self.what)
        object.__setattr__(self, "what", wanted)
        if not wanted:
            raise ConfigError("no score is requested", where="what", hint=f"any of {', '.join(COLUMNS)}")
        for name in wanted:
            if name not in COLUMNS:
                raise ConfigError(f"there is no score {name!r}", hint=did_you_mean(str(name), COLUMNS, noun="score"))
        if self.strands not in STRANDS:
            hint = did_you_mean(str(self.strands), STRANDS, noun="strands")
            raise ConfigError(f"strands is {self.strands!r}", hint=hint)
        for name, value in (("window", self.window), ("flank", self.flank)):
            if type(value) is not int or value < 1:
                raise ConfigError(f"{name} must be a whole number of at least 1, not {value!r}")


class Scorer:
    """Scores pairs of alleles with a model.

    Args:
        model: the model.
        tokenizer: the tokenizer of the model.
        tasks: the tasks of the model, by name. For a likelihood one of them must fill in hidden DNA.
        asked: which scores are computed, and how.
        pace: how many rows are computed at once.
        chosen: the task whose prompt is used; None: see `likelihood_task` and `embedding_task`.

    Attributes:
        columns: the columns of the scores.
        tasks: the task whose prompt is used for "likelihood" and for "embedding".

    Raises:
        TaskError: a likelihood is requested and no task can compute it, or the tokenizer has no DNA alphabet.
    """

    def __init__(
        self,
        model: MammalModel,
        tokenizer: Tokenizer,
        tasks: Mapping[str, Task],
        asked: VariantScoreOptions,
        pace: Pace,
        *,
        chosen: Task | None = None,
    ):
        if DNA not in tokenizer.alphabets:
            raise TaskError("this model's tokenizer has no DNA", hint="it can't score variants")
        self.model, self.asked, self.pace = model, asked, pace
        self.tasks: dict[str, Task] = {}
        if LIKELIHOOD in asked.what:
            self.tasks[LIKELIHOOD] = likelihood_task(tasks, chosen)
        if EMBEDDING in asked.what:
            self.tasks[EMBEDDING] = embedding_task(tasks, chosen, tokenizer)
        names = [name for what, names in COLUMNS.items() if what in asked.what for name in names]
        self.columns = [AnswerColumn(name, "integer" if name in INTEGERS else "number") for name in names]

    @property
    def uses(self) -> UsedModel:
        """The parts of the model that are used; distances only need the encoder."""
        task = self.tasks.get(LIKELIHOOD)
        return UsedModel(self.model) if task is None else UsedModel.for_task(self.model, task)

    def score(self, pairs: Sequence[AllelePair]) -> list[Scores | Refused]:
        """Returns for each pair its scores, or the reason why it has none."""
        parts: list[list[Scores | Refused]] = []
        if LIKELIHOOD in self.tasks:
            parts.append(self._likelihoods(pairs))
        if EMBEDDING in self.tasks:
            parts.append(self._distances(pairs))
        return [_joined(given) for given in zip(*parts, strict=True)]

    def _likelihoods(self, pairs: Sequence[AllelePair]) -> list[Scores | Refused]:
        task = cast("DenoisingTask", self.tasks[LIKELIHOOD])
        ask = self._on_strands(pairs)
        found = allele_likelihoods(self.model, task, ask, flank=self.asked.flank, pace=self.pace)
        return [_likelihood_scores(given) for given in self._by_pair(found)]

    def _distances(self, pairs: Sequence[AllelePair]) -> list[Scores | Refused]:
        ask = self._on_strands(pairs)
        found = distance_profiles(self.model, DnaPrompt(self.tasks[EMBEDDING]), ask, pace=self.pace)
        return [_distance_scores(given) for given in self._by_pair(found)]

    def _on_strands(self, pairs: Sequence[AllelePair]) -> list[AllelePair]:
        """Each pair; if both strands are requested, followed by the same pair on the other strand."""
        return [p for pair in pairs for p in ((pair, pair.reversed()) if self.asked.strands == "both" else (pair,))]

    def _by_pair(self, found: Sequence[T]) -> Iterator[Sequence[T]]:
        each = 2 if self.asked.strands == "both" else 1
        return (found[start : start + each] for start in range(0, len(found), each))


def likelihood_task(tasks: Mapping[str, Task], chosen: Task | None) -> Task:
    """Selects the task that fills in hidden DNA.

    Args:
        tasks: the tasks of the model, by name.
        chosen: the task that the user chose; None: the only suitable task of the model.

    Raises:
        TaskError: the chosen task does not fill in hidden DNA, or the model has no such task, or several.
    """
    if chosen is not None:
        if not _fills_in_dna(chosen):
            what = f"{chosen.name} is a {chosen.kind} task that does not fill in hidden DNA: alleles have no likelihood"
            raise TaskError(what, hint=_NO_LIKELIHOOD)
        return chosen
    able = {name: task for name, task in tasks.items() if _fills_in_dna(task)}
    if not able:
        have = f"has the tasks {', '.join(tasks)}" if tasks else "has no task"
        raise TaskError(f"this model {have}, and none fills in hidden DNA: no likelihood", hint=_NO_LIKELIHOOD)
    if len(able) > 1:
        raise TaskError("this model has several tasks that fill in hidden DNA", hint="task= one of " + ", ".join(able))
    return next(iter(able.values()))


def embedding_task(tasks: Mapping[str, Task], chosen: Task | None, tokenizer: Tokenizer) -> Task:
    """Selects the task whose prompt shows DNA to the model.

    Args:
        tasks: the tasks of the model, by name.
        chosen: the task that the user chose; None: the only suitable task of the model. If there is none, or there are
            several, the prompt is the bare sequence.
        tokenizer: the tokenizer of the model.

    Raises:
        TaskError: the chosen task does not read only DNA.
    """
    from mammal.rows.task_choice import entity_task

    if chosen is not None:
        if not reads_dna_alone(chosen):
            raise TaskError(f"{chosen.name} does not read DNA alone", hint="leave task out to show the bare sequence")
        return chosen
    able = [task for task in tasks.values() if reads_dna_alone(task)]
    filling = [task for task in able if _fills_in_dna(task)]
    only = filling if len(filling) == 1 else able
    return only[0] if len(only) == 1 else entity_task("dna", tokenizer)


_NO_LIKELIHOOD = "what=embedding works for every model; mammal train task=dna_denoising makes one with a likelihood"


def _fills_in_dna(task: Task) -> bool:
    return task.family == "denoising" and reads_dna_alone(task)


def _likelihood_scores(strands: Sequence[Likelihoods | Refused]) -> Scores | Refused:
    given = _all_or_refused(strands)
    if isinstance(given, Refused):
        return given
    reference, alternate = (sum(values) / len(given) for values in zip(*given, strict=True))
    return reference, alternate, alternate - reference


def _distance_scores(strands: Sequence[Profile | Refused]) -> Scores | Refused:
    given = _all_or_refused(strands)
    if isinstance(given, Refused):
        return given
    profile = given[0] if len(given) == 1 else given[0].averaged_with(given[1])
    return profile.mean, profile.site, *profile.largest


def _all_or_refused(given: Sequence[T | Refused]) -> list[T] | Refused:
    refused = next((one for one in given if isinstance(one, Refused)), None)
    return refused or [one for one in given if not isinstance(one, Refused)]


def _joined(parts: Sequence[Scores | Refused]) -> Scores | Refused:
    given = _all_or_refused(parts)
    return given if isinstance(given, Refused) else tuple(value for part in given for value in part)
