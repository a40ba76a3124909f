"""What a job is made of, written down, so that a job that goes on can be told from a job that changed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mammal.errors import JobError
from mammal.tasks.tables.atomic import atomic_file

FORMAT = 1


@dataclass(frozen=True)
class Manifest:
    """Everything that decides the bytes of the output.

    Attributes:
        verb: predict, embed, generate or score.
        input: content hash of the input file; of a job without one, how many rows it makes.
        bundle: content hash of weights, config, tokenizer and tasks.
        options: shard length, task, batch size, device kind, dtype and what the verb was asked for.
        versions: of this package and of torch.
        complete: the output stands.
        counts: rows, ok and bad, once complete.
    """

    verb: str
    input: str
    bundle: str
    options: Mapping[str, Any]
    versions: Mapping[str, str]
    complete: bool = False
    counts: Mapping[str, int] | None = None

    def write(self, path: Path, scratch: Path | None = None) -> None:
        with atomic_file(path, scratch) as partial:
            partial.write_text(json.dumps({"format": FORMAT, **asdict(self)}, indent=2, sort_keys=True) + "\n")

    @classmethod
    def read(cls, path: Path) -> Manifest | None:
        """None where there is no manifest, or where none of ours can be read from it."""
        try:
            content = json.loads(path.read_text())
            return cls(**content) if content.pop("format") == FORMAT else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def require_same(self, former: Manifest, output: Path) -> None:
        """Raises JobError that names each thing that differs from the job that wrote `output` so far."""
        changed = list(_differences(asdict(former), asdict(self)))
        if changed:
            raise JobError(
                "an earlier run began this output with something else: " + "; ".join(changed),
                where=str(output),
                hint="repeat it as it was, choose another output, or start afresh with resume=false",
            )


def _differences(former: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for key in ("verb", "input", "bundle"):
        if former[key] != now[key]:
            told = f"{key} was {former[key]}, is {now[key]}" if key == "verb" else f"the {key} has another content"
            yield told
    for group in ("options", "versions"):
        before, after = former[group], json.loads(json.dumps(now[group]))
        for key in sorted({*before, *after}):
            if before.get(key) != after.get(key):
                yield f"{key} was {before.get(key)}, is {after.get(key)}"
