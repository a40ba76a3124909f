"""The part of a report that shows sets of generated molecules: figures side by side, distributions, drawings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mammal.evaluation.results import short
from mammal.evaluation.set_results import ASKED, Compared, SetResult, figures_table
from mammal.report import molecules, plots
from mammal.report.page import (
    Section,
    facts,
    figure,
    figures,
    heading,
    joined,
    name_of_key,
    paragraph,
    table,
)
from mammal.tasks.molecules.chemistry import why_invalid

if TYPE_CHECKING:
    from markupsafe import Markup

DRAWN, INVALID_SHOWN = 25, 8
SEED = 0
"""Of the molecules that are drawn: every page of the same samples shows the same ones."""

MEASURES = {
    "validity": ("valid, by RDKit", "↑"),
    "kept_at_once": ("kept as first drawn", "↑"),
    "draws": ("draws of a molecule, mean", "↓"),
    "uniqueness": ("different, of the valid ones", "↑"),
    "unique@1000": ("different, of the first 1,000 valid ones", "↑"),
    "unique@10000": ("different, of the first 10,000 valid ones", "↑"),
    "novelty": ("not in the training set, of the different ones", ""),
    "intdiv_1": ("internal diversity", "↑"),
    "intdiv_2": ("internal diversity, p = 2", "↑"),
    "pains_free": ("without a PAINS substructure", "↑"),
    "fcd": ("Fréchet ChemNet distance", "↓"),
    "snn": ("similarity to the nearest molecule", "↑"),
    "frag": ("fragments, cosine", "↑"),
    "scaf": ("scaffolds, cosine", "↑"),
    "w1": ("Wasserstein distance", "↓"),
    "condition_mae": ("error of asked properties, in standard deviations", "↓"),
    "condition_mae_shuffled": ("the same, of what others were asked", ""),
}
"""Figure -> what it is, and which way is better."""

PROPERTIES = {
    "logp": "logP",
    "qed": "drug-likeness (QED)",
    "sa": "synthetic accessibility (1 easy, 10 hard)",
    "mw": "molecular weight",
    "tpsa": "polar surface area",
}


def set_section(results: Sequence[SetResult]) -> Section:
    """All sets in one table, then each one's distributions and some of its molecules, chosen by a seed alone."""
    parts = [*_against(results), _table(results), paragraph(_READING, note=True)]
    for result in results:
        parts += [heading(f"Properties of {result.name}"), figures([*_histograms(result), *_wishes(result)])]
        parts += [heading(f"Molecules of {result.name}"), *_grid(result), *_invalid(result)]
    return Section("Generated molecules", joined(parts))


def spoken(name: str) -> str:
    """A figure's name as a reader would say it."""
    measure, _, reference = name.partition("/")
    first, _, property_name = measure.partition("_")
    if first == "w1":
        words = f"{PROPERTIES[property_name].partition(' (')[0]}, Wasserstein distance"
    elif first == "condition":
        return f"{MEASURES[measure][0].partition(', in')[0]}: {reference}" if reference else MEASURES[measure][0]
    else:
        words = MEASURES[measure][0]
    return f"{words}, to {reference}" if reference else words


_READING = (
    "FCD, similarity, fragments, scaffolds and Wasserstein distances are those of MOSES (Polykovskiy et al. 2020). A "
    "set that copies its training set is valid, similar and not novel: read novelty beside the rest. FCD depends on "
    "how many molecules are compared; only sets of equal size can be set side by side."
)


def _against(results: Sequence[SetResult]) -> list[Markup]:
    """How many samples, how they were made, and what they are held against."""
    counts = {result.name: f"{result.samples:,} samples" for result in results}
    lines = []
    for result in results:
        made = ", ".join(f"{key} {value}" for key, value in result.made.items())
        lines.append(paragraph(f"`{result.name}`: {result.source}{f'; {made}' if made else ''}.", note=True))
    held: dict[str, Compared] = {}
    for result in results:
        held.update(result.references)
        if result.training is not None:
            held["training"] = result.training
    for name, one in held.items():
        some = f" drawn from {one.drawn_from:,}" if one.drawn_from is not None else ""
        lines.append(paragraph(f"`{name}`: {one.source}; {one.molecules:,} molecules{some}.", note=True))
    return [facts(counts), *lines]


def _table(results: Sequence[SetResult]) -> Markup:
    header, rows = figures_table(results)
    shown = []
    for name, *cells in rows:
        better = MEASURES["w1" if name.startswith("w1_") else name.partition("/")[0]][1]
        shown.append([f"{spoken(name)} {better}", name_of_key(name), *cells])
    return table(["", *header], shown, kinds=["", "", *["number"] * len(results)])


def _histograms(result: SetResult) -> list[Markup]:
    drawn = []
    for name, one in result.histograms.items():
        words = PROPERTIES[name]
        label = f"{words} / {one.unit}" if one.unit else words
        drawn.append(figure(plots.histogram(_title(words), one.edges, one.shares, label)))
    return drawn


def _wishes(result: SetResult) -> list[Markup]:
    """What was asked of each property that varies, and what came of it."""
    drawn = []
    for name, one in result.histograms.items():
        if f"{ASKED}{name}" not in result.molecules:
            continue
        pairs = result.molecules[[f"{ASKED}{name}", name]].dropna()
        if pairs[f"{ASKED}{name}"].nunique() > 1:
            title = f"{_title(PROPERTIES[name])}, obtained against asked"
            asked_N, obtained_N = (pairs[column].to_numpy() for column in pairs)
            names = ("asked", "obtained")
            drawn.append(figure(plots.parity(asked_N, obtained_N, one.unit, title=title, axes_names=names)))
    return drawn


def _title(words: str) -> str:
    """The name of a property as a heading, without what stands in brackets."""
    name = words.partition(" (")[0]
    return name if name[1:] != name[1:].lower() else name.capitalize()


def _grid(result: SetResult) -> list[Markup]:
    """Some of the different valid molecules."""
    frame = result.molecules[result.molecules["valid"] & ~result.molecules["repeat"]]
    places = np.random.default_rng(SEED).permutation(len(frame))[:DRAWN]
    chosen = frame.iloc[np.sort(places)]
    if not len(chosen):
        return [paragraph("None is a molecule.")]
    captions = [_caption(row) for row in chosen.to_dict("records")]
    words = f"{len(chosen)} of {len(frame):,} different molecules, drawn by a seed, none picked."
    return [paragraph(words, note=True), molecules.grid(chosen["canonical"].tolist(), captions)]


def _caption(row: Mapping[str, object]) -> str:
    facts_of = [f"logP {short(float(str(row['logp'])))}", f"QED {short(float(str(row['qed'])))}"]
    if row.get("known") is True:
        facts_of.append("in training")
    return ", ".join(facts_of)


def _invalid(result: SetResult) -> list[Markup]:
    """Some of the strings that are no molecule, and why."""
    bad = result.molecules.loc[~result.molecules["valid"], "smiles"]
    if not len(bad):
        return []
    chosen = bad.drop_duplicates().head(INVALID_SHOWN)
    rows = [[smiles or "(nothing)", why_invalid(smiles) if smiles else "no text"] for smiles in chosen]
    words = f"{len(bad):,} of {result.samples:,} strings are no molecule; the first of them:"
    return [paragraph(words), table(["string", "reason"], rows, kinds=["mono", "reason"])]
