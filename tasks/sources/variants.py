"""`source: variants`: windows around the variants of a file (`mammal.tasks.dna.rendering`).

data:
  source: variants
  path: calls.vcf.gz        # VCF, Illumina manifest, table of sites (chrom, pos, ref, alt; or hgvs), table of flanks
  reference: genome.fa
  window: 512
  rendering: in_place
"""

from __future__ import annotations

import logging
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal.tasks.dna.rendering import COLUMNS, WINDOW, Renderer, variant_file
from mammal.tasks.dna.vcf import parse_info
from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.sources.local import find_file
from mammal.tasks.tables.lines import DAMAGED
from mammal.tokenization.errors import MammalError

if TYPE_CHECKING:
    import pandas as pd

    from mammal.tasks.declaration.schema import DataConfig

logger = logging.getLogger(__name__)

SHOWN = 5
"""Maximum number of records without a window for which the log gives the reason."""


def load(data: DataConfig, root: Path | None) -> pd.DataFrame:
    """One row for each window: the file's columns (one per INFO key, samples left out) and those of `COLUMNS`.

    The log gives the number of records without a window, and the reasons for the first ones.

    Raises:
        TaskError: no path, or settings that can't be combined.
        DataError: the file can't be read, or no record has a window.
    """
    import pandas as pd

    if not data.path:
        raise TaskError("source variants needs a path", hint="data.path=calls.vcf.gz data.reference=genome.fa")
    source = variant_file(find_file(data.path, root), data.encoding)
    if data.region is not None and source.form != "vcf":
        raise TaskError("data.region is looked up in the index of a VCF file", where=str(source.path))
    renderer = Renderer(
        source,
        reference=None if data.reference is None else find_file(data.reference, root),
        window=data.window or WINDOW,
        rendering=data.rendering,
        sample=data.sample,
        neighbours=data.neighbours,
    )
    rows: list[dict[str, Any]] = []
    refused: list[str] = []
    records = (
        row for frame in source.tables(keep_damaged=True, region=data.region) for row in frame.to_dict("records")
    )
    for row in islice(records, data.limit):
        damage = row.pop(DAMAGED, None)
        try:
            if damage is not None:
                raise DataError(damage)
            windows = renderer.windows(row)
        except MammalError as error:
            refused.append(str(error))
            continue
        own = _record_columns(row, renderer)
        rows += [{**own, **window} for window in windows]
    _report(refused, len(rows), source.path)
    frame = pd.DataFrame(rows)
    return frame.astype({name: "Int64" for name, holds in COLUMNS.items() if holds == "integer"})


def _record_columns(row: dict[str, Any], renderer: Renderer) -> dict[str, Any]:
    """A record's own columns: INFO as one column for each key (with the prefix `info_` if the name is taken)."""
    if renderer.source.form != "vcf":
        return row
    own = {name: row[name] for name in renderer.source.columns[:7]}
    taken = {*own, *COLUMNS}
    fields = parse_info(row["info"])
    return own | {f"info_{key}" if key in taken else key: value for key, value in fields.items()}


def _report(refused: list[str], windows: int, file: Path) -> None:
    if not refused:
        return
    if not windows:
        raise DataError(f"none of {len(refused):,} records has a window; the first: {refused[0]}", where=str(file))
    logger.warning("%s: %s records without a window, %s windows", file.name, f"{len(refused):,}", f"{windows:,}")
    for reason in refused[:SHOWN]:
        logger.warning("  %s", reason)
