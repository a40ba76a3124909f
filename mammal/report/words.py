"""The words of a page: names of metrics with their units, what they mean, and what the intervals are."""

from __future__ import annotations

from collections.abc import Sequence

from mammal.evaluation.results import TaskResult
from mammal.tasks.metrics.registry import METRICS

NAMES: dict[str, tuple[str, str]] = {
    "auroc": (
        "AUROC",
        "area under the ROC curve: how often a positive row gets a higher score than a negative one; 0.5 is chance",
    ),
    "auprc": ("AUPRC", "area under the precision-recall curve (average precision); chance is the share of positives"),
    "accuracy": ("accuracy", "share of the rows, or of their tokens, with the right class"),
    "row_accuracy": ("accuracy by row", "mean over the rows of the share of a row's labels that are right"),
    "balanced_accuracy": ("balanced accuracy", "mean over the classes of the share of their rows that are right"),
    "top3_accuracy": ("top-3 accuracy", "share of the rows whose class is among the three most probable"),
    "mcc": ("MCC", "Matthews correlation of true and predicted classes; 0 is chance, 1 is perfect"),
    "f1": ("F1", "harmonic mean of precision and recall of the positive class"),
    "brier": ("Brier score", "mean squared error of the probabilities; 0 is best"),
    "ece": ("calibration error", "mean distance between predicted probability and observed share; 0 is best"),
    "mae": ("mean absolute error", "mean distance between predicted and true value"),
    "mse": ("mean squared error", "mean of the squared distance between predicted and true value"),
    "rmse": ("RMSE", "root of the mean squared error; large errors weigh more"),
    "nrmse": ("NRMSE", "RMSE divided by the standard deviation of the true values; 1 is no better than their mean"),
    "r2": ("R²", "share of the variance that the predictions explain; 0 is no better than the mean, 1 is perfect"),
    "pearson": ("Pearson correlation", "linear correlation of predicted and true values, -1 to 1"),
    "spearman": ("Spearman correlation", "correlation of the ranks of predicted and true values, -1 to 1"),
    "ci": ("concordance index", "share of the pairs of rows that are in the right order; 0.5 is chance"),
    "rmse_log10": ("RMSE of log10", "RMSE of the decimal logarithms; 1 is a factor of ten"),
    "r2_log10": ("R² of log10", "R² of the decimal logarithms"),
    "consistency_mae": (
        "consistency error",
        "distance of a generated number from the property of the generated molecule",
    ),
    "consistency_pearson": (
        "consistency correlation",
        "correlation of generated numbers with properties of the generated molecules",
    ),
    "exact_match": ("exact match", "share of the answers with the true text, character by character"),
    "molecule_match": ("same molecule", "share of the answers that are the true molecule, however it is written"),
    "main_molecule_match": ("same main molecule", "share of the answers that contain the true largest molecule"),
    "top5_exact_match": ("exact match, best of 5", "share of the rows with the true text among the first five answers"),
    "top5_molecule_match": (
        "same molecule, best of 5",
        "share of the rows with the true molecule among the first five answers",
    ),
    "validity": (
        "valid",
        "share of the answers that RDKit can read as a molecule, whether it is a reasonable one or not",
    ),
    "uniqueness": ("different", "share of the valid answers that are different molecules"),
    "morgan_similarity": (
        "similarity (Morgan)",
        "Tanimoto similarity of Morgan fingerprints to the true molecule, 0 to 1",
    ),
    "maccs_similarity": ("similarity (MACCS)", "Tanimoto similarity of MACCS keys to the true molecule, 0 to 1"),
    "opsin_match": ("name of the molecule", "share of the names that OPSIN reads as the true molecule"),
    "opsin_validity": ("readable name", "share of the names that OPSIN can read as a molecule"),
    "recovery": ("residues recovered", "share of the true residues that are at their position in the answer"),
    "length_match": ("right length", "share of the answers that have the true length"),
    "pseudo_perplexity": ("pseudo-perplexity (ESM-2)", "how unnatural the answer is for ESM-2; 20 is chance"),
    "antibody_pseudo_perplexity": (
        "pseudo-perplexity (AntiBERTy)",
        "how unnatural the answer is for AntiBERTy; 20 is chance",
    ),
    "bleu_2": ("BLEU-2", "overlap of words and pairs of words with the true text, 0 to 1"),
    "bleu_4": ("BLEU-4", "overlap of up to four words in a row with the true text, 0 to 1"),
    "char_bleu": ("BLEU of characters", "overlap of up to four characters in a row with the true text, 0 to 1"),
    "rouge_1": ("ROUGE-1", "words in common with the true text, 0 to 1"),
    "rouge_2": ("ROUGE-2", "pairs of words in common with the true text, 0 to 1"),
    "rouge_l": ("ROUGE-L", "longest common sequence of words with the true text, 0 to 1"),
    "levenshtein": (
        "relative edit distance",
        "edits that turn the answer into the true text, divided by the longer length",
    ),
    "edit_distance": ("edit distance", "edits that turn the answer into the true text"),
    "condition_mae": (
        "error of requested properties",
        "distance of the properties of the answers from the requested values",
    ),
    "condition_mae_shuffled": (
        "the same, requests of other rows",
        "the error for a model that ignores what is requested; `condition_mae` should be smaller",
    ),
    "fcd": ("Fréchet ChemNet distance", "how far the set of answers is from the set of true molecules; 0 is best"),
    "snn": ("similarity to the nearest molecule", "Tanimoto similarity to the nearest true molecule, 0 to 1"),
    "frag": ("fragments", "cosine similarity of the counts of fragments with those of the true molecules"),
    "scaf": ("scaffolds", "cosine similarity of the counts of scaffolds with those of the true molecules"),
    "intdiv": ("internal diversity", "1 minus the mean similarity of the answers to each other"),
    "explained_variance": (
        "explained variance",
        "1 minus squared error divided by variance, mean over entries of the vector; 0 is no better than their means",
    ),
    "bit_average_precision": (
        "average precision of bits",
        "area under the precision-recall curve of each bit, mean over bits; chance is the share of rows with the bit",
    ),
    "round_trip": (
        "recovers the input",
        "share of the first answers from which the re-ranking task recovers the input",
    ),
}
"""For each metric, its name on a page and what it means."""

OF_THE_UNIT = ("mae", "rmse", "consistency_mae")
"""Metrics that are in the unit of the task."""
OWN_UNITS = {"edit_distance": "characters", "condition_mae": "standard deviations"}
OWN_UNITS["condition_mae_shuffled"] = OWN_UNITS["condition_mae"]

ROWS_INTERVALS = (
    "Brackets: 95 % confidence interval. The held-out rows are resampled with replacement many times; 95 of 100 "
    "results lie in it. It shows how the figure would vary with other held-out rows, but not how it would vary "
    "with another training run. If the intervals of two models overlap widely, the rows do not show which is better."
)
SEEDS_INTERVALS = (
    "Over several runs: mean ± standard deviation; brackets: 95 % confidence interval of the mean (Student's t). It "
    "shows how the figure would vary with other seeds, and not with other held-out rows."
)


def with_unit(words: str, unit: str) -> str:
    """Adds a unit to the name of a quantity: `RMSE / K`.

    Args:
        words: the name.
        unit: the unit; "" for none.
    """
    return f"{words} / {unit}" if unit else words


def metric_name(metric: str, unit: str = "") -> str:
    """Returns the name of a metric in plain words with its unit and an arrow for the better direction.

    Args:
        metric: its name in declarations.
        unit: unit of the task's target; "" for none.
    """
    words = NAMES[metric][0] if metric in NAMES else metric.replace("_", " ")
    of = unit if metric in OF_THE_UNIT else f"({unit})²" if metric == "mse" and unit else OWN_UNITS.get(metric, "")
    better = (
        "" if metric not in METRICS or metric in OWN_CONTROLS else " ↑" if METRICS[metric].higher_is_better else " ↓"
    )
    return f"{with_unit(words, of)}{better}"


OWN_CONTROLS = ("condition_mae_shuffled",)
"""Metrics for which neither direction is better."""


def meanings(metrics: Sequence[str]) -> str:
    """Returns one text that says what each of these metrics means."""
    known = [f"{NAMES[name][0]} (`{name}`): {NAMES[name][1]}" for name in metrics if name in NAMES]
    return f"{'. '.join(known)}. ↑: higher is better, ↓: lower is better." if known else ""


def positive_class(result: TaskResult) -> str:
    """Returns the positive class of a task with two classes; "" for other tasks."""
    return str(result.labels[1]) if result.kind == "classification" and len(result.labels) == 2 else ""


def intervals_explained(results: Sequence[TaskResult]) -> list[str]:
    """Returns what the brackets of these results mean, once for each kind of interval."""
    kinds = {result.intervals for result in results}
    return [words for kind, words in (("rows", ROWS_INTERVALS), ("seeds", SEEDS_INTERVALS)) if kind in kinds]
