"""All measures of a set of generated molecules.

| measure | meaning |
|---|---|
| validity | share of the strings that RDKit can read as a molecule |
| median_heavy_atoms, median_mw, median_sa | medians of the valid ones: size and synthetic accessibility |
| in_range, in_range_mw, … | share of the valid ones in the central 99 % of the training set: of all, of each |
| uniqueness, unique@1000, unique@10000 | distinct molecules over valid ones: of all, of the first 1,000 or 10,000 |
| novelty | share of the distinct molecules that are not in the training set |
| intdiv_1, intdiv_2 | internal diversity of the valid ones |
| pains_free | share of the valid ones without a PAINS substructure |
| fcd/NAME | Fréchet ChemNet distance to a reference set; 0 for equal sets |
| fcd_too_long, fcd_too_long/NAME | molecules of the set and of the reference that are too long for ChemNet, if any |
| snn/NAME | mean similarity to the nearest molecule of a reference set |
| frag/NAME, scaf/NAME | cosine of the counts of BRICS fragments, and of Bemis-Murcko scaffolds |
| w1_logp/NAME, … | Wasserstein distance of a property's distributions, in its unit; 0 for equal distributions |

`Filters` of MOSES also uses a list of medicinal chemistry filters that none of the packages used here contains;
`pains_free` uses only PAINS.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mammal.tasks.molecule_sets import chemnet
from mammal.tasks.molecule_sets.describe import Described, has_pains
from mammal.tasks.molecule_sets.novelty import Known
from mammal.tasks.molecule_sets.similarity import cosine, internal_diversity, nearest_neighbour
from mammal.tasks.molecule_sets.summary import EachOf, Summary, summarise
from mammal.tasks.molecule_sets.typical import Ranges, typical_figures

FIRST = (1_000, 10_000)
"""Values of k in unique@k; left out if there are fewer valid molecules."""


@dataclass(frozen=True)
class Judgement:
    """The result of `judge`.

    Attributes:
        figures: measures, by the names at the top of this file.
        pains: for each string, whether it contains a PAINS substructure; None if it is not a molecule.
        summary: summary of the valid molecules.
    """

    figures: dict[str, float]
    pains: list[bool | None]
    summary: Summary


def judge(
    molecules: Sequence[Described | None],
    references: Mapping[str, Summary],
    known: Known | None = None,
    *,
    ranges: Ranges | None = None,
    each_of: EachOf = map,
    device: str = "cpu",
) -> Judgement:
    """Computes all measures of generated molecules, which must be in the order of generation.

    Args:
        molecules: result of `described` for the generated strings; None for a string that is not a molecule.
        references: name -> summary of a reference set; without ChemNet's moments in any of them, `fcd` is left out.
        known: the molecules that are in the training set; None: `novelty` is left out.
        ranges: result of `typical_ranges` for the training set; None: `in_range` is left out.
        each_of: `map`, or a function that does the same with several processes.
        device: device on which ChemNet runs.

    Raises:
        DataError: a reference has moments and `fcd` is not installed.
    """
    canonical = [one.canonical for one in molecules if one is not None]
    with_chemnet = any(reference.moments is not None for reference in references.values())
    summary = summarise(molecules, with_chemnet=with_chemnet, device=device)
    distinct = list(dict.fromkeys(canonical))
    alarming = dict(zip(distinct, each_of(has_pains, distinct), strict=True))
    pains = [None if one is None else alarming[one.canonical] for one in molecules]
    of_set = alone(len(molecules), canonical)
    figures = {"validity": of_set["validity"]} | typical_figures(summary, ranges or {}) | of_set
    if known is not None:
        figures["novelty"] = _share(len(set(distinct) - known.molecules), len(distinct))
    figures |= dict(zip(("intdiv_1", "intdiv_2"), internal_diversity(summary.bits_NB), strict=True))
    figures["pains_free"] = _share(sum(not found for found in pains if found is not None), len(canonical))
    if with_chemnet and (too_long := chemnet.count_too_long(canonical)):
        figures["fcd_too_long"] = float(too_long)
    for name, reference in references.items():
        figures |= {f"{measure}/{name}": value for measure, value in compare(summary, reference).items()}
    return Judgement(figures, pains, summary)


def alone(samples: int, canonical: Sequence[str]) -> dict[str, float]:
    """Computes the measures that need no other set.

    Args:
        samples: number of generated strings.
        canonical: canonical SMILES of the valid ones, in the order of generation.
    """
    figures = {
        "validity": _share(len(canonical), samples),
        "uniqueness": _share(len(set(canonical)), len(canonical)),
    }
    return figures | {f"unique@{k}": len(set(canonical[:k])) / k for k in FIRST if len(canonical) >= k}


def compare(summary: Summary, reference: Summary) -> dict[str, float]:
    """Computes the measures that compare two sets; NaN if one of them is too small."""
    figures = {}
    if reference.moments is not None:
        figures["fcd"] = float("nan")
        if summary.moments is not None:
            figures["fcd"] = chemnet.frechet_distance(summary.moments, reference.moments)
        if too_long := len(reference) - reference.moments.count:
            figures["fcd_too_long"] = float(too_long)
    figures["snn"] = nearest_neighbour(summary.bits_NB, reference.bits_NB)
    figures["frag"] = cosine(summary.fragments, reference.fragments)
    figures["scaf"] = cosine(summary.scaffolds, reference.scaffolds)
    for name, values_N in summary.properties.items():
        figures[f"w1_{name}"] = _wasserstein(values_N, reference.properties[name])
    return figures


def _wasserstein(values_N: np.ndarray, others_M: np.ndarray) -> float:
    from scipy.stats import wasserstein_distance

    return float(wasserstein_distance(values_N, others_M)) if len(values_N) and len(others_M) else float("nan")


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
