"""Names of models and baselines as tables and figures show them."""

from __future__ import annotations


def readable_name(name: str) -> str:
    """Readable name of a model or baseline."""
    if name.startswith(ONLY):
        return f"random forest, {name.removeprefix(ONLY)} alone"
    return _READABLE.get(name, name)


ONLY = "forest_only_"
_READABLE = {
    "mean": "mean of the training labels",
    "nearest": "answer of the nearest training row",
    "forest_morgan": "random forest, Morgan",
    "forest_descriptors": "random forest, descriptors",
    "svm_morgan": "support vectors, Morgan",
    "svm_descriptors": "support vectors, descriptors",
    "svm_both": "support vectors, Morgan and descriptors",
    "boosting_morgan": "gradient boosting, Morgan",
    "boosting_descriptors": "gradient boosting, descriptors",
    "boosting_both": "gradient boosting, Morgan and descriptors",
    "forest_kmers": "random forest, k-mers",
    "forest_words": "random forest, names",
    "forest_all": "random forest, all columns",
    "forest_variant": "random forest, what the variant changes",
    "linear_kmers": "linear model, k-mers",
    "linear_variant": "linear model, what the variant changes",
    "linear_window": "linear model, window of neighbours",
    "linear_esm2": "linear model, frozen ESM-2",
}
