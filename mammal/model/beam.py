"""Beam search that finds what `transformers`' `generate` finds, with rows that are settled leaving the computation.

Each row keeps C running beams and the C best finished sequences. Of the 2 C best continuations of the running beams,
those that end and are among the best C compete with the finished ones (scores divided by length ** penalty), the best C
that don't end run on. A row is settled when no running beam can beat its worst finished sequence, as estimated at the
present length, or with `early_stopping` once C sequences are finished.

Shapes: B encoder rows, G of them still computed, C beams, K = 2 * C continuations, T steps, V allowed ids.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mammal.model.head import TokenHead
from mammal.model.model import MammalModel, Memory
from mammal.model.search import Fed, Limits, Sequences
from mammal.model.stepping import DecodingState

_OUT = -1e9
"""Added to the score of what may not be chosen; the constant of `transformers`, where ties among such depend on it."""


@dataclass
class Beams:
    """Sequences of each row, best first."""

    ids_GCT: Tensor
    values_GCT: Tensor
    scores_GC: Tensor
    done_GC: Tensor

    @classmethod
    def empty(cls, rows: int, beams: int, limits: Limits, device: torch.device) -> Beams:
        shape = (rows, beams, limits.max_new_tokens)
        return cls(
            torch.full(shape, limits.pad_id, device=device),
            torch.full(shape, torch.nan, device=device),
            torch.full((rows, beams), _OUT, device=device),
            torch.zeros((rows, beams), dtype=torch.bool, device=device),
        )

    def pick(self, places_GX: Tensor, scores_GX: Tensor | None = None) -> Beams:
        """The sequences at these places of each row, perhaps with other scores."""
        long_GXT = places_GX.unsqueeze(2).expand(-1, -1, self.ids_GCT.shape[2])
        return Beams(
            self.ids_GCT.gather(1, long_GXT),
            self.values_GCT.gather(1, long_GXT),
            self.scores_GC.gather(1, places_GX) if scores_GX is None else scores_GX,
            self.done_GC.gather(1, places_GX),
        )

    def join(self, other: Beams) -> Beams:
        mine, theirs = vars(self), vars(other)
        return Beams(**{name: torch.cat((mine[name], theirs[name]), dim=1) for name in mine})

    def rows(self, rows_G: Tensor) -> Beams:
        return Beams(**{name: tensor[rows_G] for name, tensor in vars(self).items()})

    def put(self, rows_G: Tensor, other: Beams) -> None:
        for name, tensor in vars(self).items():
            tensor[rows_G] = vars(other)[name]


def beam_search(
    model: MammalModel,
    memory: Memory,
    head: TokenHead,
    limits: Limits,
    beams: int,
    early_stopping: bool,
    length_penalty: float,
) -> Sequences:
    """The C best sequences of each encoder row, best first."""
    device, rows = model.device, memory.packing.rows
    state = DecodingState(model, memory, beams, limits.max_new_tokens)
    result = Beams.empty(rows, beams, limits, device)
    running, finished = Beams.empty(rows, beams, limits, device), Beams.empty(rows, beams, limits, device)
    running.scores_GC[:, 0] = 0.0  # all beams are equal at first: only the first may give continuations
    rows_G = torch.arange(rows, device=device)
    fed = Fed(model, limits, rows * beams, device)
    for step in range(limits.max_new_tokens):
        continued, parents_GK = _continue(running, state.step(*fed.inputs), head, fed, step)
        ends_GK = (continued.ids_GCT[:, :, step] == limits.eos_id) | (step + 1 == limits.max_new_tokens)
        finished = _finish(finished, continued, ends_GK, (step + 1) ** length_penalty, early_stopping)
        best = (continued.scores_GC + ends_GK * _OUT).topk(beams, dim=1)
        running = continued.pick(best.indices, best.values)
        hopeless_G = (running.scores_GC[:, :1] / (step + 1) ** length_penalty <= _worst(finished)).all(dim=1)
        settled_G = hopeless_G | (finished.done_GC.all(dim=1) & early_stopping)
        if bool(settled_G.all()) or step + 1 == limits.max_new_tokens:
            break
        parents_GC = parents_GK.gather(1, best.indices)
        if bool(settled_G.any()):
            result.put(rows_G[settled_G], finished.rows(settled_G))
            open_G = (~settled_G).nonzero().squeeze(1)
            state.keep(open_G)
            running, finished = running.rows(open_G), finished.rows(open_G)
            rows_G, parents_GC = rows_G[open_G], parents_GC[open_G]
        offsets_G1 = torch.arange(len(rows_G), device=device).unsqueeze(1) * beams
        state.reorder((parents_GC + offsets_G1).reshape(-1))
        fed.take(running.ids_GCT[:, :, step].reshape(-1), running.values_GCT[:, :, step].reshape(-1))
    result.put(rows_G, finished)
    return Sequences(result.ids_GCT, result.scores_GC, result.values_GCT)


def _continue(running: Beams, states_DW: Tensor, head: TokenHead, fed: Fed, step: int) -> tuple[Beams, Tensor]:
    """The 2 C best continuations of each row's running beams, and the beam that each continues."""
    groups, beams = running.scores_GC.shape
    log_probs_GCV = head(states_DW).unflatten(0, (groups, beams)) + running.scores_GC.unsqueeze(2)
    allowed = log_probs_GCV.shape[2]
    best = log_probs_GCV.flatten(1).topk(min(2 * beams, beams * allowed), dim=1)
    parents_GK = best.indices // allowed
    continued = running.pick(parents_GK, best.values)
    ids_GK = head.ids(best.indices % allowed)
    offsets_G1 = torch.arange(groups, device=states_DW.device).unsqueeze(1) * beams
    states_XW = states_DW[(parents_GK + offsets_G1).reshape(-1)]
    continued.ids_GCT[:, :, step] = ids_GK
    continued.values_GCT[:, :, step] = fed.values(states_XW, ids_GK.reshape(-1)).view_as(ids_GK)
    return continued, parents_GK


def _finish(finished: Beams, continued: Beams, ends_GK: Tensor, divisor: float, early_stopping: bool) -> Beams:
    """The C best of the finished sequences and those that end now, among the best C continuations."""
    beams = finished.scores_GC.shape[1]
    among_best_K = torch.arange(ends_GK.shape[1], device=ends_GK.device) < beams
    continued.done_GC[:] = ends_GK & among_best_K
    full_G1 = finished.done_GC.all(dim=1, keepdim=True) & early_stopping
    scores_GK = continued.scores_GC / divisor + full_G1 * _OUT + ~continued.done_GC * _OUT
    merged = finished.join(Beams(continued.ids_GCT, continued.values_GCT, scores_GK, continued.done_GC))
    return merged.pick(merged.scores_GC.topk(beams, dim=1).indices)


def _worst(finished: Beams) -> Tensor:
    """[G, C], the score to beat; `_OUT` at places that hold nothing yet."""
    worst_G1 = finished.scores_GC.min(dim=1, keepdim=True).values
    return torch.where(finished.done_GC, worst_G1, torch.full_like(worst_G1, _OUT))
