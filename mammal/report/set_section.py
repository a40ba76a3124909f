"""The section of a report about sets of generated molecules: a table of figures, distributions and drawings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mammal.evaluation.results import short
from mammal.evaluation.set_results import ASKED, Compared, SetResult, figures_table
from mammal.report import molecules, plots
from mammal.report.page import (
    Cell,
    Section,
    facts,
    figure,
    figures,
    heading,
    html_table,
    joined,
    name_of_key,
    paragraph,
    with_detail,
)
from mammal.report.sections import shown_of
from mammal.report.words import with_unit
from mammal.tasks.molecule_sets.describe import UNITS
from mammal.tasks.molecule_sets.typical import TYPICAL
from mammal.tasks.molecules.chemistry import why_invalid

if TYPE_CHECKING:
    from markupsafe import Markup

DRAWN, INVALID_SHOWN = 25, 8
SEED = 0
"""Seed of the choice of molecules, so that every page of the same samples shows the same molecules."""

MEASURES = {
    "validity": ("readable by RDKit (valid)", "↑"),
    "median_heavy_atoms": ("heavy atoms, median", ""),
    "median_mw": ("molecular weight / g/mol, median", ""),
    "median_sa": ("synthetic accessibility score, median", ""),
    "in_range": ("in the training set's range of all three", "↑"),
    "in_range_heavy_atoms": ("in its range of heavy atoms", "↑"),
    "in_range_mw": ("in its range of molecular weight", "↑"),
    "in_range_sa": ("in its range of synthetic accessibility", "↑"),
    "kept_at_once": ("kept when first sampled", "↑"),
    "draws": ("times a molecule was sampled, mean", "↓"),
    "uniqueness": ("different, of the valid ones", "↑"),
    "unique@1000": ("different, of the first 1,000 valid ones", "↑"),
    "unique@10000": ("different, of the first 10,000 valid ones", "↑"),
    "novelty": ("not in the training set, of the different ones", ""),
    "intdiv_1": ("internal diversity", "↑"),
    "intdiv_2": ("internal diversity, p = 2", "↑"),
    "pains_free": ("without a PAINS substructure", "↑"),
    "fcd": ("Fréchet ChemNet distance (FCD)", "↓"),
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
    "heavy_atoms": "heavy atoms",
}


def set_section(results: Sequence[SetResult]) -> Section:
    """Returns a section with a table of all sets, and the distributions and some molecules of each set."""
    parts = [*_headlines(results), *_against(results), heading("All figures"), _table(results)]
    parts += [paragraph(words, note=True) for words in _reading(results)]
    for result in results:
        parts += [heading(f"Properties of {result.name}"), figures([*_histograms(result), *_against_requested(result)])]
        parts += [heading(f"Molecules of {result.name}"), *_grid(result), *_invalid(result)]
    return Section("Generated molecules", joined(parts))


def figure_in_words(name: str) -> str:
    """Returns the name of a figure in words.

    Args:
        name: its name in the results, such as `w1_logp/test`.
    """
    measure, _, reference = name.partition("/")
    first, _, property_name = measure.partition("_")
    if first == "w1":
        unit = UNITS[property_name]
        name_of = with_unit(PROPERTIES[property_name].partition(" (")[0], unit)
        words = f"{name_of}, Wasserstein distance"
    elif first == "condition":
        return f"{MEASURES[measure][0].partition(', in')[0]}: {reference}" if reference else MEASURES[measure][0]
    else:
        words = _measure(measure)[0]
    preposition = "of" if measure == "fcd_too_long" else "to"
    return f"{words}, {preposition} {reference}" if reference else words


def _measure(name: str) -> tuple[str, str]:
    """Description and arrow of a measure; one without an entry is shown by its name."""
    return MEASURES.get(name, (name, ""))


_MOSES = (
    "FCD, similarity, fragments, scaffolds and Wasserstein distances are those of MOSES (Polykovskiy et al. 2020). A "
    "set that copies its training set is valid and similar, but not novel: always look at novelty, too. FCD depends on "
    "the number of molecules; compare only sets of equal size."
)
_TRAINING_NEEDED = (
    "The training set is not known here, so the page cannot say how many molecules are of its size and accessibility: "
    "`mammal evaluate samples=FILE train=FILE` compares them."
)


def _reading(results: Sequence[SetResult]) -> list[str]:
    """Returns notes on how to read the table."""
    arrows = "↑: higher is better, ↓: lower is better. Shares are between 0 and 1; a dash means undefined."
    return [arrows, _MOSES] if any("/" in name for result in results for name in result.figures) else [arrows]


def _headlines(results: Sequence[SetResult]) -> list[Markup]:
    """Returns validity next to size and synthetic accessibility of each set, in a table, with an explanation."""
    known = [result for result in results if set(TYPICAL) <= set(result.molecules)]
    if not known:  # written by an earlier version
        return []
    trained = any(result.ranges for result in known)
    header = ["set", "valid ↑", *(_of_property(name) for name in TYPICAL)]
    rows: list[list[Cell]] = []
    for result in known:
        readable = with_detail(
            f"{result.valid / max(1, result.samples):.1%}", f"{result.valid:,} of {result.samples:,}"
        )
        rows.append([result.name, readable, *(_central_range(result, name) for name in TYPICAL)])
    parts = []
    if trained:
        header.append("like training ↑")
        for row, result in zip(rows, known, strict=True):
            row.append(with_detail(_percent(result.figures.get("in_range", np.nan)), "in all three ranges"))
    for words in dict.fromkeys(_range_words(result) for result in known if result.ranges):
        parts.append(paragraph(words, note=True))
    shown = html_table(header, rows, kinds=["", *["number"] * (len(header) - 1)])
    return [
        heading("Valid, and of a reasonable size?"),
        shown,
        paragraph(_TYPICAL_WORDS, note=True),
        *(parts or [paragraph(_TRAINING_NEEDED, note=True)]),
    ]


_TYPICAL_WORDS = (
    "Valid means only that RDKit can read the string: methane is valid, and so is a ring of thirty carbons. Whether a "
    "chemist would call the molecules reasonable also depends on their size and on whether they can be made. Large "
    "figures: medians of the valid molecules; small: the central 90 % of them. Heavy atoms: all except hydrogen. The "
    "synthetic accessibility score (Ertl and Schuffenhauer 2009, RDKit's SA_Score) goes from 1 (easy to make) to "
    "10 (hard). It estimates effort from common fragments and complexity; very small molecules have good scores, too."
)


def _of_property(name: str) -> str:
    return with_unit(PROPERTIES[name], UNITS[name])


def _central_range(result: SetResult, name: str) -> Cell:
    """The median of a property, the central 90 %, and the share in the range of the training set."""
    values_N = result.molecules.loc[result.molecules["valid"], name].dropna().to_numpy(dtype=float)
    if not len(values_N):
        return "–"
    low, middle, high = np.percentile(values_N, [5, 50, 95])
    inside = f"; {_percent(result.figures[f'in_range_{name}'])} in range" if name in result.ranges else ""
    return with_detail(_size(middle, name), f"{_size(low, name)} to {_size(high, name)}{inside}")


def _range_words(result: SetResult) -> str:
    ranges = ", ".join(
        f"{PROPERTIES[name].partition(' (')[0]} {_size(low, name)} to {_size(high, name)}"
        + (f" {UNITS[name]}" if UNITS[name] else "")
        for name, (low, high) in result.ranges.items()
    )
    return f"Range of the training set (the central 99 % of its molecules, or of a sample of them): {ranges}."


def _size(value: float, name: str) -> str:
    return f"{value:.1f}" if name == "sa" else f"{value:.0f}"


def _percent(share: float) -> str:
    return "–" if np.isnan(share) else f"{share:.0%}" if share in (0, 1) else f"{share:.1%}"


def _against(results: Sequence[SetResult]) -> list[Markup]:
    """Returns the number of samples, how they were made, and the sets that they are compared with."""
    counts = {result.name: f"{result.samples:,} strings" for result in results}
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
        better = _measure("w1" if name.startswith("w1_") else name.partition("/")[0])[1]
        shown.append([f"{figure_in_words(name)} {better}", name_of_key(name), *cells])
    return html_table(["figure", "key", *header[1:]], shown, kinds=["", "", *["number"] * len(results)])


def _histograms(result: SetResult) -> list[Markup]:
    drawn = []
    for name, one in result.histograms.items():
        words = PROPERTIES[name]
        label = with_unit(words, one.unit)
        drawn.append(figure(plots.histogram(_title(words), one.edges, one.shares, label)))
    return drawn


def _against_requested(result: SetResult) -> list[Markup]:
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
    words = f"{shown_of(len(chosen), len(frame), 'different molecules')}, chosen at random with a fixed seed."
    return [paragraph(words, note=True), molecules.grid(chosen["canonical"].tolist(), captions)]


def _caption(row: Mapping[str, object]) -> str:
    facts_of = [f"logP {short(float(str(row['logp'])))}", f"QED {short(float(str(row['qed'])))}"]
    if "sa" in row and "mw" in row:
        facts_of = [f"{float(str(row['mw'])):.0f} g/mol", *facts_of, f"SA {float(str(row['sa'])):.1f}"]
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
    listed = shown_of(len(chosen), bad.nunique(), "different strings")
    words = f"{len(bad):,} of {result.samples:,} strings are not a molecule; {listed}, the first ones:"
    return [paragraph(words), html_table(["string", "reason"], rows, kinds=["mono", "reason"])]
