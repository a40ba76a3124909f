"""Span denoising: random spans of the input are replaced by sentinels, and the target contains the hidden spans.

    input   <SENTINEL_ID_0> and <SENTINEL_ID_1> in place of two spans, everything else as it was
    target  <SENTINEL_ID_0> first span <SENTINEL_ID_1> second span <EOS>

Tags and numbers are never hidden, and no span crosses a tag: with several entities in a prompt, each span lies within
one of them. Spans are sampled as in T5 (Raffel et al. 2020, `random_spans_noise_mask`), with a random state seeded by
the task's seed, the epoch and the row, so that a resumed run hides the same spans as an uninterrupted one.
Shapes: L input tokens, T target tokens, N regular tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from zlib import crc32

import numpy as np

from mammal.tasks.batches.example import Example, Target
from mammal.tasks.batches.prediction import Prediction
from mammal.tasks.errors import DataError
from mammal.tasks.kinds.generation import EOS, GenerationTask
from mammal.tasks.metrics.answers import Answers
from mammal.tasks.tables.cells import Row
from mammal.tokenization.encoding import Encoding
from mammal.tokenization.prompt import tag

SENTINELS = 200


class DenoisingTask(GenerationTask):
    """A task that reconstructs hidden spans; it needs no labels. Inputs encoded without target are not corrupted."""

    changes_encoded = True

    @property
    def varies(self) -> bool:
        return True

    @cached_property
    def candidates_V(self) -> np.ndarray | None:
        if self.config.generation.constraint == "none":
            return None
        ways: list[dict[str, str]] = [{c: v.written_as} for c, slot in self.views.items() for v in slot.views]
        wires = [self.template.render(self.template.samples, target=False, written=w).input for w in ways or [{}]]
        alphabets = [self._alphabet_ids(wire) for wire in wires]
        return np.unique(np.concatenate([*alphabets, self._sentinel_ids, self._special_ids({EOS})]))

    def example(
        self,
        row_id: object,
        row: Row,
        encoding: Encoding,
        target_text: Encoding | None,
        *,
        target: bool,
        judged: bool = False,
    ) -> Example:
        plain = Example(row_id, encoding)
        return self.changed(plain, self.epoch) if target else plain

    def changed(self, example: Example, epoch: int) -> Example:
        """Returns the row with hidden spans, and the target that contains them.

        Args:
            example: the row, encoded without target.
            epoch: number of the epoch, which changes the spans.

        Raises:
            DataError: the row is too short to hide a part of it.
        """
        rng = np.random.default_rng([self.config.denoising.seed, epoch, crc32(str(example.row_id).encode())])
        corrupted, ids_T = self._corrupt(example.input, rng)
        return replace(example, input=corrupted, targets=(Target(ids_T, np.arange(len(ids_T)), ids_T),))

    def answers(self, predictions: Sequence[Prediction], rows: Sequence[Row]) -> dict[str, Answers]:
        """Returns an empty mapping, because rows have no labels; the loss is the measure."""
        return {}

    def _corrupt(self, encoding: Encoding, rng: np.random.Generator) -> tuple[Encoding, np.ndarray]:
        regular_N = self.regular(encoding)
        if len(regular_N) < 2:
            raise DataError("too short to hide a part of it")
        hidden_L = np.zeros(len(encoding), dtype=bool)
        settings = self.config.denoising
        hidden_L[regular_N] = noise_mask(len(regular_N), settings.density, settings.mean_span, rng)
        return self.hide(encoding, hidden_L)

    def regular(self, encoding: Encoding) -> np.ndarray:
        """Returns the positions of tokens that may be hidden, int64 [N]: neither tags nor tokens with a number."""
        return np.flatnonzero(~np.isin(encoding.ids_L, self._specials) & ~encoding.has_value_L)

    def hide(self, encoding: Encoding, hidden_L: np.ndarray) -> tuple[Encoding, np.ndarray]:
        """Returns the input with a sentinel instead of each hidden stretch, and the target's ids, int64 [T].

        Args:
            encoding: the encoded input.
            hidden_L: whether to hide each token, bool [L].
        """
        ids_L = encoding.ids_L.astype(np.int64)
        starts = np.flatnonzero(hidden_L & ~np.concatenate(([False], hidden_L[:-1])))
        unused = self._sentinel_ids[~np.isin(self._sentinel_ids, ids_L)]  # the template may contain some of them
        target: list[np.ndarray] = []
        kept_L, sentinel_ids_L = np.ones(len(ids_L), dtype=bool), ids_L.copy()
        for sentinel, start in zip(unused, starts, strict=False):
            visible = np.flatnonzero(~hidden_L[start:])
            end = start + int(visible[0]) if len(visible) else len(ids_L)
            target += [np.array([sentinel]), ids_L[start:end]]
            sentinel_ids_L[start], kept_L[start + 1 : end] = sentinel, False
        corrupted = Encoding(
            ids_L=sentinel_ids_L[kept_L].astype(encoding.ids_L.dtype),
            values_L=encoding.values_L[kept_L],
            has_value_L=encoding.has_value_L[kept_L],
            mask_L=encoding.mask_L[kept_L],
        )
        moved = tuple(e._replace(start=int(kept_L[: e.start].sum())) for e in encoding.embeddings)
        return replace(corrupted, embeddings=moved), np.concatenate([*target, [self.tokenizer.eos_id]])

    @cached_property
    def _sentinel_ids(self) -> np.ndarray:
        names = [tag(f"SENTINEL_ID_{i}") for i in range(SENTINELS)]
        return np.array([self.tokenizer.special_id(name) for name in names], dtype=np.int64)

    @cached_property
    def _specials(self) -> np.ndarray:
        return np.array(sorted(self.tokenizer.specials.values()), dtype=np.int64)


def noise_mask(length: int, density: float, mean_span: float, rng: np.random.Generator) -> np.ndarray:
    """Samples which tokens to hide: about the share `density`, in spans of `mean_span` tokens on average.

    At least one token is hidden and at least one is kept. Kept and hidden stretches alternate and end with a hidden
    one, so the last token would always be hidden and the first one never. The mask is therefore rotated by a random
    offset (T5's `random_roll`), so that every position is hidden with the same probability. A span that is rotated
    across the end becomes two spans.

    Args:
        length: number of tokens, at least 2.
        density: share of tokens to hide.
        mean_span: mean number of tokens of a hidden span.
        rng: random state.

    Returns:
        bool [length], True at hidden tokens.
    """
    hidden = min(max(round(length * density), 1), length - 1)
    spans = min(max(round(hidden / mean_span), 1), hidden, length - hidden)
    kept_spans, hidden_spans = _parts(length - hidden, spans, rng), _parts(hidden, spans, rng)
    lengths = np.stack([kept_spans, hidden_spans], axis=1).reshape(-1)
    return np.roll(np.repeat(np.arange(2 * spans) % 2 == 1, lengths), rng.integers(length))


def _parts(total: int, parts: int, rng: np.random.Generator) -> np.ndarray:
    """`total` divided at random into `parts` positive whole numbers."""
    cuts = np.sort(rng.choice(total - 1, size=parts - 1, replace=False)) + 1
    return np.diff(np.concatenate(([0], cuts, [total])))
