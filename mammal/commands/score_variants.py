"""`mammal score` for variants: scores a variant file or a table of variants, with or without a genome."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mammal.commands.rows import OPENED, check_input_encoding, follow_job, print_frame
from mammal.errors import ConfigError

if TYPE_CHECKING:
    from mammal.variants.scoring import VariantScoreOptions

ASKED = ("what", "strands", "window", "flank")
KEYS = ("variants", "reference", *ASKED)
"""Keys of configs/score.yaml that are only about variants."""

_VARIANT_FILES = (".vcf", ".bcf")
_WHERE = "mammal score"


def is_meant(shared: dict[str, Any], asked: dict[str, Any]) -> bool:
    """Decides whether variants are scored: if `variants=true`, a genome, or a variant file is given.

    Args:
        shared: keys about the job.
        asked: keys about variants (`KEYS`).

    Raises:
        ConfigError: `variants` is neither true, false nor null; or a key about variants is set, but none are scored.
    """
    from mammal.tasks.tables.compression import bare_name
    from mammal.variants.scoring import VariantScoreOptions

    said = asked["variants"]
    if said is not None and not isinstance(said, bool):
        raise ConfigError(f"variants must be true, false or null, not {said!r}", where=_WHERE)
    inputs = shared["input"] if isinstance(shared["input"], list) else [shared["input"]]
    names = [bare_name(str(name)) for name in (*inputs, shared["output"]) if name is not None]
    meant = asked["reference"] is not None or any(name.endswith(_VARIANT_FILES) for name in names)
    if said or (said is None and meant):
        return True
    given, default = VariantScoreOptions(**{name: asked[name] for name in ASKED}), VariantScoreOptions()
    if idle := [name for name in ASKED if getattr(given, name) != getattr(default, name)]:
        raise ConfigError(f"{idle[0]} is about variants, but none are scored", where=_WHERE, hint="variants=true")
    return False


def answer_variants(shared: dict[str, Any], options: dict[str, Any], config_dirs: Sequence[Path] = ()) -> int:
    """Scores the variants of a file.

    Args:
        shared: keys about the job.
        options: keys about variants (`KEYS`).
        config_dirs: folders of the user with `task/*.yaml`.

    Returns:
        The exit code.

    Raises:
        ConfigError: a key is missing, or can't be used for variants.
    """
    from mammal.variants.scoring import VariantScoreOptions

    if shared["input"] is None:
        raise ConfigError("no variants", where=_WHERE, hint="input=calls.vcf.gz, or a table")
    for name in ("prompt", "target", "view", "workers", "part", "max_errors"):
        if shared.pop(name, None) not in (None, 0):
            raise ConfigError(f"{name} can't be used when variants are scored", where=_WHERE, hint="leave it out")
    if (engine := shared.pop("engine", "local")) != "local":
        raise ConfigError(f"engine={engine} can't be used when variants are scored", where=_WHERE, hint="leave it out")
    shared.pop("ray", None)
    check_input_encoding(shared)
    asked = VariantScoreOptions(**{name: options[name] for name in ASKED})
    shared["columns"] = shared["columns"] or None
    if shared["output"] is None:
        return _to_terminal(shared, options["reference"], asked, config_dirs)
    return _to_file({**shared, "config_dirs": config_dirs}, options["reference"], asked)


def _to_file(shared: dict[str, Any], reference: str | None, asked: VariantScoreOptions) -> int:
    from mammal.jobs.variants_job import score_variants_job

    source, given, output = (shared.pop(name) for name in ("bundle", "input", "output"))
    return follow_job(
        "score", partial(score_variants_job, source, given, output, reference=reference, asked=asked, **shared)
    )


def _to_terminal(
    shared: dict[str, Any], reference: str | None, asked: VariantScoreOptions, config_dirs: Sequence[Path]
) -> int:
    from mammal.jobs.inputs import whole_input
    from mammal.jobs.loaded_model import open_model

    model = open_model(shared["bundle"], config_dirs=config_dirs, **{name: shared[name] for name in OPENED})
    data = whole_input(shared["input"], shared["encoding"], shared["file_column"])
    how = {name: shared[name] for name in ("task", "columns", "encoding", "prefix")}
    if not isinstance(data, Path):
        how["encoding"] = None
    return print_frame(model.score_variants(data, reference=reference, **vars(asked), **how), shared["prefix"])
