"""Compares sets of generated molecules with a training set and with reference sets, for reports."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mammal.evaluation.samples import Samples
from mammal.evaluation.set_results import ASKED, Compared, Histogram, SetResult
from mammal.tasks.metrics.answers import Answers, object_array
from mammal.tasks.metrics.registry import compute_metrics
from mammal.tasks.molecule_sets import chemnet
from mammal.tasks.molecule_sets.describe import SHOWN, UNITS, Described, describe_molecule
from mammal.tasks.molecule_sets.files import Drawn
from mammal.tasks.molecule_sets.judge import Judgement, judge
from mammal.tasks.molecule_sets.novelty import Known, known_molecules
from mammal.tasks.molecule_sets.summary import EachOf, Summary, described, evenly_drawn, summarise, summary_of
from mammal.tasks.molecule_sets.typical import typical_ranges

if TYPE_CHECKING:
    import pandas as pd

DRAWN_OF_TRAINING = 2_000
"""Molecules that are sampled from a training set to show the distributions of its properties."""
BINS = 30
TAIL = 0.5
"""Percentile of each set that may lie beyond either end of a histogram."""
TRAINING = "training"


@dataclass(frozen=True)
class Against:
    """The sets that samples are compared with.

    Attributes:
        training: function that returns the training set in parts, as SMILES; None: novelty is not computed.
        training_source: description of the training set, such as its file.
        references: name of a reference set -> (its description, its SMILES).
        reference_limit: at most this many molecules of each reference set, sampled; None: all. FCD becomes smaller as
            a reference set grows.
        seed: random seed of that sampling.
        cache: folder that keeps the summaries of reference sets; None: they are not kept.
    """

    training: Callable[[], Iterable[Sequence[str]]] | None = None
    training_source: str = ""
    references: Mapping[str, tuple[str, Sequence[str]]] = field(default_factory=dict)
    reference_limit: int | None = None
    seed: int = 0
    cache: Path | None = None


def judge_sets(
    samples: Sequence[Samples],
    against: Against,
    *,
    each_of: EachOf = map,
    device: str = "cpu",
    tell: Callable[[str], None] = lambda line: None,
) -> list[SetResult]:
    """Evaluates sets of generated molecules. The training set is read once for all of them.

    Args:
        samples: the sets.
        against: what they are compared with.
        each_of: applies a function to each molecule, like `map`; for example in several processes.
        device: where ChemNet runs, for example "cpu" or "cuda".
        tell: is called with each progress message.

    Returns:
        One result for each set, in the same order.
    """
    if against.references and (why := chemnet.why_missing()) is not None:
        tell(f"without fcd: {why}")
    molecules = []
    for one in samples:
        tell(f"reading {len(one.smiles):,} molecules of {one.name}")
        molecules.append(described(one.smiles, each_of))
    known, drawn, training = _training(molecules, against, each_of, tell)
    ranges = typical_ranges(drawn)
    references, compared = _references(against, each_of, device, tell)
    results = []
    for one, found in zip(samples, molecules, strict=True):
        tell(f"evaluating {one.name}")
        judgement = judge(found, references, known, ranges=ranges, each_of=each_of, device=device)
        beside = references | ({} if drawn is None else {TRAINING: drawn})
        results.append(
            SetResult(
                name=one.name,
                source=one.source,
                figures=judgement.figures | _of_the_draws(one) | _asked(one),
                samples=len(one.smiles),
                valid=len(judgement.summary),
                distinct=len({molecule.canonical for molecule in found if molecule is not None}),
                molecules=_table(one, found, judgement, known),
                made=one.made,
                training=training,
                ranges=ranges,
                references=compared,
                histograms=_histograms({one.name: judgement.summary, **_distinct_names(beside, one.name)}),
            )
        )
    return results


def _distinct_names(beside: Mapping[str, Summary], name: str) -> dict[str, Summary]:
    """The sets that are shown next to samples; a set with the name of the samples gets the suffix ", reference"."""
    return {f"{other}, reference" if other == name else other: summary for other, summary in beside.items()}


def _training(
    molecules: Sequence[Sequence[Described | None]],
    against: Against,
    each_of: EachOf,
    tell: Callable[[str], None],
) -> tuple[Known | None, Summary | None, Compared | None]:
    """Which samples the training set contains, the properties of a sample of it, and its description."""
    if against.training is None:
        return None, None, None
    tell(f"reading the training set, {against.training_source}")
    asked = {one.canonical for found in molecules for one in found if one is not None}
    some = Drawn(DRAWN_OF_TRAINING, against.seed)
    known = known_molecules(asked, some.watch(against.training()), each_of=each_of)
    how = "compared as written" if known.as_written else "canonicalised"
    drawn = summarise(each_of(describe_molecule, some.kept), with_chemnet=False)
    return known, drawn, Compared(f"{against.training_source}, {how}", known.rows)


def _references(
    against: Against, each_of: EachOf, device: str, tell: Callable[[str], None]
) -> tuple[dict[str, Summary], dict[str, Compared]]:
    summaries, compared = {}, {}
    for name, (source, smiles) in against.references.items():
        chosen = evenly_drawn(smiles, against.reference_limit, against.seed)
        tell(f"reading {len(chosen):,} molecules of {name}")
        summaries[name] = summary_of(
            chosen, each_of=each_of, with_chemnet=chemnet.why_missing() is None, device=device, cache=against.cache
        )
        compared[name] = Compared(source, len(chosen), len(smiles) if len(chosen) < len(smiles) else None)
    return summaries, compared


def _of_the_draws(samples: Samples) -> dict[str, float]:
    """Share of sequences that were valid at the first attempt and mean number of attempts; empty without repeats."""
    if samples.draws is None:
        return {}
    return {"kept_at_once": float((samples.draws == 1).mean()), "draws": float(_finite(samples.draws).mean())}


def _finite(values_N: np.ndarray) -> np.ndarray:
    return values_N[np.isfinite(values_N)]


def _asked(samples: Samples) -> dict[str, float]:
    """Mean error between molecules and their requested properties.

    If the requested values vary, the error to the values requested of other molecules is added, for comparison.
    """
    if not samples.asked:
        return {}
    varies = any(len(known) and np.ptp(known) > 0 for known in map(_finite, samples.asked.values()))
    said = object_array(samples.smiles)
    names = ["condition_mae", *(["condition_mae_shuffled"] if varies else [])]
    found = compute_metrics(names, {"smiles": Answers(said, said, conditions=samples.asked)})
    return {name: value for name, value in found.items() if "/" in name or varies}


def _table(
    samples: Samples, found: Sequence[Described | None], judgement: Judgement, known: Known | None
) -> pd.DataFrame:
    """One row for each string, with each property next to the value that was requested."""
    import pandas as pd

    canonical = ["" if one is None else one.canonical for one in found]
    valid = [one is not None for one in found]
    frame = pd.DataFrame({"smiles": list(samples.smiles), "valid": valid, "canonical": canonical})
    frame["repeat"] = frame.duplicated("canonical") & frame["valid"]
    if known is not None:
        frame["known"] = [text in known.molecules for text in canonical]
    frame["pains"] = judgement.pains
    for place, name in enumerate(SHOWN):
        frame[name] = [float("nan") if one is None else one.properties[place] for one in found]
        if name in samples.asked:
            frame[f"{ASKED}{name}"] = samples.asked[name]
    return frame


def _histograms(sets: Mapping[str, Summary]) -> dict[str, Histogram]:
    """A histogram of each property, with the same bins for all sets."""
    found = {}
    for name in SHOWN:
        values = {label: summary.properties[name] for label, summary in sets.items() if len(summary)}
        if not values:
            continue
        ends = [np.percentile(values_N, [TAIL, 100 - TAIL]) for values_N in values.values()]
        low, high = min(end[0] for end in ends), max(end[1] for end in ends)
        edges = np.linspace(low, high if high > low else low + 1.0, BINS + 1)
        shares = {label: (np.histogram(v_N, edges)[0] / len(v_N)).tolist() for label, v_N in values.items()}
        found[name] = Histogram(edges.tolist(), shares, UNITS[name])
    return found
