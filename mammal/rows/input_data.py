"""What users hand over, in the few forms that `mammal.rows.tables` reads.

    arrow tables, polars frames     -> data frames, through the Arrow PyCapsule interface that both have
    arrow columns, polars series    -> lists of values
    a dict of columns               -> a data frame
    RDKit molecules                 -> SMILES, wherever they are

Neither RDKit nor polars is imported: only who has them can hand over their objects.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mammal.errors import DataError

TABLE_ENDINGS = (".txt", ".dat", ".xlsx", ".xls", ".ods", ".docx", ".pdf", ".json", ".zip", ".xz", ".lz4")
"""Endings of files that hold tables or text in a format that is not read."""
STRUCTURE_ENDINGS = (".mol", ".mol2", ".mae", ".pdb", ".cif", ".mmcif", ".ent", ".xyz")
SEQUENCE_ENDINGS = (".fastq", ".fq", ".gb", ".gbk", ".embl", ".gff", ".gff3", ".gtf", ".bed", ".sam", ".bam", ".cram")
BINARY_ENDINGS = (".feather", ".arrow", ".h5", ".hdf5", ".npy", ".npz", ".pkl", ".pickle")
OTHER_ENDINGS = (*TABLE_ENDINGS, *STRUCTURE_ENDINGS, *SEQUENCE_ENDINGS, *BINARY_ENDINGS)
"""Endings of files that can't be read. No SMILES and no sequence ends like this."""


def is_path(data: Any) -> bool:
    """A Path, or a string that is a URL, ends like a file or names one that exists; any other string is a value."""
    if isinstance(data, os.PathLike):
        return True
    if not isinstance(data, str) or "\n" in data:
        return False
    from mammal.tasks.tables.compression import bare_name
    from mammal.tasks.tables.readers import FORMATS
    from mammal.tasks.tables.remote import is_remote

    if is_remote(data):
        return True
    name = bare_name(data)
    if name.endswith(tuple(f".{ending}" for ending in FORMATS)):
        return True
    one_word = not any(letter.isspace() for letter in data)  # a text may end with the name of a file
    return (one_word and name.endswith(OTHER_ENDINGS)) or ("." in data and _is_file(data))


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except OSError:  # longer than the name of a file can be
        return False


def input_data(data: Any) -> Any:
    """Data in one of the forms that `mammal.rows.tables.row_table` reads.

    Args:
        data: anything that a user hands over. What has another form than those listed above stays as it is.

    Raises:
        DataError: columns of a dict have different lengths.
    """
    if _is_arrow(data):
        return _of_arrow(data)
    if isinstance(data, Mapping):
        return _of_columns(data)
    if is_molecule(data):
        return plain_rows([{"molecule": data}])[0]["molecule"]
    return data


def is_molecule(value: Any) -> bool:
    """Whether this is an RDKit molecule."""
    return any(kind.__name__ == "Mol" and kind.__module__ == "rdkit.Chem.rdchem" for kind in type(value).__mro__)


def plain_cell(value: Any) -> Any:
    """A value of a row; an RDKit molecule as canonical SMILES with its stereo centres."""
    if not is_molecule(value):
        return value
    from mammal.tasks.molecules.chemistry import as_smiles

    return as_smiles(value)


def plain_rows(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Rows whose molecules are SMILES. A warning names the rows with racemic or relative centres."""
    held = [number for number, row in enumerate(rows) if any(map(is_molecule, row.values()))]
    if not held:
        return list(rows)
    from mammal.tasks.molecules.chemistry import has_open_stereo
    from mammal.tasks.tables.molecule_files import OPEN_STEREO
    from mammal.tasks.tables.notices import FileNotices

    plain, notices = list(rows), FileNotices()
    for number in held:
        if any(is_molecule(value) and has_open_stereo(value) for value in rows[number].values()):
            notices.add_row(number + 1, OPEN_STEREO)
        plain[number] = {name: plain_cell(value) for name, value in rows[number].items()}
    notices.log("RDKit molecules")
    return plain


def _is_arrow(data: Any) -> bool:
    """Frames and series of pandas have the interface, too, but are read as they are."""
    of_pandas = type(data).__module__.partition(".")[0] == "pandas"
    interface = any(hasattr(data, f"__arrow_c_{form}__") for form in ("stream", "array"))
    return (interface or _is_lazy(data)) and not of_pandas and not isinstance(data, type)


def _is_lazy(data: Any) -> bool:
    """Whether this is a lazy frame of polars, which has no rows before it is collected."""
    return type(data).__module__.partition(".")[0] == "polars" and hasattr(data, "collect")


def _of_arrow(data: Any) -> Any:
    import pyarrow as pa

    if _is_lazy(data):
        data = data.collect()
    if hasattr(data, "schema") or hasattr(data, "columns"):
        return pa.table(data).to_pandas()
    column = pa.chunked_array(data) if hasattr(data, "__arrow_c_stream__") else pa.array(data)
    return column.to_pylist()


def _of_columns(data: Mapping[Any, Any]) -> Any:
    """A dict of columns as a frame; one row stays what it is."""
    columns = {name: values for name, given in data.items() if (values := _listed(given)) is not None}
    lengths = {str(name): len(values) for name, values in columns.items()}
    if not lengths:
        return data
    if len(lengths) < len(data):
        single = next(str(name) for name in data if str(name) not in lengths)
        longest = next(iter(lengths))
        what = f"{longest!r} holds {lengths[longest]} values, but {single!r} holds a single one"
        raise DataError(what, hint="give each column a list of values, or each row a dict of its own")
    if len({*lengths.values()}) > 1:
        counts = ", ".join(f"{name}: {count}" for name, count in lengths.items())
        raise DataError(f"columns have different numbers of values ({counts})", hint="one value for each row")
    import pandas as pd

    return pd.DataFrame(columns)


def _listed(values: Any) -> list[Any] | None:
    """A column as a list, None for a single value. A series loses its index, by which pandas would sort it."""
    if isinstance(values, list | tuple):
        return list(values)
    if hasattr(values, "tolist") and getattr(values, "ndim", 0) == 1:
        return list(values.tolist())
    return list(_of_arrow(values)) if _is_arrow(values) else None
