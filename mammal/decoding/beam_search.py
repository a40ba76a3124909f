"""Beam search with the same results as `generate` of `transformers`; rows that are done are no longer computed.

Each row keeps C running beams and the C best finished sequences. The search computes the 2 C best continuations of the
running beams. Continuations that end and are among the best C compete with the finished sequences (scores are divided
by length ** penalty). The best C continuations that don't end become the running beams. A row is done (`complete_G`)
when no running beam can beat its worst finished sequence, as estimated at the current length, or with `early_stopping`
once C sequences are finished.

Diverse beam search (Vijayakumar et al. 2016) divides the beams of a row into groups that search one after the other at
each step. The score of a token is reduced by `diversity_penalty` for each beam of an earlier group that takes this
token at the same step (Hamming diversity). The penalty only influences the search: the sequences of all groups are
ranked by their own likelihood.

Shapes: B encoder rows, G of them still computed, C beams of a group, S = groups * C, K = 2 * C continuations, T steps,
V allowed ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from mammal.decoding.beams import DEAD, OUT, Beams
from mammal.decoding.search import Sequences
from mammal.decoding.steps import DecodingSteps


@dataclass(frozen=True)
class BeamRules:
    """How beams are ranked and when they stop.

    Attributes:
        groups: number of groups into which the beams of a row are divided.
        diversity_penalty: is subtracted from the score of a token that an earlier group takes at the same step.
        early_stopping: stop a group as soon as it has as many sequences as beams.
        length_penalty: scores are divided by length to this power.
    """

    groups: int = 1
    diversity_penalty: float = 0.0
    early_stopping: bool = False
    length_penalty: float = 1.0


class _Move(NamedTuple):
    """How the beams of a group continue: the beam that each one extends, the new column, and whether it continues."""

    parents_GC: Tensor
    columns_GC: Tensor
    live_GC: Tensor


def beam_search(steps: DecodingSteps, rules: BeamRules) -> Sequences:
    """Runs beam search.

    Args:
        steps: the decoder and the state of all sequences.
        rules: how beams are ranked and when the search stops.

    Returns:
        The S best sequences of each encoder row, best first.
    """
    rows, beams, limits, device = steps.groups, steps.copies, steps.limits, steps.device
    size = beams // rules.groups
    groups = [_Group(rows, size, steps, rules) for _ in range(rules.groups)]
    result = Beams.empty(rows, beams, limits, device)
    rows_G = torch.arange(rows, device=device)
    for step in range(limits.max_new_tokens):
        moves = _move(groups, steps, rules, step)
        complete_G = torch.stack([group.complete_G for group in groups]).all(dim=0)
        if bool(complete_G.all()) or step + 1 == limits.max_new_tokens:
            break
        open_G: Tensor | slice = slice(None)
        if bool(complete_G.any()):
            result.put(rows_G[complete_G], _ranked(groups, rules).rows(complete_G))
            open_G = (~complete_G).nonzero().squeeze(1)
        move = _Move(*(torch.cat(parts, dim=1)[open_G] for parts in zip(*moves, strict=True)))
        _go_on(groups, steps, move, open_G, step)
        rows_G = rows_G[open_G]
    result.put(rows_G, _ranked(groups, rules))
    return Sequences(result.ids_GCT, result.values_GCT, result.likelihoods_GC, result.scores_GC, result.done_GC)


def _move(groups: list[_Group], steps: DecodingSteps, rules: BeamRules, step: int) -> list[_Move]:
    """One step of all groups; each gets the penalty of the earlier groups. Parents are numbered over all beams."""
    taken = steps.take(OUT)
    log_probs_GSV, open_GSV, states_GSW = (
        tensor.unflatten(0, (-1, steps.copies)) for tensor in (taken.log_probs_DV, taken.open_DV, taken.states_DW)
    )
    size = steps.copies // len(groups)
    taken_GV = torch.zeros_like(log_probs_GSV[:, 0]) if len(groups) > 1 else None
    moves = []
    for number, group in enumerate(groups):
        own = slice(number * size, (number + 1) * size)
        ranked_GCV = open_GSV[:, own]
        if taken_GV is not None:
            ranked_GCV = ranked_GCV - rules.diversity_penalty * taken_GV.unsqueeze(1)
        move = group.move(log_probs_GSV[:, own], ranked_GCV, states_GSW[:, own], step)
        if taken_GV is not None:
            taken_GV.scatter_add_(1, move.columns_GC, move.live_GC.to(taken_GV.dtype))
        moves.append(move._replace(parents_GC=move.parents_GC + number * size))
    return moves


def _go_on(groups: list[_Group], steps: DecodingSteps, move: _Move, open_G: Tensor | slice, step: int) -> None:
    """Extends the running beams of the rows that are not done."""
    if isinstance(open_G, Tensor):
        steps.keep(open_G)
    for group in groups:
        group.keep(open_G)
    offsets_G1 = torch.arange(steps.groups, device=steps.device).unsqueeze(1) * steps.copies
    steps.follow(move.columns_GC.reshape(-1), move.live_GC.reshape(-1), (move.parents_GC + offsets_G1).reshape(-1))
    ids_GS = torch.cat([group.running.ids_GCT[:, :, step] for group in groups], dim=1)
    values_GS = torch.cat([group.running.values_GCT[:, :, step] for group in groups], dim=1)
    steps.feed(ids_GS.reshape(-1), values_GS.reshape(-1))


def _ranked(groups: list[_Group], rules: BeamRules) -> Beams:
    """The finished sequences of all groups, best first."""
    first, *others = (group.finished for group in groups)
    if not others:
        return first
    joined = first
    for other in others:
        joined = joined.join(other)
    fair_GS = joined.likelihoods_GC / joined.lengths_GC.clamp(min=1) ** rules.length_penalty
    best = fair_GS.masked_fill(~joined.done_GC, OUT).sort(dim=1, descending=True, stable=True)
    return joined.pick(best.indices, best.values)


class _Group:
    """Beams that search together: the running beams and the best finished sequences of each row.

    Attributes:
        complete_G: rows that are done because no better sequence will be found, bool [G].
    """

    def __init__(self, rows: int, beams: int, steps: DecodingSteps, rules: BeamRules):
        self._steps, self._rules = steps, rules
        self.running = Beams.empty(rows, beams, steps.limits, steps.device)
        self.finished = Beams.empty(rows, beams, steps.limits, steps.device)
        self.running.scores_GC[:, 0] = 0.0  # all beams are equal at first, so only the first one is continued
        self.complete_G = torch.zeros(rows, dtype=torch.bool, device=steps.device)

    def move(self, log_probs_GCV: Tensor, ranked_GCV: Tensor, states_GCW: Tensor, step: int) -> _Move:
        """One step; continuations are chosen by the scores `ranked_GCV`."""
        limits, beams = self._steps.limits, log_probs_GCV.shape[1]
        continued, parents_GK, columns_GK = self._continue(log_probs_GCV, ranked_GCV, states_GCW, step)
        ends_GK = limits.ends(continued.ids_GCT[:, :, step]) | (step + 1 == limits.max_new_tokens)
        self._finish(continued, ends_GK, step)
        best = (continued.scores_GC + ends_GK * OUT).topk(beams, dim=1)
        self.running = continued.pick(best.indices, best.values)
        divisor = (step + 1) ** self._rules.length_penalty
        hopeless_G = (best.values[:, :1] / divisor <= _worst(self.finished)).all(dim=1) | (best.values[:, 0] < DEAD)
        full_G = self.finished.done_GC.all(dim=1) & self._rules.early_stopping
        self.complete_G = self.complete_G | hopeless_G | full_G
        self.running.scores_GC.masked_fill_(self.complete_G.unsqueeze(1), OUT)
        live_GC = self.running.scores_GC > DEAD
        return _Move(parents_GK.gather(1, best.indices), columns_GK.gather(1, best.indices), live_GC)

    def keep(self, rows_G: Tensor | slice) -> None:
        """Keeps only these rows."""
        if isinstance(rows_G, Tensor):
            self.running, self.finished = self.running.rows(rows_G), self.finished.rows(rows_G)
            self.complete_G = self.complete_G[rows_G]

    def _continue(
        self, log_probs_GCV: Tensor, ranked_GCV: Tensor, states_GCW: Tensor, step: int
    ) -> tuple[Beams, Tensor, Tensor]:
        """The 2 C best continuations of the running beams of each row, and the beam and column of each continuation."""
        _, beams, columns = log_probs_GCV.shape
        totals_GCV = ranked_GCV + self.running.scores_GC.unsqueeze(2)
        best = totals_GCV.flatten(1).topk(min(2 * beams, beams * columns), dim=1)
        parents_GK, columns_GK = best.indices // columns, best.indices % columns
        continued = self.running.pick(parents_GK, best.values)
        continued.likelihoods_GC += log_probs_GCV.flatten(1).gather(1, best.indices)
        continued.lengths_GC += 1
        ids_GK = self._steps.head.ids(columns_GK)
        long_GKW = parents_GK.unsqueeze(2).expand(-1, -1, states_GCW.shape[2])
        values_N = self._steps.values(states_GCW.gather(1, long_GKW).flatten(0, 1), ids_GK.reshape(-1))
        continued.ids_GCT[:, :, step], continued.values_GCT[:, :, step] = ids_GK, values_N.view_as(ids_GK)
        return continued, parents_GK, columns_GK

    def _finish(self, continued: Beams, ends_GK: Tensor, step: int) -> None:
        """Keeps the C best of the finished sequences and of the best C continuations that end now."""
        beams = self.finished.scores_GC.shape[1]
        among_best_K = torch.arange(ends_GK.shape[1], device=ends_GK.device) < beams
        continued.done_GC[:] = ends_GK & among_best_K & (continued.scores_GC > DEAD)
        full_G1 = self.finished.done_GC.all(dim=1, keepdim=True) & self._rules.early_stopping
        scores_GK = continued.scores_GC / (step + 1) ** self._rules.length_penalty
        ended = continued.scored(scores_GK + full_G1 * OUT + ~continued.done_GC * OUT)
        merged = self.finished.join(ended)
        self.finished = merged.pick(merged.scores_GC.topk(beams, dim=1).indices)


def _worst(finished: Beams) -> Tensor:
    """Scores of finished sequences that a new one must beat, [G, C]; `OUT` where no sequence is finished yet."""
    worst_G1 = finished.scores_GC.min(dim=1, keepdim=True).values
    return torch.where(finished.done_GC, worst_G1, torch.full_like(worst_G1, OUT))
