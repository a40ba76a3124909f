"""How far the encoder states of a window move when its allele changes.

The encoder reads the window twice, with the reference allele and with the alternate allele. Bases before the site are
aligned from the left, bases after it from the right, so an insertion or deletion does not shift the alignment. At each
aligned position the distance is the Euclidean (L2) distance between the two states after the last norm of the encoder.
At the site itself, the states of each allele are averaged first, because alleles may differ in length. An allele
without bases has no states; in that case both averages include the base on each side of the site.

A window is read once for all its alternates; in a batch it is followed by them.

Shapes: B pairs, L tokens, W width.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from mammal.errors import DataError
from mammal.rows.batched import Encoded, Encoder, Pace, Refused, Row, encode_each
from mammal.rows.run_model import run
from mammal.tasks.batches.example import Example
from mammal.tokenization.encoding import Encoding
from mammal.variants.prompt import DnaPrompt

if TYPE_CHECKING:
    from mammal.model.model import MammalModel
    from mammal.tasks.batches.batch import Batch
    from mammal.tasks.dna.alleles import AllelePair


@dataclass(frozen=True)
class Profile:
    """Distances along a window.

    Attributes:
        before: distances at the aligned bases before the site, in the order of the window, float32.
        site: distance between the two alleles.
        after: distances at the aligned bases after the site, in the order of the window, float32.
    """

    before: np.ndarray
    site: float
    after: np.ndarray

    @property
    def mean(self) -> float:
        """Mean distance of the aligned bases, without the site."""
        return float(np.concatenate([self.before, self.after]).mean(dtype=np.float64))

    @property
    def largest(self) -> tuple[float, int]:
        """The largest distance of an aligned base, and its offset: -1 is the base before the site, 1 the one after it.

        Of equal distances the one nearest to the site is returned; if two are equally near, the one before the site.
        """
        along = np.concatenate([self.before, self.after])
        places = np.flatnonzero(along == along.max()) - len(self.before)
        offsets = np.where(places < 0, places, places + 1)
        return float(along.max()), int(offsets[np.abs(offsets).argmin()])

    def averaged_with(self, other_strand: Profile) -> Profile:
        """The mean of this profile and the profile of the other strand, at the positions of this one."""
        return Profile(
            (self.before + other_strand.after[::-1]) / 2,
            (self.site + other_strand.site) / 2,
            (self.after + other_strand.before[::-1]) / 2,
        )


def distance_profiles(
    model: MammalModel, prompt: DnaPrompt, pairs: Sequence[AllelePair], *, pace: Pace
) -> list[Profile | Refused]:
    """Computes the distances of each pair; equal windows are computed once.

    Args:
        model: a model; only its encoder is used.
        prompt: prompt that shows the window to the model.
        pairs: pairs of alleles with their window.
        pace: how many rows are computed at once.

    Returns:
        For each pair its profile, or the reason why it has none.
    """

    def answer(batch: Batch) -> list[list[Profile]]:
        hidden_BLW = model(batch.to(model.device)).hidden_BLW
        assert hidden_BLW is not None, "the batch requests hidden states"
        names: Sequence[Any] = batch.row_ids
        starts = [place for place, (_, _, pair) in enumerate(names) if pair is None]
        found = []
        for start, end in zip(starts, [*starts[1:], len(names)], strict=True):
            asked = [(pair, first) for _, first, pair in names[start + 1 : end]]
            reference_BLW = hidden_BLW[start].expand(end - start - 1, -1, -1)
            found.append(_profiles(reference_BLW.float(), hidden_BLW[start + 1 : end].float(), asked))
        return found

    def profiled(sites: Sequence[Site]) -> dict[AllelePair, Profile | Refused]:
        rows: list[Row] = [{SITE: site} for site in sites]
        found: dict[AllelePair, Profile | Refused] = {}
        for site, given in zip(sites, run(model, rows, AllAlleles(prompt), answer, fewer, None), strict=True):
            found |= dict.fromkeys(site, given) if isinstance(given, Refused) else dict(zip(site, given, strict=True))
        return found

    fewer = replace(pace, rows=max(1, pace.rows // (MOST_ALTERNATES + 1)))  # a site is several rows of a batch
    plain = [replace(pair, number=1, strand="+") for pair in pairs]
    profiles = profiled(_sites(plain))
    # An allele that can't be read must not take the answer from the others of its site.
    again = [pair for pair, given in profiles.items() if isinstance(given, Refused)]
    profiles |= profiled([(pair,) for pair in again])
    return [profiles[pair] for pair in plain]


Site = tuple["AllelePair", ...]
"""Different pairs with the same reference."""

MOST_ALTERNATES = 7
"""Alternates that are read together with their reference: more share little more, and make larger batches."""

SITE = "site"
"""Column that holds a site in the rows that are computed."""


def _sites(pairs: Sequence[AllelePair]) -> list[Site]:
    """Different pairs, those with the same reference window together, at most `MOST_ALTERNATES` of them."""
    by_window: dict[str, list[AllelePair]] = {}
    for pair in dict.fromkeys(pairs):
        by_window.setdefault(pair.reference, []).append(pair)
    return [
        tuple(together[start : start + MOST_ALTERNATES])
        for together in by_window.values()
        for start in range(0, len(together), MOST_ALTERNATES)
    ]


@dataclass(frozen=True)
class SiteExample(Example):
    """A window with the reference allele, together with the same window with each alternate allele.

    Attributes:
        alternates: the pairs and their alternate windows, encoded.
        first: position of the first base in all windows.
    """

    alternates: Sequence[tuple[AllelePair, Encoding]] = field(kw_only=True)
    first: int = field(kw_only=True)

    @property
    def tokens(self) -> int:
        return len(self.input) + sum(len(alternate) for _, alternate in self.alternates)


@dataclass(frozen=True)
class AllAlleles(Encoder):
    """Encodes sites into batches in which each reference is followed by its alternates."""

    prompt: DnaPrompt

    def key(self, row: Row) -> Hashable:
        return row[SITE]

    def encode(self, rows: Sequence[Row], row_ids: Sequence[int]) -> Encoded:
        return encode_each(self._example, [row[SITE] for row in rows], row_ids)

    def collate(self, examples: Sequence[Example]) -> Batch:
        from mammal.tasks.batches.collate import collate

        flat = []
        for example in examples:
            assert isinstance(example, SiteExample), "this encoder only creates sites"
            flat.append(Example((example.row_id, example.first, None), example.input))
            for pair, alternate in example.alternates:
                flat.append(Example((example.row_id, example.first, pair), alternate))
        tokenizer = self.prompt.task.tokenizer
        pad = tokenizer.pad_id
        return collate(flat, mode="encoder", wants=("hidden",), pad_id=pad, start_id=pad)

    def _example(self, site: Sequence[AllelePair], row_id: int) -> SiteExample:
        if any(not pair.before and not pair.after for pair in site):
            raise DataError("the window contains only the alleles", hint="use a larger window")
        reference, first = self.prompt.encode(site[0].reference)
        alternates = [(pair, self.prompt.encode(pair.alternate)[0]) for pair in site]
        return SiteExample(row_id, reference, alternates=alternates, first=first)


def _profiles(reference_BLW: Tensor, alternate_BLW: Tensor, asked: Sequence[tuple[AllelePair, int]]) -> list[Profile]:
    length, device = reference_BLW.shape[1], reference_BLW.device
    aligned_BL = torch.from_numpy(np.stack([_aligned(pair, first, length) for pair, first in asked])).to(device)
    moved_BLW = alternate_BLW.gather(1, aligned_BL.unsqueeze(2).expand_as(alternate_BLW))
    along_BL = (reference_BLW - moved_BLW).norm(dim=2).cpu().numpy()
    at_site_BW = [
        _pooled(states_BLW, np.stack([_site(pair, allele_of(pair), first, length) for pair, first in asked]))
        for states_BLW, allele_of in ((reference_BLW, _ref), (alternate_BLW, _alt))
    ]
    sites_B = (at_site_BW[0] - at_site_BW[1]).norm(dim=1).tolist()
    profiles = []
    for (pair, first), along_L, site in zip(asked, along_BL, sites_B, strict=True):
        behind = first + len(pair.before) + len(pair.ref)
        before, after = along_L[first : first + len(pair.before)], along_L[behind : behind + len(pair.after)]
        profiles.append(Profile(before, site, after))
    return profiles


def _ref(pair: AllelePair) -> str:
    return pair.ref


def _alt(pair: AllelePair) -> str:
    return pair.alt


def _aligned(pair: AllelePair, first: int, length: int) -> np.ndarray:
    """For each position of the reference the aligned position of the alternate, int64 [L]; arbitrary if none exists."""
    places_L = np.arange(length)
    places_L[first + len(pair.before) + len(pair.ref) :] += len(pair.alt) - len(pair.ref)
    return places_L.clip(0, length - 1)


def _site(pair: AllelePair, allele: str, first: int, length: int) -> np.ndarray:
    """The positions that are averaged for an allele, bool [L]."""
    beside = 0 if pair.ref and pair.alt else 1
    start = first + len(pair.before)
    chosen_L = np.zeros(length, dtype=bool)
    chosen_L[start - min(beside, len(pair.before)) : start + len(allele) + min(beside, len(pair.after))] = True
    return chosen_L


def _pooled(states_BLW: Tensor, chosen_BL: np.ndarray) -> Tensor:
    weights_BL1 = torch.from_numpy(chosen_BL).to(states_BLW).unsqueeze(2)
    return (states_BLW * weights_BL1).sum(dim=1) / weights_BL1.sum(dim=1)
