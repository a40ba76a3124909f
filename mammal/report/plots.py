"""The figures of a report: SVG strings with the colours of the page.

matplotlib draws with placeholder colours, and `_themed` replaces them by CSS variables, so that the same drawing fits
light and dark pages. Shapes: N rows.
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
from mammal.tasks.tables.spread_rows import spread_rows

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
"""For each model, (truth [N] of 0 and 1, score [N]). The first is the evaluated model, in the accent colour."""


def roc(models: Scored, positive: str = "") -> Markup:
    """Draws the receiver operating characteristic (ROC) of each model.

    Args:
        models: truth and score of each model.
        positive: name of the positive class, for the axes; "": not named.
    """
    from sklearn.metrics import roc_auc_score, roc_curve

    with _figure("ROC curve: hits against false alarms") as (drawing, axes):
        for colour, (name, (truth, score)) in _coloured(models):
            false_positive, true_positive, _ = roc_curve(truth, score)
            axes.plot(false_positive, true_positive, color=colour, label=f"{name}  {roc_auc_score(truth, score):.3f}")
        axes.plot([0, 1], [0, 1], color=INK, linestyle="--", linewidth=1, alpha=0.5)
        _unit_square(
            axes,
            f"false positive rate: share of the others called {_class(positive)}",
            f"true positive rate: share of {_class(positive)} found",
        )
        axes.legend(loc="lower right")
    return drawing.svg


def precision_recall(models: Scored, positive: str = "") -> Markup:
    """Draws precision against recall of each model. The dashed line is the share of positives.

    Args:
        models: truth and score of each model.
        positive: name of the positive class, for the axes; "": not named.
    """
    from sklearn.metrics import average_precision_score, precision_recall_curve

    with _figure("Precision and recall") as (drawing, axes):
        for colour, (name, (truth, score)) in _coloured(models):
            precision, recall, _ = precision_recall_curve(truth, score)
            label = f"{name}  {average_precision_score(truth, score):.3f}"
            axes.plot(recall, precision, color=colour, label=label)
            positives = float(np.mean(truth))
        axes.axhline(positives, color=INK, linestyle="--", linewidth=1, alpha=0.5)
        _unit_square(
            axes,
            f"recall: share of {_class(positive)} found",
            f"precision: share right of calls of {_class(positive)}",
        )
        axes.legend(loc="lower left")
    return drawing.svg


def calibration(truth_N: np.ndarray, probability_N: np.ndarray, bins: int = 10, *, positive: str = "") -> Markup:
    """Draws the observed share of positives against the predicted probability, with 95 % Wilson intervals.

    Args:
        truth_N: int [N]: 1 for a positive row, else 0.
        probability_N: float [N]: predicted probability of a positive.
        bins: number of bins. Each has the same number of rows.
        positive: name of the positive class, for the axes; "": not named.
    """
    predicted, observed, counts = curve(truth_N, probability_N, bins)
    low, high = _wilson(observed, counts)
    with _figure("Calibration") as (drawing, axes):
        axes.plot([0, 1], [0, 1], color=INK, linestyle="--", linewidth=1, alpha=0.5)
        axes.vlines(predicted, low, high, color=SERIES[0], alpha=0.35, linewidth=4)
        axes.plot(predicted, observed, color=SERIES[0], marker="o", markersize=4, linewidth=1.2)
        _unit_square(axes, f"predicted probability of {_class(positive)}", f"observed share of {_class(positive)}")
    return drawing.svg


def coverages(expected_T: np.ndarray, observed_T: np.ndarray, rows: int) -> Markup:
    """Draws the share of true values inside intervals against the expected share, with 95 % Wilson intervals.

    Args:
        expected_T: float [T]: coverage of the intervals.
        observed_T: float [T]: share of the true values inside them.
        rows: number of rows.
    """
    low, high = _wilson(observed_T, np.full(len(observed_T), rows))
    with _figure("Coverage of intervals") as (drawing, axes):
        axes.plot([0, 1], [0, 1], color=INK, linestyle="--", linewidth=1, alpha=0.5)
        axes.vlines(expected_T, low, high, color=SERIES[0], alpha=0.35, linewidth=4)
        axes.plot(expected_T, observed_T, color=SERIES[0], marker="o", markersize=4, linewidth=1.2)
        _unit_square(axes, "expected share of true values inside the interval", "observed share")
    return drawing.svg


MOST_POINTS, MOST_BARS = 4000, 120
"""Maximum number of points of a scatter plot, and of intervals in it. They are picked evenly; more would overlap."""


def parity(
    truth_N: np.ndarray,
    predicted_N: np.ndarray,
    unit: str = "",
    interval_N2: np.ndarray | None = None,
    *,
    title: str = "Predicted against true values",
    axes_names: tuple[str, str] = ("true value", "predicted value"),
) -> Markup:
    """Draws predicted against measured values.

    Args:
        truth_N: float [N]: measured values.
        predicted_N: float [N]: predicted values.
        unit: unit of both.
        interval_N2: float [N, 2]: prediction intervals (low, high). None: none are drawn.
        title: title of the figure.
        axes_names: names of the horizontal and of the vertical axis.
    """
    suffix = f" / {unit}" if unit else ""
    if len(truth_N) > MOST_POINTS:
        title += f", {MOST_POINTS:,} of {len(truth_N):,} rows"
    span = np.concatenate([truth_N, predicted_N])
    low, high = float(span.min()), float(span.max())
    margin = 0.03 * (high - low or 1.0)
    with _figure(title) as (drawing, axes):
        if interval_N2 is not None:
            shown = spread_rows(len(truth_N), MOST_BARS)
            lows_N, highs_N = np.asarray(interval_N2, dtype=float)[shown].T
            axes.vlines(truth_N[shown], lows_N, highs_N, color=SERIES[0], alpha=0.18, linewidth=1.5)
        axes.plot([low, high], [low, high], color=INK, linestyle="--", linewidth=1, alpha=0.5)
        shown = spread_rows(len(truth_N), MOST_POINTS)
        axes.scatter(truth_N[shown], predicted_N[shown], s=10, color=SERIES[0], alpha=0.65, linewidths=0)
        axes.set_xlabel(f"{axes_names[0]}{suffix}")
        axes.set_ylabel(f"{axes_names[1]}{suffix}")
        axes.set_xlim(low - margin, high + margin)
    return drawing.svg


def forest(title: str, models: Mapping[str, tuple[float, float, float]], label: str = "") -> Markup:
    """Draws one metric of several models as points with 95 % intervals.

    Args:
        title: title of the figure.
        models: for each model, (value, low, high). The first is the evaluated model.
        label: label of the horizontal axis: the metric with its unit.
    """
    with _figure(title, height=1.0 + 0.34 * len(models)) as (drawing, axes):
        for row, (value, low, high) in enumerate(models.values()):
            shown = SERIES[0] if row == 0 else SERIES[2]
            axes.hlines(row, low, high, color=shown, linewidth=5, alpha=0.35)
            axes.plot(value, row, marker="o", color=shown, markersize=6)
        axes.set_yticks(range(len(models)), list(models))
        axes.set_ylim(len(models) - 0.5, -0.5)
        axes.grid(False, axis="y")
        axes.set_xlabel(label)
    return drawing.svg


def by_distance(groups: Sequence[str], errors: Sequence[float], coverage: Sequence[float], label: str) -> Markup:
    """Draws the error of groups of rows as bars, and the coverage of their intervals as a line.

    Args:
        groups: name of each group: its range of similarities.
        errors: mean error of each group.
        coverage: share of true values inside the intervals of each group; NaN if there are no intervals.
        label: label of the vertical axis: the error with its unit.
    """
    places = np.arange(len(groups))
    with _figure("Error by similarity to the training rows") as (drawing, axes):
        axes.bar(places, errors, color=SERIES[0], alpha=0.45)
        axes.set_xticks(places, list(groups), rotation=45, ha="right")
        axes.set_xlabel("similarity to the nearest training row")
        axes.set_ylabel(label)
        axes.grid(False, axis="x")
        if not np.isnan(coverage).any():
            other = axes.twinx()
            other.plot(places, 100 * np.asarray(coverage), color=SERIES[1], marker="o", markersize=4)
            other.set_ylim(0, 105)
            other.set_ylabel("% of true values inside the interval")
            other.grid(False)
    return drawing.svg


def learning_curves(title: str, curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], label: str) -> Markup:
    """Draws series over optimiser steps. The first has the accent colour.

    Args:
        title: title of the figure.
        curves: for each series, (steps, values).
        label: label of the vertical axis.
    """
    with _figure(title) as (drawing, axes):
        for colour, (name, (steps, values)) in _coloured(curves):
            marker = "o" if len(steps) < 40 else None
            axes.plot(steps, values, color=colour, label=name, marker=marker, markersize=3)
        axes.set_xlabel("optimiser step")
        axes.set_ylabel(label)
        if len(curves) > 1:
            axes.legend(loc="best")
    return drawing.svg


def histogram(
    title: str, edges: Sequence[float], shares: Mapping[str, Sequence[float]], label: str, of: str = "molecules"
) -> Markup:
    """Draws the distributions of several sets, in percent of each set. The first is filled, in the accent colour.

    Args:
        title: title of the figure.
        edges: edges of the bins, one more than there are bins.
        shares: for each set, the share of its members in each bin (0 to 1).
        label: label of the horizontal axis, with its unit.
        of: what the members of the sets are, for the vertical axis.
    """
    with _figure(title, height=2.9) as (drawing, axes):
        for number, (colour, (name, share)) in enumerate(_coloured(shares)):
            percent = 100 * np.asarray(share, dtype=float)
            if number == 0:
                axes.stairs(percent, edges, fill=True, color=colour, alpha=0.28)
            dashed = "--" if number > 1 else "-"
            axes.stairs(percent, edges, color=colour, label=name, linewidth=1.5, linestyle=dashed)
        axes.set_xlabel(label)
        axes.set_ylabel(f"% of {of}")
        axes.set_ylim(bottom=0)
        axes.legend(loc="best")
    return drawing.svg


def class_counts(title: str, classes: Sequence[str], counts: Mapping[str, Sequence[int]]) -> Markup:
    """Draws the number of rows of each class, as horizontal bars next to each other for several sets.

    Args:
        title: title of the figure.
        classes: names of the classes, from top to bottom.
        counts: for each set, the number of rows of each class.
    """
    height = 0.8 / max(len(counts), 1)
    with _figure(title, height=1.2 + 0.34 * len(classes)) as (drawing, axes):
        places = np.arange(len(classes))
        for number, (colour, (name, count)) in enumerate(_coloured(counts)):
            axes.barh(places + number * height, count, height, color=colour, label=name, alpha=0.7)
        names = [name if len(name) <= CLASS_LETTERS else f"{name[: CLASS_LETTERS - 1]}…" for name in classes]
        axes.set_yticks(places + 0.4 - height / 2, names)
        axes.invert_yaxis()
        axes.grid(False, axis="y")
        axes.set_xlabel("rows")
        if len(counts) > 1:
            axes.legend(loc="best")
    return drawing.svg


class _Drawing:
    """The result of `_figure`. Its SVG is set when the `with` block ends."""

    svg = Markup("")


@contextmanager
def _figure(title: str, height: float = 3.5) -> Iterator[tuple[_Drawing, Axes]]:
    """Opens an empty figure to draw into. Afterwards, the drawing has its SVG."""
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
    """Returns the `<svg>` element with the page's colours, font and width. matplotlib has escaped its text."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1", svg)
    svg = re.sub(r"font-family: [^;\"]*;?", "", svg)
    svg = re.sub(r' id="(?:\w+_|matplotlib\.axis_)\d+"', "", svg)  # matplotlib uses the same ids in every figure
    svg = re.sub(r' (?:width|height)="[\d.]+pt"', "", svg)
    for stand_in, variable in _THEME.items():
        svg = svg.replace(stand_in, variable)
    return Markup(svg.replace("<svg", f'<svg role="img" aria-label="{escape(title)}"', 1))


def _coloured(series: Mapping[str, Any]) -> list[tuple[str, tuple[str, Any]]]:
    return [(SERIES[i % len(SERIES)], item) for i, item in enumerate(series.items())]


def _class(positive: str) -> str:
    """The positive class as axes name it."""
    name = positive if len(positive) <= CLASS_LETTERS else f"{positive[: CLASS_LETTERS - 1]}…"
    return f"class {name}" if positive else "positives"


CLASS_LETTERS = 14
"""Maximum number of letters of a class in the label of an axis, so that the label fits next to the figure."""


def _unit_square(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)


def _wilson(share: np.ndarray, count: np.ndarray, z: float = 1.96) -> tuple[np.ndarray, np.ndarray]:
    """Returns the Wilson score interval of a binomial share (Wilson 1927)."""
    centre = share + z**2 / (2 * count)
    half = z * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    scale = 1 + z**2 / count
    return (centre - half) / scale, (centre + half) / scale
