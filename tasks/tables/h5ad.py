"""Cells of an AnnData file (`.h5ad`) as rows: the annotations of each cell, and its genes ranked by expression.

    cell      name of the cell (the index of `obs`)
    n_genes   genes with a count
    genes     "[MALAT1][B2M]…": the `MAX_GENES` that are expressed most, as the GENE alphabet reads them
    …         every column of `obs`

Ranks are those of the published cell prompts (Shoshan et al., MAMMAL): counts over the cell's total, log2(1 + x), ten
bins of equal width from the smallest to the largest value of the file; genes by descending bin and then by name. Cells
with fewer than `MIN_GENES` genes keep their row but do not widen the bins.

Shapes: N cells, G genes, Z stored counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mammal.tasks.errors import DataError

if TYPE_CHECKING:
    import pandas as pd
    from scipy.sparse import csr_matrix

MAX_GENES = 500
MIN_GENES = 200
BINS = 10
SYMBOLS = "feature_name"
"""Column of `var` that holds gene symbols where the index holds Ensembl ids (CELLxGENE's layout)."""


def iter_cells(file: Path, chunk: int) -> Iterator[pd.DataFrame]:
    """The file's cells, `chunk` rows at a time, in order. Counts are `raw/X` where the file has it, else `X`.

    Raises:
        DataError: h5py is not installed, or the file is no AnnData file of counts.
    """
    try:
        import h5py
    except ImportError as error:
        raise DataError("reading h5ad needs the package h5py", where=str(file), hint="pip install h5py") from error
    try:
        with h5py.File(file) as store:
            counts_NG, names_G = _counts(store)
            annotations = _annotations(store)
    except (OSError, KeyError) as error:
        raise DataError(f"not an AnnData file: {error}", where=str(file)) from error
    if (counts_NG.data < 0).any():
        raise DataError("negative expression: ranks need counts", where=str(file), hint="keep them in X or raw/X")
    bins_Z = _bins(counts_NG)
    for start in range(0, max(counts_NG.shape[0], 1), chunk):
        rows = range(start, min(start + chunk, counts_NG.shape[0]))
        yield annotations.iloc[start : start + chunk].assign(
            n_genes=np.diff(counts_NG.indptr)[start : start + chunk],
            genes=_ranked(counts_NG, bins_Z, names_G, rows),
        )


def _bins(counts_NG: csr_matrix) -> np.ndarray:
    """Expression bin of every stored count, [Z]; from 1."""
    depth_N = np.diff(counts_NG.indptr)
    totals_N = np.asarray(counts_NG.sum(axis=1), dtype=np.float64).ravel()
    levels_Z = np.log2(1 + counts_NG.data / np.repeat(totals_N, depth_N))
    deep_Z = np.repeat(depth_N >= MIN_GENES, depth_N)
    known_Z = levels_Z[deep_Z] if deep_Z.any() else levels_Z
    if not len(known_Z):
        return np.zeros(0, dtype=np.int64)
    return np.digitize(levels_Z, np.linspace(known_Z.min(), known_Z.max(), BINS + 1))


def _ranked(counts_NG: csr_matrix, bins_Z: np.ndarray, names_G: Sequence[str], cells: range) -> list[str]:
    """The genes text of some cells."""
    place_G = np.empty(len(names_G), dtype=np.int64)
    place_G[np.argsort(np.array(names_G, dtype=object), kind="stable")] = np.arange(len(names_G))
    texts = []
    for n in cells:
        start, end = counts_NG.indptr[n], counts_NG.indptr[n + 1]
        genes_Z = counts_NG.indices[start:end]
        order = np.lexsort((place_G[genes_Z], -bins_Z[start:end]))[:MAX_GENES]
        texts.append("".join(f"[{names_G[g]}]" for g in genes_Z[order]))
    return texts


def _counts(store: Any) -> tuple[csr_matrix, list[str]]:
    """The counts without stored zeros, and the gene of each column."""
    from scipy import sparse

    base = store["raw"] if "raw" in store and "X" in store["raw"] else store
    node, genes = base["X"], base["var"]
    if hasattr(node, "shape"):
        matrix = sparse.csr_matrix(node[:])
    else:
        columns = node.attrs.get("encoding-type") == "csc_matrix"
        form = sparse.csc_matrix if columns else sparse.csr_matrix
        parts = (node["data"][:], node["indices"][:], node["indptr"][:])
        matrix = form(parts, shape=tuple(node.attrs["shape"])).tocsr()
    matrix.eliminate_zeros()
    return matrix, _values(genes[SYMBOLS] if SYMBOLS in genes else genes[genes.attrs["_index"]])


def _annotations(store: Any) -> pd.DataFrame:
    import pandas as pd

    observed = store["obs"]
    if not hasattr(observed, "keys"):
        hint = "write the file anew with anndata 0.8 or later"
        raise DataError("obs is stored in an old form", where=str(store.filename), hint=hint)
    columns = {name: observed[name] for name in observed.attrs["column-order"] if name in observed}
    nodes = {"cell": observed[observed.attrs["_index"]], **columns}
    return pd.DataFrame({name: _values(node) for name, node in nodes.items()})


def _values(node: Any) -> list[Any]:
    """A column of `obs` or `var`: plain, categorical (codes and categories) or nullable (values and mask)."""
    if hasattr(node, "shape"):
        return [v.decode() if isinstance(v, bytes) else v for v in node[:].tolist()]
    if "categories" in node:
        categories = _values(node["categories"])
        return [None if code < 0 else categories[code] for code in node["codes"][:]]
    return [None if gone else v for v, gone in zip(_values(node["values"]), node["mask"][:], strict=True)]
