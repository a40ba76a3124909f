"""The figures of a report, each one SVG string that takes its colours from the page.

matplotlib draws with stand-in colours and `_themed` swaps them for CSS variables, so that one drawing serves light and
dark pages. Shapes: N rows.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup, escape

from mammal.evaluation.reliability import curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, RULE = "#010101", "#020202"
SERIES = ("#030303", "#040404", "#050505", "#060606", "#070707")
_THEME = {INK: "var(--ink)", RULE: "var(--rule)"} | {c: f"var(--series-{i})" for i, c in enumerate(SERIES, start=1)}

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: it can be selected and takes the page's font
    "font.size": 9,
    "axes.edgecolor": RULE,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.5,
    "grid.alpha": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "text.color": INK,
    "text.parse_math": False,  # a "$" in a name is a character, not the start of a formula
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.6,
}

Scored = Mapping[str, tuple[np.ndarray, np.ndarray]]
"""Model name -> (truth [N] of 0 and 1, score [N]); the first is ours and is drawn in the accent colour."""


def roc(models: Scored) -> Markup:
    """Receiver operating characteristic of each model."""
    from sklearn.metrics import roc_auc_score, roc_curve

    with _figure("Receiver operating characteristic") as (drawing, axes):
        for colour, (name, (truth, score)) in _coloured(models):
            false_positive, true_positive, _ = roc_curve(truth, score)
            axes.plot(false_positive, true_positive, color=colour, label=f"{name}  {roc_auc_score(truth, score):.3f}")
        axes.plot([0, 1], [0, 1], color=INK, linestyle="--", linewidth=1, alpha=0.5)
        _unit_square(axes, "false positive rate", "true positive rate")
        axes.legend(loc="lower right")
    return drawing.svg


def precision_recall(models: Scored) -> Markup:
    """Precision against recall of each model; the dashed line is the share of positives."""
    from sklearn.metrics import average_precision_score, precision_recall_curve

    with _figure("Precision and recall") as (drawing, axes):
        for colour, (name, (truth, score)) in _coloured(models):
            precision, recall, _ = precision_recall_curve(truth, score)
            label = f"{name}  {average_precision_score(truth, score):.3f}"
            axes.plot(recall, precision, color=colour, label=label)
            positives = float(np.mean(truth))
        axes.axhline(positives, color=INK, linestyle="--", linewidth=1, alpha=0.5)
        _unit_square(axes, "recall", "precision")
        axes.legend(loc="lower left")
    return drawing.svg


def calibration(truth_N: np.ndarray, probability_N: np.ndarray, bins: int = 10) -> Markup:
    """Observed share of positives against predicted probability, in bins of equal count, with 95 % Wilson intervals."""
    predicted, observed, counts = curve(truth_N, probability_N, bins)
    low, high = _wilson(observed, counts)
    with _figure("Calibration") as (drawing, axes):
        axes.plot([0, 1], [0, 1], color=INK, linestyle="--", linewidth=1, alpha=0.5)
        axes.vlines(predicted, low, high, color=SERIES[0], alpha=0.35, linewidth=4)
        axes.plot(predicted, observed, color=SERIES[0], marker="o", markersize=4, linewidth=1.2)
        _unit_square(axes, "predicted probability", "observed share")
    return drawing.svg


MOST_POINTS, MOST_BARS = 4000, 120
"""Most rows of a scatter plot, and rows whose intervals it shows, evenly picked: more would blacken the page."""


def parity(
    truth_N: np.ndarray,
    predicted_N: np.ndarray,
    unit: str = "",
    interval_N2: np.ndarray | None = None,
    *,
    title: str = "Predicted against measured",
    axes_names: tuple[str, str] = ("measured", "predicted"),
) -> Markup:
    """Predicted against measured, with the prediction intervals where the bundle gives them."""
    suffix = f" / {unit}" if unit else ""
    if len(truth_N) > MOST_POINTS:
        title += f", {MOST_POINTS:,} of {len(truth_N):,} rows"
    span = np.concatenate([truth_N, predicted_N])
    low, high = float(span.min()), float(span.max())
    margin = 0.03 * (high - low or 1.0)
    with _figure(title) as (drawing, axes):
        if interval_N2 is not None:
            shown = _evenly(len(truth_N), MOST_BARS)
            lows_N, highs_N = np.asarray(interval_N2, dtype=float)[shown].T
            axes.vlines(truth_N[shown], lows_N, highs_N, color=SERIES[0], alpha=0.18, linewidth=1.5)
        axes.plot([low, high], [low, high], color=INK, linestyle="--", linewidth=1, alpha=0.5)
        shown = _evenly(len(truth_N), MOST_POINTS)
        axes.scatter(truth_N[shown], predicted_N[shown], s=10, color=SERIES[0], alpha=0.65, linewidths=0)
        axes.set_xlabel(f"{axes_names[0]}{suffix}")
        axes.set_ylabel(f"{axes_names[1]}{suffix}")
        axes.set_xlim(low - margin, high + margin)
    return drawing.svg


def forest(metric: str, models: Mapping[str, tuple[float, float, float]]) -> Markup:
    """One metric of several models as points with 95 % intervals: name -> (value, low, high), ours first."""
    with _figure(metric, height=0.8 + 0.34 * len(models)) as (drawing, axes):
        for row, (value, low, high) in enumerate(models.values()):
            shown = SERIES[0] if row == 0 else SERIES[2]
            axes.hlines(row, low, high, color=shown, linewidth=5, alpha=0.35)
            axes.plot(value, row, marker="o", color=shown, markersize=6)
        axes.set_yticks(range(len(models)), list(models))
        axes.set_ylim(len(models) - 0.5, -0.5)
        axes.grid(False, axis="y")
    return drawing.svg


def learning_curves(title: str, curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], label: str) -> Markup:
    """Named series of (steps, values) over optimiser steps; the first is drawn in the accent colour."""
    with _figure(title) as (drawing, axes):
        for colour, (name, (steps, values)) in _coloured(curves):
            marker = "o" if len(steps) < 40 else None
            axes.plot(steps, values, color=colour, label=name, marker=marker, markersize=3)
        axes.set_xlabel("optimiser step")
        axes.set_ylabel(label)
        if len(curves) > 1:
            axes.legend(loc="best")
    return drawing.svg


def histogram(title: str, edges: Sequence[float], shares: Mapping[str, Sequence[float]], label: str) -> Markup:
    """Distributions of several sets over the same bins, in percent of each; the first is filled, in the accent colour.

    Args:
        edges: of the bins, one more than there are.
        shares: name of a set -> share of its members in each bin.
        label: of what is counted, with its unit.
    """
    with _figure(title, height=2.9) as (drawing, axes):
        for number, (colour, (name, share)) in enumerate(_coloured(shares)):
            percent = 100 * np.asarray(share, dtype=float)
            if number == 0:
                axes.stairs(percent, edges, fill=True, color=colour, alpha=0.28)
            dashed = "--" if number > 1 else "-"
            axes.stairs(percent, edges, color=colour, label=name, linewidth=1.5, linestyle=dashed)
        axes.set_xlabel(label)
        axes.set_ylabel("% of molecules")
        axes.set_ylim(bottom=0)
        axes.legend(loc="best")
    return drawing.svg


class _Drawing:
    """What `_figure` leaves behind once its block has ended."""

    svg = Markup("")


@contextmanager
def _figure(title: str, height: float = 3.5) -> Iterator[tuple[_Drawing, Axes]]:
    """An empty figure to draw into; its SVG stands in the drawing afterwards."""
    import matplotlib
    from matplotlib.figure import Figure

    drawing = _Drawing()
    with matplotlib.rc_context({**_STYLE, "svg.hashsalt": title}):
        figure = Figure(figsize=(4.4, height), layout="constrained")
        axes = figure.subplots()
        axes.set_title(title)
        yield drawing, axes
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    drawing.svg = _themed(text.getvalue(), title)


def _themed(svg: str, title: str) -> Markup:
    """The bare `<svg>` element with the page's colours, font and width. matplotlib has escaped the text inside."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1", svg)
    svg = re.sub(r"font-family: [^;\"]*;?", "", svg)
    svg = re.sub(r' id="(?:\w+_|matplotlib\.axis_)\d+"', "", svg)  # names of matplotlib's own, the same in every figure
    svg = re.sub(r' (?:width|height)="[\d.]+pt"', "", svg)
    for stand_in, variable in _THEME.items():
        svg = svg.replace(stand_in, variable)
    return Markup(svg.replace("<svg", f'<svg role="img" aria-label="{escape(title)}"', 1))


def _evenly(count: int, most: int) -> np.ndarray:
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(int))


def _coloured(series: Mapping[str, Any]) -> list[tuple[str, tuple[str, Any]]]:
    return [(SERIES[i % len(SERIES)], item) for i, item in enumerate(series.items())]


def _unit_square(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)


def _wilson(share: np.ndarray, count: np.ndarray, z: float = 1.96) -> tuple[np.ndarray, np.ndarray]:
    """Wilson score interval of a binomial share (Wilson 1927)."""
    centre = share + z**2 / (2 * count)
    half = z * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    scale = 1 + z**2 / count
    return (centre - half) / scale, (centre + half) / scale
