"""Summaries of sets of molecules: the data that measures need. Summaries of large reference sets are cached on disk.

Shapes: N valid molecules, B bytes of packed fingerprints.
"""

from __future__ import annotations

import logging
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np

from mammal.tasks.molecule_sets import chemnet
from mammal.tasks.molecule_sets.chemnet import Moments
from mammal.tasks.molecule_sets.describe import BITS, SHOWN, Described, describe_molecule
from mammal.tasks.tables.atomic import atomic_file

logger = logging.getLogger(__name__)

EachOf = Callable[[Callable[[Any], Any], Sequence[Any]], Iterable[Any]]
"""`map`, or a function that does the same with several processes."""

FORMAT = 1
"""Format version of cached summaries; raise it when the meaning of their content changes."""


@dataclass(frozen=True)
class Summary:
    """The summary of a set of molecules.

    Attributes:
        read: number of strings, valid or not.
        bits_NB: packed fingerprints of the valid molecules including repeats, uint8 [N, B].
        fragments: fragment -> number of occurrences.
        scaffolds: scaffold -> number of occurrences.
        properties: name -> values, float64 [N].
        moments: moments of ChemNet's activations; None if not requested, or if there are too few molecules.
    """

    read: int
    bits_NB: np.ndarray
    fragments: Counter[str]
    scaffolds: Counter[str]
    properties: dict[str, np.ndarray]
    moments: Moments | None = None

    def __len__(self) -> int:
        return len(self.bits_NB)


def summarise(found: Iterable[Described | None], *, with_chemnet: bool = True, device: str = "cpu") -> Summary:
    """Returns the summary of described molecules.

    Args:
        found: results of `describe_molecule`; may be an iterator.
        with_chemnet: whether to compute the moments for the Fréchet ChemNet distance.
        device: device on which ChemNet runs.
    """
    read, bits = 0, bytearray()
    canonical: list[str] = []
    values: list[tuple[float, ...]] = []
    fragments: Counter[str] = Counter()
    scaffolds: Counter[str] = Counter()
    for one in found:
        read += 1
        if one is None:
            continue
        canonical.append(one.canonical)
        bits += one.fingerprint
        values.append(one.properties)
        fragments.update(one.fragments)
        if one.scaffold is not None:
            scaffolds[one.scaffold] += 1
    values_NP = np.array(values, dtype=np.float64).reshape(len(values), len(SHOWN))
    return Summary(
        read,
        np.frombuffer(bytes(bits), dtype=np.uint8).reshape(-1, BITS // 8),
        fragments,
        scaffolds,
        {name: values_NP[:, place].copy() for place, name in enumerate(SHOWN)},
        chemnet.moments(canonical, device=device) if with_chemnet else None,
    )


def summary_of(
    smiles: Sequence[str],
    *,
    each_of: EachOf = map,
    with_chemnet: bool = True,
    device: str = "cpu",
    cache: Path | None = None,
) -> Summary:
    """Returns the summary of a reference set.

    Args:
        smiles: the strings of the set.
        each_of: `map`, or a function that does the same with several processes.
        with_chemnet: whether to compute the moments for the Fréchet ChemNet distance, a third of the total time.
        device: device on which ChemNet runs.
        cache: folder of cached summaries. A cached summary is used for the same strings and the same versions of RDKit
            and `fcd`. None: no cache.
    """
    if cache is None:
        return summarise(each_of(describe_molecule, smiles), with_chemnet=with_chemnet, device=device)
    file = cache / f"{_fingerprint(smiles, with_chemnet)}.npz"
    if (kept := _load(file)) is not None:
        logger.info("the summary of %s molecules is taken from %s", f"{len(smiles):,}", file)
        return kept
    found = summarise(each_of(describe_molecule, smiles), with_chemnet=with_chemnet, device=device)
    _save(found, file)
    return found


def described(smiles: Sequence[str], each_of: EachOf = map) -> list[Described | None]:
    """Returns the description of each string's molecule, in order; equal strings are processed once."""
    distinct = list(dict.fromkeys(smiles))
    by_text = dict(zip(distinct, each_of(describe_molecule, distinct), strict=True))
    return [by_text[text] for text in smiles]


def evenly_drawn(smiles: Sequence[str], most: int | None, seed: int = 0) -> list[str]:
    """Samples at most `most` of the strings without replacement, and returns them in their order."""
    if most is None or most >= len(smiles):
        return list(smiles)
    chosen = np.zeros(len(smiles), dtype=bool)
    chosen[np.random.default_rng(seed).choice(len(smiles), size=most, replace=False)] = True
    return list(compress(smiles, chosen))


def _fingerprint(smiles: Sequence[str], with_chemnet: bool) -> str:
    """Hash of the strings and of everything else that a summary depends on."""
    parts = [f"format {FORMAT}", f"rdkit {version('rdkit')}", " ".join(SHOWN)]
    parts += [f"fcd {version('fcd')}"] if with_chemnet else []
    digest = sha256("\n".join(parts).encode())
    for text in smiles:
        digest.update(b"\n" + text.encode())
    return digest.hexdigest()[:32]


def _save(found: Summary, file: Path) -> None:
    arrays: dict[str, Any] = {
        "read": np.array(found.read),
        "bits": found.bits_NB,
        **{f"property {name}": values_N for name, values_N in found.properties.items()},
    }
    for name, counts in (("fragments", found.fragments), ("scaffolds", found.scaffolds)):
        arrays[name] = np.frombuffer("\n".join(counts).encode(), dtype=np.uint8)
        arrays[f"{name} counts"] = np.array(list(counts.values()), dtype=np.int64)
    if found.moments is not None:
        arrays["mean"], arrays["covariance"] = found.moments.mean_D, found.moments.covariance_DD
        arrays["activations"] = np.array(found.moments.count)
    file.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(file) as partial, partial.open("wb") as stream:
        np.savez_compressed(stream, **arrays)


def _load(file: Path) -> Summary | None:
    """A cached summary; None if there is no file, or a damaged one, which is then replaced."""
    try:
        with np.load(file, allow_pickle=False) as kept:
            has_moments = "mean" in kept
            return Summary(
                int(kept["read"]),
                kept["bits"],
                _counter(kept, "fragments"),
                _counter(kept, "scaffolds"),
                {name: kept[f"property {name}"] for name in SHOWN},
                Moments(kept["mean"], kept["covariance"], int(kept["activations"])) if has_moments else None,
            )
    except FileNotFoundError:
        return None
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile):
        logger.warning("%s is damaged and is made again", file)
        return None


def _counter(kept: Any, name: str) -> Counter[str]:
    text = kept[name].tobytes().decode()
    return Counter(dict(zip(text.split("\n") if text else [], kept[f"{name} counts"].tolist(), strict=True)))
