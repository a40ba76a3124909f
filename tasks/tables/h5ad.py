"""Reading of single cells from an AnnData file (`.h5ad`): annotations of each cell, and genes ranked by expression.

    cell      name of the cell (the index of `obs`)
    n_genes   genes with a count
    genes     "[MALAT1][B2M]…": the `MAX_GENES` most expressed genes, as the GENE alphabet reads them
    …         every column of `obs`

Genes are ranked as in the published cell prompts (Shoshan et al., MAMMAL). Each count is divided by the cell's total
and transformed with log2(1 + x). The values are put into ten bins of equal width from the smallest to the largest
value of the file. Genes are sorted by descending bin, then by name. Cells with fewer than `MIN_GENES` genes keep their
row but do not widen the bins.

The counts are read twice, `ROWS` cells at a time: first for the range of the bins, then for the ranks. Memory does not
grow with the counts of the file, except for a matrix stored by columns, which is read whole. 30,000 cells with 45
million counts need 0.22 GB, of which 0.12 are the imports.

The file is read with h5py, not with anndata. The newest release of anndata that pip installs with Python 3.11 and
pandas 3 is 0.12.6: later ones require pandas 2 or Python 3.12. Its backed reading of sparse matrices fails with scipy
1.17, and reading that file whole needs 0.5 GB before any gene is ranked. It adds eight packages with 43 MB and 0.3 s
of import, and would replace about 50 of the lines below.

Shapes: N cells, G genes, B cells of a block, Z non-zero counts of a block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mammal.tasks.errors import DataError

if TYPE_CHECKING:
    import pandas as pd
    from scipy.sparse import csr_matrix

MAX_GENES = 500
MIN_GENES = 200
BINS = 10
ROWS = 500
"""Number of cells whose counts are in memory at the same time."""
SYMBOLS = "feature_name"
"""Column of `var` with gene symbols, for files whose index holds Ensembl ids (CELLxGENE's layout)."""


class _Counts(NamedTuple):
    """The counts of a file and the gene of each column."""

    cells: int
    names_G: Sequence[str]
    read: Callable[[int, int], csr_matrix]
    """(first, end) -> counts [B, G] of these cells."""

    def blocks(self, first: int, end: int) -> Iterator[csr_matrix]:
        """The counts of cells `first` to `end`, without stored zeros, up to `ROWS` cells at a time."""
        for start in range(first, end, ROWS):
            counts_BG = self.read(start, min(start + ROWS, end))
            counts_BG.eliminate_zeros()
            yield counts_BG


def iter_cells(file: Path, chunk: int) -> Iterator[pd.DataFrame]:
    """Reads the cells of a file in order. Counts are `raw/X` if the file has it, else `X`.

    Args:
        file: an AnnData file.
        chunk: number of rows of each table.

    Yields:
        Tables with the columns that the top of this file lists.

    Raises:
        DataError: h5py is not installed, the file is not an AnnData file, or a count is negative.
    """
    try:
        import h5py
    except ImportError as error:
        raise DataError("reading h5ad needs the package h5py", where=str(file), hint="pip install h5py") from error
    with ExitStack() as stack:
        try:
            store = stack.enter_context(h5py.File(file))
            counts = _counts(store)
            annotations = _annotations(store)
            edges = _bin_edges(counts, file)
        except (OSError, KeyError) as error:
            raise DataError(f"not an AnnData file: {error}", where=str(file)) from error
        places_G = _alphabetical(counts.names_G)
        for start in range(0, max(counts.cells, 1), chunk):
            n_genes: list[int] = []
            genes: list[str] = []
            for counts_BG in counts.blocks(start, min(start + chunk, counts.cells)):
                n_genes += np.diff(counts_BG.indptr).tolist()
                genes += _ranked(counts_BG, np.digitize(_levels(counts_BG), edges), counts.names_G, places_G)
            yield annotations.iloc[start : start + chunk].assign(n_genes=np.array(n_genes, dtype=np.int32), genes=genes)


def _bin_edges(counts: _Counts, file: Path) -> np.ndarray:
    """Edges of the expression bins, [BINS + 1]; over all cells if none has `MIN_GENES` genes."""
    nothing = (np.inf, -np.inf)
    of_all, of_deep = nothing, nothing
    for counts_BG in counts.blocks(0, counts.cells):
        if (counts_BG.data < 0).any():
            raise DataError("negative expression: ranks need counts", where=str(file), hint="keep them in X or raw/X")
        levels_Z = _levels(counts_BG)
        depth_B = np.diff(counts_BG.indptr)
        of_all = _widened(of_all, levels_Z)
        of_deep = _widened(of_deep, levels_Z[np.repeat(depth_B >= MIN_GENES, depth_B)])
    low, high = of_all if of_deep == nothing else of_deep
    return np.linspace(low, high, BINS + 1) if (low, high) != nothing else np.zeros(BINS + 1)


def _widened(known: tuple[float, float], values: np.ndarray) -> tuple[float, float]:
    """The smallest range (low, high) that contains the range `known` and the values."""
    if not len(values):
        return known
    return float(np.minimum(known[0], values.min())), float(np.maximum(known[1], values.max()))


def _levels(counts_BG: csr_matrix) -> np.ndarray:
    """Expression level of every stored count, [Z]: log2(1 + share of the cell's total)."""
    totals_B = np.asarray(counts_BG.sum(axis=1), dtype=np.float64).ravel()
    return np.log2(1 + counts_BG.data / np.repeat(totals_B, np.diff(counts_BG.indptr)))


def _alphabetical(names_G: Sequence[str]) -> np.ndarray:
    """Position of each gene in the alphabetical order of names, int64 [G]."""
    places_G = np.empty(len(names_G), dtype=np.int64)
    places_G[np.argsort(np.array(names_G, dtype=object), kind="stable")] = np.arange(len(names_G))
    return places_G


def _ranked(counts_BG: csr_matrix, bins_Z: np.ndarray, names_G: Sequence[str], places_G: np.ndarray) -> list[str]:
    """The genes text of each cell of a block."""
    texts = []
    for start, end in zip(counts_BG.indptr[:-1], counts_BG.indptr[1:], strict=True):
        genes_Z = counts_BG.indices[start:end]
        order = np.lexsort((places_G[genes_Z], -bins_Z[start:end]))[:MAX_GENES]
        texts.append("".join(f"[{names_G[g]}]" for g in genes_Z[order]))
    return texts


def _counts(store: Any) -> _Counts:
    base = store["raw"] if "raw" in store and "X" in store["raw"] else store
    node, genes = base["X"], base["var"]
    names_G = _values(genes[SYMBOLS] if SYMBOLS in genes else genes[genes.attrs["_index"]])
    if hasattr(node, "shape"):
        return _Counts(node.shape[0], names_G, _dense_rows(node))
    by_columns = node.attrs.get("encoding-type") == "csc_matrix"
    read = _rows_of_columns(node) if by_columns else _sparse_rows(node)
    return _Counts(int(node.attrs["shape"][0]), names_G, read)


def _dense_rows(node: Any) -> Callable[[int, int], csr_matrix]:
    from scipy import sparse

    return lambda first, end: sparse.csr_matrix(node[first:end])


def _sparse_rows(node: Any) -> Callable[[int, int], csr_matrix]:
    from scipy import sparse

    starts_N, genes = node["indptr"][:], int(node.attrs["shape"][1])

    def read(first: int, end: int) -> csr_matrix:
        low, high = starts_N[first], starts_N[end]
        parts = (node["data"][low:high], node["indices"][low:high], starts_N[first : end + 1] - low)
        return sparse.csr_matrix(parts, shape=(end - first, genes))

    return read


def _rows_of_columns(node: Any) -> Callable[[int, int], csr_matrix]:
    """Rows of a matrix stored by columns: each row is spread over the file, so the whole matrix is read at once."""
    from scipy import sparse

    parts = (node["data"][:], node["indices"][:], node["indptr"][:])
    matrix = sparse.csc_matrix(parts, shape=tuple(node.attrs["shape"])).tocsr()
    return lambda first, end: matrix[first:end]


def _annotations(store: Any) -> pd.DataFrame:
    import pandas as pd

    observed = store["obs"]
    if not hasattr(observed, "keys"):
        hint = "write the file again with anndata 0.8 or later"
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
