"""The manifest of a job: a record of its input, model and options.

When a job is run again, its manifest shows whether it is the same job, which can continue, or a changed one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mammal.errors import JobError
from mammal.tasks.tables.atomic import atomic_file

FORMAT = 1
_ABSENT = {"keep_rows": False}
"""Options that are recorded only if they have another value: manifests of earlier versions do not have them."""


@dataclass(frozen=True)
class Manifest:
    """Everything that the bytes of an output depend on.

    Attributes:
        verb: kind of job, such as `predict`, `embed`, `generate` or `score`.
        input: content hash of the input file, or of all of them. For a job without a file: the number of its rows.
        bundle: content hash of weights, config, tokenizer and tasks.
        options: rows of a shard, task, batch size, kind of device, dtype and the options of the verb.
        versions: versions of this package and of the packages that answers depend on, such as torch.
        complete: whether the output has been written completely.
        counts: numbers `rows`, `ok` and `bad` of a complete job. None before.
        meanings: added column -> what its values are, if its name does not say it. Not compared. None: nothing to say.
        files: for an input of several files, name of each -> its content hash. None: there is one.
    """

    verb: str
    input: str
    bundle: str
    options: Mapping[str, Any]
    versions: Mapping[str, str]
    complete: bool = False
    counts: Mapping[str, Any] | None = None
    meanings: Mapping[str, str] | None = None
    files: Mapping[str, str] | None = None

    def write(self, path: Path, scratch: Path | None = None) -> None:
        with atomic_file(path, scratch) as partial:
            partial.write_text(json.dumps({"format": FORMAT, **asdict(self)}, indent=2, sort_keys=True) + "\n")

    @classmethod
    def read(cls, path: Path) -> Manifest | None:
        """Reads a manifest. Returns None if the file does not exist or holds no manifest of this format."""
        try:
            return cls.of_json(json.loads(path.read_text()))
        except (OSError, ValueError):
            return None

    @classmethod
    def of_json(cls, content: Any) -> Manifest | None:
        """Returns the manifest that JSON holds; None if it holds no manifest of this format."""
        try:
            return cls(**content) if content.pop("format") == FORMAT else None
        except (KeyError, TypeError, AttributeError):
            return None

    def require_same(self, former: Manifest, output: Path | str) -> None:
        """Compares this manifest with that of the earlier run that began `output`.

        Raises:
            JobError: they differ. The message names each difference.
        """
        changed = self.differences(former)
        if changed:
            raise JobError(
                "an earlier run began this output with other settings: " + "; ".join(changed),
                where=str(output),
                hint="use the earlier settings, choose another output, or start again with resume=false",
            )

    def differences(self, former: Manifest) -> list[str]:
        """Returns how this manifest differs from another one, in words; an empty list if it does not."""
        return list(_differences(asdict(former), asdict(self)))


def _differences(former: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for key in ("verb", "input", "bundle"):
        if former[key] != now[key]:
            if key == "verb":
                yield f"{key} was {former[key]}, is {now[key]}"
            elif key == "input" and former["files"] and now["files"]:
                yield from _changed_files(former["files"], now["files"])
            else:
                yield f"the {key} has another content"
    for group in ("options", "versions"):
        before, after = former[group], json.loads(json.dumps(now[group]))
        for key in sorted({*before, *after}):
            was, now_is = (found.get(key, _ABSENT.get(key)) for found in (before, after))
            if was != now_is:
                yield f"{key} was {was}, is {now_is}"


def _changed_files(former: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    """How the files of an input differ."""
    for name in dict.fromkeys([*former, *now]):
        if name not in now:
            yield f"the input file {name} is missing"
        elif name not in former:
            yield f"the input file {name} is new"
        elif former[name] != now[name]:
            yield f"the input file {name} has another content"
    if dict(former) == dict(now):
        yield "the input files are in another order"
