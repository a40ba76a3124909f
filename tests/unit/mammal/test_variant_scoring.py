"""Scores of variants: what the prompt hides, antisymmetry, strands, aligned distances, a model trained on DNA."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import mammal
from mammal.errors import ConfigError, TaskError
from mammal.inference.api import Mammal
from mammal.rows.batched import Pace, Refused
from mammal.tasks import build_task, load_task
from mammal.tasks.dna.alleles import AllelePair
from mammal.tasks.kinds.denoising import DenoisingTask
from mammal.tokenization import Tokenizer
from mammal.variants.distance import MOST_ALTERNATES
from mammal.variants.likelihood import CONTEXT, HiddenSite, _context
from mammal.variants.scoring import Scorer, VariantScoreOptions

SNV = AllelePair("ACGTTGCATTGACCAA", "A", "G", "TTGACCGATAGCACTA")
INSERTION = AllelePair("ACGTTGCATTGACCAA", "", "CAT", "TTGACCGATAGCACTA")
DELETION = AllelePair("ACGNTGCATTGACCAA", "GGC", "", "TTGACCAANNCTACGT")
SWAPPED = AllelePair(SNV.before, SNV.alt, SNV.ref, SNV.after)
EVERY = [SNV, INSERTION, DELETION, SWAPPED, AllelePair("ACGTACG", "AC", "T", "TTTTCTGTTTTT")]


@pytest.fixture(scope="module")
def model(dna_bundle: Path) -> Mammal:
    return mammal.load(dna_bundle, device="cpu")


def scorer(model: Mammal, pace: Pace | None = None, **asked: object) -> Scorer:
    how = VariantScoreOptions(**asked)  # type: ignore[arg-type]
    return Scorer(model.model, model.tokenizer, model.tasks, how, pace or Pace())


def values(scored: Scorer, pairs: list[AllelePair]) -> np.ndarray:
    return np.array(scored.score(pairs), dtype=float)


def test_the_site_and_its_neighbours_are_hidden_behind_one_sentinel(model: Mammal) -> None:
    task = model.task
    assert isinstance(task, DenoisingTask)
    rows = [{CONTEXT: _context(pair, 2)} for pair in (SNV, INSERTION, DELETION)]
    examples, errors = HiddenSite(task, 2).encode(rows, [0, 1, 2])
    texts = [[task.tokenizer.decode(ids) for ids in (e.input.ids_L, *(t.ids_T for t in e.targets))] for e in examples]
    assert not errors
    given, reference, alternate = texts[0]
    assert "<SEQUENCE_NATURAL_START>ACGTTGCATTGACC<SENTINEL_ID_0>GACCGATAGCACTA<SEQUENCE_NATURAL_END>" in given
    assert (reference, alternate) == ("<SENTINEL_ID_0>AAATT<EOS>", "<SENTINEL_ID_0>AAGTT<EOS>")
    assert texts[1][1:] == ["<SENTINEL_ID_0>AATT<EOS>", "<SENTINEL_ID_0>AACATTT<EOS>"]
    assert texts[2][1:] == ["<SENTINEL_ID_0>AAGGCTT<EOS>", "<SENTINEL_ID_0>AATT<EOS>"]


def test_swapped_alleles_swap_the_scores(model: Mammal) -> None:
    ref, alt, ratio, mean, site, largest, offset = values(scorer(model), [SNV, SWAPPED]).T
    assert ratio[0] == pytest.approx(-ratio[1]) and abs(ratio[0]) > 1e-3
    assert (ref[0], alt[0]) == pytest.approx((alt[1], ref[1])) and max(ref) < 0
    assert (
        mean[0] == pytest.approx(mean[1])
        and site[0] == pytest.approx(site[1])
        and largest[0] == pytest.approx(largest[1])
    )
    assert offset[0] == offset[1] != 0


def test_both_strands_are_the_mean_of_two_runs(model: Mammal) -> None:
    both = values(scorer(model, strands="both"), EVERY)
    forward = values(scorer(model), EVERY)
    backward = values(scorer(model), [pair.reversed() for pair in EVERY])
    means = slice(0, 5)
    assert np.allclose(both[:, means], (forward[:, means] + backward[:, means]) / 2, atol=1e-4)
    assert (both[:, 5] >= both[:, 3]).all() and (both[:, 5] <= np.maximum(forward[:, 5], backward[:, 5]) + 1e-5).all()
    swapped = values(scorer(model, strands="both"), [pair.reversed() for pair in EVERY])
    assert np.allclose(both[:, :6], swapped[:, :6], atol=1e-4) and np.array_equal(both[:, 6], -swapped[:, 6])


def test_equal_alleles_have_no_distance(model: Mammal) -> None:
    same = [replace(pair, alt=pair.ref) for pair in EVERY]
    mean, site, largest, _ = values(scorer(model, what="embedding"), same).T
    assert max(mean.max(), site.max(), largest.max()) < 1e-4


def test_distances_are_those_of_aligned_states(model: Mammal) -> None:
    def states(bases: str) -> np.ndarray:
        (given,) = model.embed([bases], entity="dna", pooling="none")
        start = len(given) - len(bases) - 2  # <SEQUENCE_NATURAL_END> and <EOS> follow
        return given[start : start + len(bases)]

    mean, site, largest, offset = values(scorer(model, what="embedding"), [INSERTION])[0]
    ref, alt = states(INSERTION.reference), states(INSERTION.alternate)
    aligned = np.linalg.norm(ref - np.concatenate([alt[:16], alt[19:]]), axis=1)
    assert mean == pytest.approx(aligned.mean(), rel=1e-4) and largest == pytest.approx(aligned.max(), rel=1e-4)
    place = int(offset) + 16 if offset < 0 else int(offset) + 15
    assert aligned[place] == pytest.approx(largest, rel=1e-4) and offset != 0
    assert site == pytest.approx(np.linalg.norm(ref[15:17].mean(0) - alt[15:20].mean(0)), rel=1e-4)


def test_scores_do_not_depend_on_the_company(model: Mammal) -> None:
    long = AllelePair(SNV.before * 6, "A", "C", SNV.after * 3)
    together = values(scorer(model), [*EVERY, long, SNV])
    alone = np.concatenate([values(scorer(model, Pace(tokens=1, rows=1)), [pair]) for pair in [*EVERY, long, SNV]])
    assert np.allclose(together, alone, atol=1e-4)
    assert np.array_equal(together[0], together[-1])


def alternates(count: int) -> list[AllelePair]:
    """Pairs with one reference, at several sites of it and of several lengths."""
    window = SNV.reference
    sites = [(at, alt) for at in (3, 9, 16, 17, 25) for alt in ("A", "C", "G", "T", "", "GATTC") if alt != window[at]]
    return [AllelePair(window[:at], window[at], alt, window[at + 1 :]) for at, alt in sites[:count]]


@pytest.mark.parametrize("strands", ["forward", "both"])
def test_alternates_that_share_passes_score_as_they_do_alone(model: Mammal, strands: str) -> None:
    pairs = [*alternates(20), INSERTION, *alternates(4)]
    together = values(scorer(model, strands=strands), pairs)
    alone = np.concatenate([values(scorer(model, strands=strands), [pair]) for pair in pairs])
    assert np.allclose(together[:, :6], alone[:, :6], atol=1e-5)
    assert np.array_equal(together[:4], together[-4:])


def test_a_site_is_read_once_for_all_its_alternates(model: Mammal, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[int] = []
    network = type(model.model)
    original = network.encode
    monkeypatch.setattr(
        network, "encode", lambda self, batch, *rest: (rows.append(len(batch)), original(self, batch, *rest))[1]
    )
    of_one_site = [AllelePair(SNV.before, "A", alt, SNV.after) for alt in "CGT"]
    values(scorer(model, what="likelihood"), of_one_site)
    assert sum(rows) == 1
    rows.clear()
    values(scorer(model, what="embedding"), of_one_site)
    assert sum(rows) == 4
    rows.clear()
    many = alternates(2 * MOST_ALTERNATES + 1)
    values(scorer(model, what="embedding"), many)
    assert sum(rows) == len(many) + 3


def test_an_alternate_that_can_t_be_read_leaves_the_others_of_its_site(model: Mammal) -> None:
    good, odd = SNV, AllelePair(SNV.before, SNV.ref, "A" * 6000, SNV.after)
    for what in ("likelihood", "embedding"):
        first, refused, last = scorer(model, what=what).score([good, odd, good])
        assert isinstance(refused, Refused) and first == last == scorer(model, what=what).score([good])[0]


def test_windows_that_can_t_be_asked_about_are_refused_alone(model: Mammal) -> None:
    pairs = [SNV, AllelePair("A" * 3000, "A", "C", "C" * 3000), AllelePair("AC", "A", "C", "G"), SNV]
    first, long, short, last = scorer(model).score(pairs)
    assert isinstance(long, Refused) and "6,001 bases" in long.reason and "window=" in long.reason
    assert isinstance(short, Refused) and "no base of the window is visible" in short.reason
    assert first == last


def test_a_model_prefers_the_allele_that_it_has_learnt() -> None:
    """A repeat of four bases, each as common as the others, so that a base is determined by its neighbours alone."""
    from mammal.model.config import ModelConfig
    from mammal.model.model import MammalModel

    torch.manual_seed(0)
    tokenizer = Tokenizer.load(None)
    task = build_task(load_task("dna_denoising"), tokenizer)
    config = ModelConfig(
        tokenizer.vocab_rows, d_model=32, d_ff=64, d_kv=16, num_heads=2, num_layers=1, num_decoder_layers=1
    )
    learner = MammalModel(config)
    optimiser = torch.optim.Adam(learner.parameters(), lr=1e-2)
    known = "ACGT" * 8
    for step in range(50):
        task.epoch = step
        batch = task.collate([task.encode({"sequence": known}, i, target=True) for i in range(12)])
        optimiser.zero_grad()
        task.loss(learner(batch), batch).backward()
        optimiser.step()
    other = {"A": "C", "C": "G", "G": "T", "T": "A"}
    texts = [f"{known[:i]}[{known[i]}/{other[known[i]]}]{known[i + 1 :]}" for i in range(3, 29)]
    frame = Mammal(learner, tokenizer, [task]).score_variants(texts, what="likelihood")
    assert (frame.log_likelihood_ratio < 0).mean() > 0.9


def test_what_is_asked_must_be_something_that_the_model_can(model: Mammal) -> None:
    with pytest.raises(ConfigError, match=r"there is no score 'likelihod' .*likelihood"):
        VariantScoreOptions("likelihod")
    with pytest.raises(ConfigError, match="window must be a whole number"):
        VariantScoreOptions(window=0)
    promoter = build_task(load_task("promoter"), model.tokenizer)
    chosen = Scorer(model.model, model.tokenizer, {}, VariantScoreOptions("embedding"), Pace(), chosen=promoter)
    assert chosen.tasks["embedding"] is promoter
    with pytest.raises(TaskError, match="promoter is a classification task"):
        Scorer(model.model, model.tokenizer, {}, VariantScoreOptions("likelihood"), Pace(), chosen=promoter)
    with pytest.raises(TaskError, match=r"has no task.*what=embedding"):
        Scorer(model.model, model.tokenizer, {}, VariantScoreOptions(), Pace())
    assert (
        Scorer(model.model, model.tokenizer, {}, VariantScoreOptions("embedding"), Pace()).tasks["embedding"].name
        == "values_dna"
    )
