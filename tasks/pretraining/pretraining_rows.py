"""The rows that a model was pretrained on, as Bloom filters of their keys, for `pretraining_rows.safetensors`.

Shapes: N texts, X bytes of a filter.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mammal.tasks.errors import DataError
from mammal.tasks.pretraining.bloom_filter import BloomFilter, key_hashes
from mammal.tasks.pretraining.cleaning import keys_of

VERSION = 1
"""Version of the file. Files with a higher version are refused."""

IDENTITIES = {
    "molecule": "connectivity: first block of the InChIKey of the standardised molecule, without stereo and isotopes",
    "protein": "text in upper case",
    "dna": "text in upper case, without variants",
}
"""Family of a text -> what is compared."""

NOUNS = {"molecule": "molecules", "protein": "protein sequences", "dna": "DNA sequences"}
"""Family of a text -> its word in sentences."""

_ABOUT = "pretraining_rows"
"""Key of the metadata in the file."""


@dataclass(frozen=True)
class PretrainingRows:
    """Filters of the rows that a model was pretrained on.

    Attributes:
        filters: family and filter, one for each family of each corpus: `molecule`, `protein` or `dna`. Empty: it is
            unknown what the model was pretrained on.
    """

    filters: tuple[tuple[str, BloomFilter], ...] = ()

    @classmethod
    def of_hashes(cls, hashes: Mapping[str, np.ndarray]) -> PretrainingRows:
        """Makes filters.

        Args:
            hashes: family -> hashes of its keys (`key_hashes`), uint64 [N]; families without a key get no filter.
        """
        return cls(tuple((family, BloomFilter.of(found)) for family, found in hashes.items() if len(found)))

    @property
    def families(self) -> list[str]:
        """Families that have a filter."""
        return list(dict.fromkeys(family for family, _ in self.filters))

    def of_family(self, family: str) -> list[BloomFilter]:
        """Returns the filters of a family.

        Args:
            family: `molecule`, `protein` or `dna`.
        """
        return [one for name, one in self.filters if name == family]

    def rate(self, family: str) -> float:
        """Returns the share of other texts that are reported as seen.

        Args:
            family: `molecule`, `protein` or `dna`.
        """
        return 1 - float(np.prod([1 - one.rate for one in self.of_family(family)]))

    def seen(self, texts: Sequence[str], family: str) -> np.ndarray:
        """Returns whether each text is among the pretraining rows, bool [N]; False for text that can't be read.

        Args:
            texts: SMILES, residues or bases.
            family: `molecule`, `protein` or `dna`.
        """
        return self.seen_keys(keys_of(texts, family), family)

    def seen_keys(self, keys: Sequence[str], family: str) -> np.ndarray:
        """Returns whether each key is among the pretraining rows, bool [N]; False for an empty key.

        Args:
            keys: result of `mammal.tasks.pretraining.cleaning.keys_of`.
            family: `molecule`, `protein` or `dna`.
        """
        hashes_N = key_hashes(keys)
        found_N = np.zeros(len(keys), dtype=bool)
        for one in self.of_family(family):
            found_N |= one.contains(hashes_N)
        return found_N & np.array([bool(key) for key in keys], dtype=bool)

    def joined(self, other: PretrainingRows) -> PretrainingRows:
        """Returns the filters of both; equal ones once.

        Args:
            other: further filters.
        """
        return PretrainingRows((*self.filters, *other.without(self).filters))

    def without(self, other: PretrainingRows) -> PretrainingRows:
        """Returns the filters that `other` does not have.

        Args:
            other: filters that are left out.
        """
        known = [(family, one.bits_X) for family, one in other.filters]
        return PretrainingRows(
            tuple(
                (family, one)
                for family, one in self.filters
                if not any(family == name and np.array_equal(one.bits_X, bits_X) for name, bits_X in known)
            )
        )

    @property
    def sentence(self) -> str:
        """How many rows of each family the filters contain, and how sure an answer is; "" without filters."""
        counts = [f"{sum(f.entries for f in self.of_family(name)):,} {NOUNS[name]}" for name in self.families]
        if not counts:
            return ""
        rate = max(map(self.rate, self.families))
        return f"{', '.join(counts)}; of other texts, {rate:.1%} are reported as seen"

    def to_bytes(self) -> bytes:
        """Returns the contents of `pretraining_rows.safetensors`."""
        from safetensors.numpy import save

        arrays, about = {}, {}
        for number, (family, one) in enumerate(self.filters):
            name = f"{family}/{number}"
            arrays[name] = one.bits_X
            about[name] = {
                "entries": one.entries,
                "bits": one.size,
                "hashes": one.hashes,
                "false_positive_rate": round(one.rate, 5),
                "identity": IDENTITIES[family],
            }
        return save(arrays, metadata={_ABOUT: json.dumps({"version": VERSION, "filters": about})})

    @classmethod
    def of_file(cls, file: Path) -> PretrainingRows:
        """Reads `pretraining_rows.safetensors`.

        Args:
            file: path of the file.

        Raises:
            DataError: the file is damaged, or a newer version of this package wrote it.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(file, framework="numpy") as stored:
                content = json.loads((stored.metadata() or {})[_ABOUT])
                if content["version"] > VERSION:
                    raise DataError("was written by a newer version of mammal", where=str(file), hint="upgrade mammal")
                arrays = {name: stored.get_tensor(name) for name in content["filters"]}
            return cls(tuple(_filter(name, arrays[name], about) for name, about in content["filters"].items()))
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            if isinstance(error, DataError):
                raise
            what = f"can't be read: {type(error).__name__}: {error}"
            raise DataError(what, where=str(file), hint="copy the bundle again, whole") from error


def _filter(name: str, bits_X: np.ndarray, about: Mapping[str, Any]) -> tuple[str, BloomFilter]:
    family, size = name.partition("/")[0], int(about["bits"])
    if family not in IDENTITIES or bits_X.dtype != np.uint8 or bits_X.shape != (size // 8,):
        raise ValueError(f"the array {name} does not fit its description")
    return family, BloomFilter(bits_X, size, int(about["hashes"]), int(about["entries"]))
