"""Beam search with the same results as `generate` of `transformers`; prompts that wait replace those that are done.

When none waits any more, prompts that are done are no longer computed.

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

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mammal.decoding.beams import DEAD, OUT, Beams
from mammal.decoding.slots import Finish, Finished
from mammal.decoding.steps import DecodingSteps
from mammal.decoding.waiting import Entering, Waiting
from mammal.tasks.grammar.grammar import State


@dataclass(frozen=True)
class BeamRules:
    """How beams are ranked and when they stop.

    Attributes:
        groups: number of groups into which the beams of a row are divided.
        diversity_penalty: is subtracted from the score of a token that an earlier group takes at the same step.
        early_stopping: stop a group as soon as it has as many sequences as beams.
        length_penalty: scores are divided by length to this power.
        returns: number of sequences that are returned for each prompt.
    """

    groups: int = 1
    diversity_penalty: float = 0.0
    early_stopping: bool = False
    length_penalty: float = 1.0
    returns: int = 1


class _Move(NamedTuple):
    """How the beams of a group continue: the beam that each one extends, the new column, and whether it continues."""

    parents_GC: Tensor
    columns_GC: Tensor
    live_GC: Tensor


class BeamSearch:
    """Beam search for prompts.

    Args:
        steps: the decoder, with S rows for each of the first prompts.
        rules: how beams are ranked and when the search stops.
        first: these prompts.
        start: state of the grammar before the first token of prompts without a state of their own.
        waiting: further prompts.
        fits: whether a waiting prompt of this number of tokens can take the place of another.
        finish: gets the best sequences of each prompt when its search stops, best first.
    """

    def __init__(
        self,
        steps: DecodingSteps,
        rules: BeamRules,
        first: Entering,
        start: State,
        waiting: Waiting,
        fits: Callable[[int], bool],
        finish: Finish,
    ):
        self._steps, self._rules, self._start = steps, rules, start
        self._waiting, self._fits, self._finish = waiting, fits, finish
        self._names = list(first.names)
        size = steps.copies // rules.groups
        self._groups = [_Group(steps.groups, size, steps, rules) for _ in range(rules.groups)]

    def run(self) -> None:
        """Searches until all prompts in the batch, and those that entered it, are done."""
        while self._names:
            moves = _move(self._groups, self._steps, self._rules)
            done = self._done()
            entering = self._next(len(done))
            if len(done):
                self._pass_on(done)
            replaced = done[: 0 if entering is None else len(entering.names)]
            leaving = done[len(replaced) :]
            if len(leaving) == len(self._names):
                return
            _go_on(self._groups, self._steps, moves, self._without(leaving) if len(leaving) else None)
            if entering is not None:
                self._enter(replaced - np.searchsorted(leaving, replaced), entering)

    def _next(self, places: int) -> Entering | None:
        """Waiting prompts for so many places."""
        if places == 0:
            return None
        return self._waiting.take(lambda already, tokens, _: already < places and self._fits(tokens))

    def _done(self) -> np.ndarray:
        """Prompts (indices) whose search stops."""
        complete_G = torch.stack([group.complete_G for group in self._groups]).all(dim=0).cpu().numpy()
        ages_G = self._steps.ages.counts_D[:: self._steps.copies]
        return np.flatnonzero(complete_G | (ages_G + 1 == self._steps.limits.max_new_tokens))

    def _pass_on(self, done: np.ndarray) -> None:
        """Passes on the sequences of prompts that are done."""
        best = _ranked(self._groups, self._rules).rows(torch.from_numpy(done).to(self._steps.device))
        fields = [tensor.cpu().numpy() for tensor in vars(best).values()]
        for place, *of_prompt in zip(done.tolist(), *fields, strict=True):
            found = (beam for beam in zip(*of_prompt, strict=True) if beam[-1])
            for number, (ids_T, values_T, score, likelihood, length, _) in enumerate(
                islice(found, self._rules.returns)
            ):
                values = values_T[:length].copy() if self._steps.gives_values else None
                sequence = Finished(
                    self._names[place], number, ids_T[:length].copy(), float(score), float(likelihood), values
                )
                self._finish(sequence)

    def _without(self, leaving: np.ndarray) -> np.ndarray:
        """The prompts (indices) that stay."""
        kept = np.delete(np.arange(len(self._names)), leaving)
        self._names = [self._names[place] for place in kept.tolist()]
        return kept

    def _enter(self, places: np.ndarray, entering: Entering) -> None:
        """Lets prompts take the places of others."""
        self._steps.enter(places, entering.keys, entering.starts or [self._start] * len(places), entering.ids)
        for place, name in zip(places.tolist(), entering.names, strict=True):
            self._names[place] = name
        for group in self._groups:
            group.restart(torch.from_numpy(places).to(self._steps.device))


def _move(groups: list[_Group], steps: DecodingSteps, rules: BeamRules) -> list[_Move]:
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
        move = group.move(log_probs_GSV[:, own], ranked_GCV, states_GSW[:, own])
        if taken_GV is not None:
            taken_GV.scatter_add_(1, move.columns_GC, move.live_GC.to(taken_GV.dtype))
        moves.append(move._replace(parents_GC=move.parents_GC + number * size))
    return moves


def _go_on(groups: list[_Group], steps: DecodingSteps, moves: list[_Move], kept: np.ndarray | None) -> None:
    """Extends the running beams; only of the prompts `kept` (indices) if it is given, and the others leave."""
    move = _Move(*(torch.cat(parts, dim=1) for parts in zip(*moves, strict=True)))
    if kept is not None:
        kept_G = torch.from_numpy(kept).to(steps.device)
        move = _Move(*(part[kept_G] for part in move))
        steps.keep(kept)
        for group in groups:
            group.keep(kept_G)
    offsets_G1 = torch.arange(steps.groups, device=steps.device).unsqueeze(1) * steps.copies
    last_GS1 = steps.ages.places[1].view(steps.groups, steps.copies, 1)
    ids_GST = torch.cat([group.running.ids_GCT for group in groups], dim=1)
    values_D = None
    if steps.gives_values:
        values_GST = torch.cat([group.running.values_GCT for group in groups], dim=1)
        values_D = values_GST.gather(2, last_GS1).reshape(-1)
    steps.feed(ids_GST.gather(2, last_GS1).reshape(-1), values_D)
    steps.follow(move.columns_GC.reshape(-1), move.live_GC.reshape(-1), (move.parents_GC + offsets_G1).reshape(-1))


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

    def restart(self, rows_G: Tensor) -> None:
        """Other prompts take the places of these rows (indices)."""
        fresh = _Group(len(rows_G), self.running.scores_GC.shape[1], self._steps, self._rules)
        self.running.put(rows_G, fresh.running)
        self.finished.put(rows_G, fresh.finished)
        self.complete_G[rows_G] = False

    def move(self, log_probs_GCV: Tensor, ranked_GCV: Tensor, states_GCW: Tensor) -> _Move:
        """One step; continuations are chosen by the scores `ranked_GCV`."""
        limits, beams = self._steps.limits, log_probs_GCV.shape[1]
        ages_G = self._steps.ages.counts_D[:: self._steps.copies]
        continued, parents_GK, columns_GK, ids_GK = self._continue(log_probs_GCV, ranked_GCV, states_GCW, ages_G)
        ends_GK = limits.ends(ids_GK) | self._on_device(ages_G + 1 == limits.max_new_tokens)
        divisor_G1 = self._on_device(((ages_G + 1.0) ** self._rules.length_penalty).astype(np.float32))
        self._finish(continued, ends_GK, divisor_G1)
        best = (continued.scores_GC + ends_GK * OUT).topk(beams, dim=1)
        self.running = continued.pick(best.indices, best.values)
        hopeless_G = (best.values[:, :1] / divisor_G1 <= _worst(self.finished)).all(dim=1) | (best.values[:, 0] < DEAD)
        full_G = self.finished.done_GC.all(dim=1) & self._rules.early_stopping
        self.complete_G = self.complete_G | hopeless_G | full_G
        self.running.scores_GC.masked_fill_(self.complete_G.unsqueeze(1), OUT)
        live_GC = self.running.scores_GC > DEAD
        return _Move(parents_GK.gather(1, best.indices), columns_GK.gather(1, best.indices), live_GC)

    def keep(self, rows_G: Tensor) -> None:
        """Keeps only these rows."""
        self.running, self.finished = self.running.rows(rows_G), self.finished.rows(rows_G)
        self.complete_G = self.complete_G[rows_G]

    def _on_device(self, numbers_G: np.ndarray) -> Tensor:
        """As a tensor, [G, 1]."""
        return torch.from_numpy(numbers_G).to(self._steps.device).unsqueeze(1)

    def _continue(
        self, log_probs_GCV: Tensor, ranked_GCV: Tensor, states_GCW: Tensor, ages_G: np.ndarray
    ) -> tuple[Beams, Tensor, Tensor, Tensor]:
        """The 2 C best continuations of the running beams of each row, and beam, column and token of each."""
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
        last_GK1 = self._on_device(ages_G).expand_as(ids_GK).unsqueeze(2)
        continued.ids_GCT.scatter_(2, last_GK1, ids_GK.unsqueeze(2))
        if values_N is not None:
            continued.values_GCT.scatter_(2, last_GK1, values_N.view_as(last_GK1))
        return continued, parents_GK, columns_GK, ids_GK

    def _finish(self, continued: Beams, ends_GK: Tensor, divisor_G1: Tensor) -> None:
        """Keeps the C best of the finished sequences and of the best C continuations that end now."""
        beams = self.finished.scores_GC.shape[1]
        among_best_K = torch.arange(ends_GK.shape[1], device=ends_GK.device) < beams
        continued.done_GC[:] = ends_GK & among_best_K & (continued.scores_GC > DEAD)
        full_G1 = self.finished.done_GC.all(dim=1, keepdim=True) & self._rules.early_stopping
        scores_GK = continued.scores_GC / divisor_G1
        ended = continued.scored(scores_GK + full_G1 * OUT + ~continued.done_GC * OUT)
        merged = self.finished.join(ended)
        self.finished = merged.pick(merged.scores_GC.topk(beams, dim=1).indices)


def _worst(finished: Beams) -> Tensor:
    """Scores of finished sequences that a new one must beat, [G, C]; `OUT` where no sequence is finished yet."""
    worst_G1 = finished.scores_GC.min(dim=1, keepdim=True).values
    return torch.where(finished.done_GC, worst_G1, torch.full_like(worst_G1, OUT))
