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

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from mammal.errors import ConfigError, TaskError, did_you_mean
from mammal.rows.batched import Pace, Refused
from mammal.variants.distance import distance_profiles
from mammal.variants.likelihood import Likelihoods, allele_likelihoods
from mammal.variants.prompt import DnaPrompt, reads_dna_alone

if TYPE_CHECKING:
    from mammal.model.model import MammalModel
    from mammal.tasks.dna.alleles import AllelePair
    from mammal.tasks.kinds.denoising import DenoisingTask
    from mammal.tasks.task import Task
    from mammal.tokenization import Tokenizer
    from mammal.variants.distance import Profile

LIKELIHOOD, EMBEDDING = "likelihood", "embedding"
STRANDS = ("forward", "both")

Scores = tuple[float | int, ...]
"""Values in the order of columns."""


@dataclass(frozen=True)
class ScoreColumn:
    """A column of scores.

    Attributes:
        name: name in a table.
        field: name in the INFO column of a variant file, without prefix.
        about: description in the header of a variant file.
        holds: type of its values.
    """

    name: str
    field: str
    about: str
    holds: Literal["number", "integer"] = "number"


@dataclass(frozen=True)
class VariantScore:
    """One kind of score. `SCORES` lists all of them.

    Attributes:
        columns: its columns.
        task: selects the task whose prompt is used, from the tasks of the model by name, the task that the user chose
            (None: none) and the tokenizer. It raises a `TaskError` if there is none.
        of: computes a result for each pair of alleles.
        values: returns the scores of a pair from its results: one, or two with both strands.
        decodes: whether it uses the decoder; otherwise only the encoder is used.
    """

    columns: tuple[ScoreColumn, ...]
    task: Callable[[Mapping[str, Task], Task | None, Tokenizer], Task]
    of: Callable[[MammalModel, Task, Sequence[AllelePair], VariantScoreOptions, Pace], Sequence[Any | Refused]]
    values: Callable[[Sequence[Any]], Scores]
    decodes: bool = False


@dataclass(frozen=True)
class VariantScoreOptions:
    """Which scores are computed for each pair of alleles, and how.

    Attributes:
        what: one or several of `SCORES`.
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
            raise ConfigError("no score is requested", where="what", hint=f"any of {', '.join(SCORES)}")
        for name in wanted:
            if name not in SCORES:
                raise ConfigError(f"there is no score {name!r}", hint=did_you_mean(str(name), SCORES, noun="score"))
        if self.strands not in STRANDS:
            hint = did_you_mean(str(self.strands), STRANDS, noun="strands")
            raise ConfigError(f"strands is {self.strands!r}", hint=hint)
        for name, value in (("window", self.window), ("flank", self.flank)):
            if type(value) is not int or value < 1:
                raise ConfigError(f"{name} must be a whole number of at least 1, not {value!r}")


def likelihood_task(tasks: Mapping[str, Task], chosen: Task | None, tokenizer: Tokenizer) -> Task:
    """Selects the task that fills in hidden DNA.

    Args:
        tasks: the tasks of the model, by name.
        chosen: the task that the user chose; None: the only suitable task of the model.
        tokenizer: the tokenizer of the model; it is not needed.

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


def _likelihoods(
    model: MammalModel, task: Task, pairs: Sequence[AllelePair], asked: VariantScoreOptions, pace: Pace
) -> Sequence[Likelihoods | Refused]:
    return allele_likelihoods(model, cast("DenoisingTask", task), pairs, flank=asked.flank, pace=pace)


def _likelihood_values(strands: Sequence[Likelihoods]) -> Scores:
    reference, alternate = (sum(values) / len(strands) for values in zip(*strands, strict=True))
    return reference, alternate, alternate - reference


def _profiles(
    model: MammalModel, task: Task, pairs: Sequence[AllelePair], asked: VariantScoreOptions, pace: Pace
) -> Sequence[Profile | Refused]:
    return distance_profiles(model, DnaPrompt(task), pairs, pace=pace)


def _distance_values(strands: Sequence[Profile]) -> Scores:
    profile = strands[0] if len(strands) == 1 else strands[0].averaged_with(strands[1])
    return profile.mean, profile.site, *profile.largest


SCORES: Mapping[str, VariantScore] = {
    LIKELIHOOD: VariantScore(
        (
            ScoreColumn(
                "log_likelihood_ref",
                "LL_REF",
                "Log-likelihood of the reference allele, hidden with its neighbours, in nats",
            ),
            ScoreColumn(
                "log_likelihood_alt",
                "LL_ALT",
                "Log-likelihood of the alternate allele, hidden with its neighbours, in nats",
            ),
            ScoreColumn(
                "log_likelihood_ratio",
                "LLR",
                "LL_ALT minus LL_REF, in nats; below 0, the model expects the reference allele",
            ),
        ),
        likelihood_task,
        _likelihoods,
        _likelihood_values,
        decodes=True,
    ),
    EMBEDDING: VariantScore(
        (
            ScoreColumn(
                "distance", "DIST", "Mean L2 distance of encoder states over the aligned bases next to the site"
            ),
            ScoreColumn("distance_site", "DIST_SITE", "L2 distance of the encoder states of the two alleles"),
            ScoreColumn("distance_max", "DIST_MAX", "Largest L2 distance of encoder states of an aligned base"),
            ScoreColumn(
                "distance_max_offset",
                "DIST_MAX_OFFSET",
                "Where DIST_MAX is: -1 the base before the site, 1 the base behind it",
                "integer",
            ),
        ),
        embedding_task,
        _profiles,
        _distance_values,
    ),
}
"""Every score of variants, by its name in `what`."""
