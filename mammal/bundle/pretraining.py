"""Reads which rows a model was pretrained on, from its bundle and from the base of an adapter bundle."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mammal.bundle.adaptation import base_source
from mammal.bundle.locate import PRETRAINING_ROWS
from mammal.errors import BundleError, DataError

if TYPE_CHECKING:
    from mammal.bundle.locate import ModelSource
    from mammal.tasks.pretraining.pretraining_rows import PretrainingRows


def read_pretraining_rows(source: ModelSource, base: str | os.PathLike[str] | None = None) -> PretrainingRows:
    """Reads the filters of the rows that a model was pretrained on.

    Args:
        source: where the model is.
        base: folder of the base of an adapter bundle, if it was moved. Default: the path that the bundle records.

    Returns:
        The filters of the bundle, joined with those of the base of an adapter bundle. Empty if no file has any.

    Raises:
        BundleError: a file is damaged or of a newer version, or the base is not found.
    """
    from mammal.tasks.pretraining.pretraining_rows import PretrainingRows

    file, of_base = source.folder / PRETRAINING_ROWS, base_source(source, base, check=False)
    found = PretrainingRows() if of_base is None else read_pretraining_rows(of_base)
    if not file.is_file():
        return found
    try:
        return found.joined(PretrainingRows.of_file(file))
    except DataError as error:
        raise BundleError(error.what, where=error.where, hint=error.hint) from error
