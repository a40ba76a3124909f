"""The section of a report about sets of generated molecules: a table of figures, distributions and drawings."""

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
"""Seed of the choice of molecules, so that every page of the same samples shows the same molecules."""

MEASURES = {
    "validity": ("valid, by RDKit", "↑"),
    "kept_at_once": ("kept when first sampled", "↑"),
    "draws": ("times a molecule was sampled, mean", "↓"),
    "uniqueness": ("different, of the valid ones", "↑"),
    "unique@1000": ("different, of the first 1,000 valid ones", "↑"),
    "unique@10000": ("different, of the first 10,000 valid ones", "↑"),
    "novelty": ("not in the training set, of the different ones", ""),
    "intdiv_1": ("internal diversity", "↑"),
    "intdiv_2": ("internal diversity, p = 2", "↑"),
    "pains_free": ("without a PAINS substructure", "↑"),
    "fcd": ("Fréchet ChemNet distance", "↓"),
    "fcd_too_long": ("too long for ChemNet, left out of its distance", ""),
    "snn": ("similarity to the nearest molecule", "↑"),
    "frag": ("fragments, cosine", "↑"),
    "scaf": ("scaffolds, cosine", "↑"),
    "w1": ("Wasserstein distance", "↓"),
    "condition_mae": ("error of requested properties, in standard deviations", "↓"),
    "condition_mae_shuffled": ("the same, with the requests of other molecules", ""),
}
"""For each figure, its description and an arrow for the better direction."""

PROPERTIES = {
    "logp": "logP",
    "qed": "drug-likeness (QED)",
    "sa": "synthetic accessibility (1 easy, 10 hard)",
    "mw": "molecular weight",
    "tpsa": "polar surface area",
}


def set_section(results: Sequence[SetResult]) -> Section:
    """Returns a section with a table of all sets, and the distributions and some molecules of each set."""
    parts = [*_against(results), _table(results), paragraph(_READING, note=True)]
    for result in results:
        parts += [heading(f"Properties of {result.name}"), figures([*_histograms(result), *_wishes(result)])]
        parts += [heading(f"Molecules of {result.name}"), *_grid(result), *_invalid(result)]
    return Section("Generated molecules", joined(parts))


def spoken(name: str) -> str:
    """Returns the name of a figure in words.

    Args:
        name: its name in the results, such as `w1_logp/test`.
    """
    measure, _, reference = name.partition("/")
    first, _, property_name = measure.partition("_")
    if first == "w1":
        words = f"{PROPERTIES[property_name].partition(' (')[0]}, Wasserstein distance"
    elif first == "condition":
        return f"{MEASURES[measure][0].partition(', in')[0]}: {reference}" if reference else MEASURES[measure][0]
    else:
        words = MEASURES[measure][0]
    preposition = "of" if measure == "fcd_too_long" else "to"
    return f"{words}, {preposition} {reference}" if reference else words


_READING = (
    "FCD, similarity, fragments, scaffolds and Wasserstein distances are those of MOSES (Polykovskiy et al. 2020). A "
    "set that copies its training set is valid and similar, but not novel: always look at novelty, too. FCD depends on "
    "the number of molecules; compare only sets of equal size."
)


def _against(results: Sequence[SetResult]) -> list[Markup]:
    """Returns the number of samples, how they were made, and the sets that they are compared with."""
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
        some = f" sampled from {one.drawn_from:,}" if one.drawn_from is not None else ""
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
    """Draws, for each property with different requested values, the obtained against the requested values."""
    drawn = []
    for name, one in result.histograms.items():
        if f"{ASKED}{name}" not in result.molecules:
            continue
        pairs = result.molecules[[f"{ASKED}{name}", name]].dropna()
        if pairs[f"{ASKED}{name}"].nunique() > 1:
            title = f"{_title(PROPERTIES[name])}, obtained against requested"
            asked_N, obtained_N = (pairs[column].to_numpy() for column in pairs)
            names = ("requested", "obtained")
            drawn.append(figure(plots.parity(asked_N, obtained_N, one.unit, title=title, axes_names=names)))
    return drawn


def _title(words: str) -> str:
    """Returns the name of a property as a heading, without the text in brackets."""
    name = words.partition(" (")[0]
    return name if name[1:] != name[1:].lower() else name.capitalize()


def _grid(result: SetResult) -> list[Markup]:
    """Draws some of the different valid molecules."""
    frame = result.molecules[result.molecules["valid"] & ~result.molecules["repeat"]]
    places = np.random.default_rng(SEED).permutation(len(frame))[:DRAWN]
    chosen = frame.iloc[np.sort(places)]
    if not len(chosen):
        return [paragraph("None is a molecule.")]
    captions = [_caption(row) for row in chosen.to_dict("records")]
    words = f"{len(chosen)} of {len(frame):,} different molecules, chosen at random with a fixed seed."
    return [paragraph(words, note=True), molecules.grid(chosen["canonical"].tolist(), captions)]


def _caption(row: Mapping[str, object]) -> str:
    facts_of = [f"logP {short(float(str(row['logp'])))}", f"QED {short(float(str(row['qed'])))}"]
    if row.get("known") is True:
        facts_of.append("in training")
    return ", ".join(facts_of)


def _invalid(result: SetResult) -> list[Markup]:
    """Lists some of the strings that are not a molecule, with the reasons."""
    bad = result.molecules.loc[~result.molecules["valid"], "smiles"]
    if not len(bad):
        return []
    chosen = bad.drop_duplicates().head(INVALID_SHOWN)
    rows = [[smiles or "(nothing)", why_invalid(smiles) if smiles else "no text"] for smiles in chosen]
    words = f"{len(bad):,} of {result.samples:,} strings are not a molecule; the first of them:"
    return [paragraph(words), table(["string", "reason"], rows, kinds=["mono", "reason"])]
