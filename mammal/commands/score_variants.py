"""`mammal score` for variants: a variant file, or a table of them, scored against a genome or in place."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from mammal.commands.rows import WHOLE, follow_job, print_frame
from mammal.errors import ConfigError

if TYPE_CHECKING:
    from mammal.variants.scoring import Asked

KEYS = ("variants", "reference", "what", "strands", "window", "flank")
"""Keys of configs/score.yaml that are about variants alone."""

_VARIANT_FILES = (".vcf", ".vcf.gz", ".vcf.bgz", ".bcf")
_WHERE = "mammal score"


def is_meant(shared: dict[str, Any], asked: dict[str, Any]) -> bool:
    """Whether variants are scored: it is said, a genome is given, or the input or output is a variant file.

    Raises:
        ConfigError: `variants` is neither true, false nor null.
    """
    said = asked["variants"]
    if said is not None and not isinstance(said, bool):
        raise ConfigError(f"variants must be true, false or null, not {said!r}", where=_WHERE)
    if said is not None:
        return said
    names = [str(shared[name]).lower() for name in ("input", "output") if shared[name] is not None]
    return asked["reference"] is not None or any(name.endswith(_VARIANT_FILES) for name in names)


def answer(shared: dict[str, Any], options: dict[str, Any]) -> int:
    """Scores the variants of a file.

    Args:
        shared: keys about the job. options: those of `KEYS`.

    Raises:
        ConfigError: a key is missing, or has no meaning here.
    """
    from mammal.variants.scoring import Asked

    if shared["input"] is None:
        raise ConfigError("no variants", where=_WHERE, hint="input=calls.vcf.gz, or a table")
    for name in ("prompt", "target", "view", "workers"):
        if shared.pop(name, None) not in (None, 0):
            raise ConfigError(f"{name} means nothing where variants are scored", where=_WHERE, hint="leave it out")
    for name in WHOLE:
        if shared.get(name) is not None and type(shared[name]) is not int:
            raise ConfigError(f"{name} must be a whole number, not {shared[name]!r}", where=_WHERE)
    asked = Asked(options["what"], options["strands"], options["window"], options["flank"])
    shared["columns"] = shared["columns"] or None
    if shared["output"] is None:
        return _to_terminal(shared, options["reference"], asked)
    return _to_file(shared, options["reference"], asked)


def _to_file(shared: dict[str, Any], reference: str | None, asked: Asked) -> int:
    from mammal.jobs.variants import score_variants_job

    source, given, output = (shared.pop(name) for name in ("bundle", "input", "output"))
    return follow_job(
        "score", partial(score_variants_job, source, given, output, reference=reference, asked=asked, **shared)
    )


def _to_terminal(shared: dict[str, Any], reference: str | None, asked: Asked) -> int:
    from pathlib import Path

    import mammal

    model = mammal.load(shared["bundle"], device=shared["device"], dtype=shared["dtype"], tokenizer=shared["tokenizer"])
    if shared["batch_tokens"] is not None:
        model.pace = replace(model.pace, tokens=shared["batch_tokens"])
    how = {name: shared[name] for name in ("task", "columns", "prefix")}
    return print_frame(
        model.score_variants(Path(shared["input"]), reference=reference, **vars(asked), **how), shared["prefix"]
    )
