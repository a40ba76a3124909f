"""Which baselines apply to a task: what each one sees, and its kind of model."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mammal.tasks.baselines import baseline_dna as dna
from mammal.tasks.baselines import baseline_features as features
from mammal.tasks.baselines.baseline_features import Featuriser, Matrix

if TYPE_CHECKING:
    from mammal.tasks.task import Task

logger = logging.getLogger(__name__)

DRAWS_OF_DNA = 10_000
"""Maximum number of rows that a tree over DNA samples: saturation mutagenesis has tens of thousands of similar rows."""

ONLY = "forest_only_"
TUNED = ("svm", "boosting")
VARIANT = "["
"""Character that occurs only in variants in in-place notation."""


@dataclass(frozen=True)
class Recipe:
    """One baseline.

    Attributes:
        columns: input columns that it uses.
        how: column -> its featuriser.
        model: `mean`, `forest`, `linear`, `svm` or `boosting`.
        draws: maximum number of rows that each tree of a forest samples; None: as many as there are.
        counted: `svm` and `boosting`: column -> featuriser of its counts, which come before the features of `how`.
    """

    columns: tuple[str, ...]
    how: dict[str, Featuriser]
    model: str
    draws: int | None = None
    counted: dict[str, Featuriser] = field(default_factory=dict)

    @property
    def tuned(self) -> bool:
        """Whether its settings are chosen on validation rows."""
        return self.model in TUNED


def recipes(task: Task, rows: Sequence[dict[str, str]]) -> dict[str, Recipe]:
    """Returns the baselines that apply to the inputs of a task.

    Args:
        task: the task.
        rows: texts of the training rows by column; they show whether DNA has variants in place.

    Returns:
        Name of a baseline -> its features and model.
    """
    kinds = features.column_kinds(task)
    every, present = tuple(kinds), set(kinds.values())
    morgan, descriptors = features.remembered(features.morgan), features.remembered(features.all_descriptors)
    main = {column: _main_featuriser(kind, morgan) for column, kind in kinds.items()}
    found = {"mean": Recipe((), {}, "mean")}
    if not every:
        return found
    if present == {"dna"} and len(every) == 1:
        return found | _dna_recipes(every[0], any(VARIANT in row[every[0]] for row in rows))
    draws = DRAWS_OF_DNA if "dna" in present else None
    if len(every) > 1:
        found["forest_all"] = Recipe(every, main, "forest", draws)
        found |= {f"{ONLY}{column}": Recipe((column,), main, "forest", draws) for column in every}
    else:
        name = {"molecule": "forest_morgan", "words": "forest_words", "number": "forest_all"}
        found[name.get(kinds[every[0]], "forest_kmers")] = Recipe(every, main, "forest")
    if "molecule" in present and not present & {"protein", "dna", "sequence", "words"}:
        described = features.with_medians(descriptors)
        how = {c: described if kinds[c] == "molecule" else main[c] for c in every}
        found["forest_descriptors"] = Recipe(every, how, "forest")
        found |= _tuned_recipes(kinds, features.once_each(morgan), features.once_each(descriptors))
    if present <= {"protein", "dna", "sequence"}:
        found["linear_kmers"] = Recipe(every, main, "linear")
    if "protein" in present:
        model = features.esm2_on_disk(task.config.esm2)
        if model is None:
            logger.info("%s: no baseline on ESM-2 features, as no ESM-2 weights are here (MAMMAL_ESM2)", task.name)
        else:
            states = features.once_each(features.esm2_states(model))
            how = {c: states if kinds[c] == "protein" else main[c] for c in every}
            found["linear_esm2"] = Recipe(every, how, "linear")
    return found


def _dna_recipes(column: str, has_variants: bool) -> dict[str, Recipe]:
    """Baselines on k-mers of the reference, and separate ones on the change of variants, to compare their effects."""
    seen = {"kmers": dna.dna_kmers} | ({"variant": dna.dna_variant} if has_variants else {})
    found = {}
    for name, featurise in seen.items():
        of_trees = {column: features.dense(featurise(dna.LONGEST_OF_TREES))}
        found[f"forest_{name}"] = Recipe((column,), of_trees, "forest", DRAWS_OF_DNA)
        found[f"linear_{name}"] = Recipe((column,), {column: features.once_each(featurise())}, "linear")
    return found


def _tuned_recipes(kinds: dict[str, str], morgan: Featuriser, descriptors: Featuriser) -> dict[str, Recipe]:
    """Both kinds of tuned models on fingerprints, on descriptors, and on both, with the numbers of the prompt."""
    molecules = [column for column, kind in kinds.items() if kind == "molecule"]
    numbers = {column: features.once_each(features.numbers) for column in kinds if column not in molecules}
    counted, described = dict.fromkeys(molecules, morgan), dict.fromkeys(molecules, descriptors)
    seen = {
        "morgan": (counted, numbers),
        "descriptors": ({}, described | numbers),
        "both": (counted, described | numbers),
    }
    return {
        f"{model}_{name}": Recipe(tuple(kinds), how, model, counted=counts)
        for model in TUNED
        for name, (counts, how) in seen.items()
    }


def _main_featuriser(kind: str, morgan: Callable[[Sequence[str]], Matrix]) -> Featuriser:
    by_kind = {"molecule": morgan, "words": features.words, "number": features.numbers}
    by_kind["dna"] = dna.dna_everything(dna.LONGEST_OF_TREES)
    return features.once_each(by_kind.get(kind, features.kmers))
