"""Import of pysam, the optional package that reads genomes and variant files."""

from __future__ import annotations

from typing import Any

from mammal.tasks.errors import DataError


def import_pysam() -> Any:
    """Returns the module pysam, which reads and indexes genomes and variant files.

    Raises:
        DataError: it is not installed.
    """
    try:
        import pysam
    except ImportError:
        hint = "pip install 'mammal[variants]'"
        raise DataError("reading genomes and variant files needs the package pysam", hint=hint) from None
    return pysam
