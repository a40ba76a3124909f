"""The features of baselines for DNA, and what baselines can learn from them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mammal.tasks.baselines.baseline_dna import CONTEXTS, dna_kmers, dna_variant, kmer_counts
from mammal.tasks.baselines.fit import DRAWS_OF_DNA, baselines, fit_baselines, recipes
from mammal.tasks.task import Task
from mammal.tokenization.strands import reverse_complement, reverse_complement_in_place

Make = Callable[..., Task]


def bases(draws: np.random.Generator, length: int) -> str:
    return "".join(draws.choice(list("ACGT"), size=length))


def variants(rows: int = 160) -> list[dict[str, str]]:
    """Labels that hang on the change alone: C>T against C>A, each in a window of its own."""
    draws = np.random.default_rng(0)
    made = []
    for row in range(rows):
        alt = "TA"[row % 2]
        made.append({"d": f"{bases(draws, 30)}[C/{alt}]{bases(draws, 30)}", "y": str(row % 2)})
    return made


def scores(task: Task, rows: list[dict[str, str]], train: int = 120) -> dict[str, float]:
    said = baselines(task, rows[:train], rows[train:], trees=30)
    return {name: task.metrics(predictions, rows[train:])["auroc"] for name, predictions in said.items()}


@pytest.fixture
def task(make: Make) -> Task:
    return make("classification", "{d:dna}", "{y:label}", labels=["0", "1"], metrics=["auroc"])


def test_kmers_of_both_strands_are_the_same_but_for_the_short_ones_as_written():
    draws = np.random.default_rng(1)
    text = bases(draws, 80)
    one, other = kmer_counts([text, reverse_complement(text)], 6).toarray()
    assert one.shape == (2 + 10 + 32 + 136 + 512 + 2080 + 4 + 16 + 64,)
    both_strands, as_written = slice(0, 2772), slice(2772, None)
    assert (one[both_strands] == other[both_strands]).all() and (one[as_written] != other[as_written]).any()
    assert one.sum() == sum(80 - k + 1 for k in (1, 2, 3, 4, 5, 6, 1, 2, 3))
    assert kmer_counts(["ACNGT"], 2).sum() == 4 + 2 + 4 + 2, "nothing is counted across an unknown base"
    assert kmer_counts([], 3).shape == (0, 44 + 84) and kmer_counts(["", "A"], 3).sum() == 2


def test_counts_do_not_depend_on_the_sequences_beside_them():
    draws = np.random.default_rng(2)
    texts = [bases(draws, int(length)) for length in draws.integers(0, 40, size=1100)]
    together = kmer_counts(texts, 4)
    for row in (0, 1, 1023, 1024, 1099):
        assert (together[row] != kmer_counts([texts[row]], 4)).nnz == 0


def test_kmers_are_those_of_the_reference():
    plain, written = dna_kmers()(["ACGTAC", "ACG[T/G]AC"])
    assert (plain != written).nnz == 0


def test_a_variant_is_seen_from_both_strands_and_its_window_is_not():
    draws = np.random.default_rng(3)
    text, elsewhere = f"{bases(draws, 40)}TTACGTA[C/T]GATACC", f"{bases(draws, 40)}TTACGTA[C/T]GATACC"
    texts = [text, reverse_complement_in_place(text), elsewhere, text.replace("C/T", "C/A"), "ACGT"]
    seen = dna_variant()(texts).toarray()
    gained = seen[:, :2772]
    assert (gained[0] == gained[1]).all() and (gained[0] == gained[2]).all() and (gained[0] != gained[3]).any()
    kinds = seen[:, 2772 + 84 :][:, : 5 + 6 + 96]
    assert (kinds[0] == kinds[1]).all() and kinds[0].sum() == 3, "its class, its substitution and its context"
    assert kinds[0][5 + 6 + CONTEXTS.index("A[C>T]G")] == 1
    assert not seen[4].any()


def test_lengths_and_frequencies_of_variants_are_seen():
    numbers = dna_variant(4)(["AC[-/GG]GT", "AC[GTA/-]GT", "AC[G/T:0.25]GT"]).toarray()[:, -128 - 7 : -128]
    growth, _, shifts, _, _, frequency, known = numbers.T
    assert growth.tolist() == [2, -3, 0] and shifts.tolist() == [1, 0, 0]
    assert frequency.tolist() == [0, 0, 0.25] and known.tolist() == [0, 0, 1]


def test_a_change_is_learned_by_those_that_see_it_alone(task: Task):
    found = scores(task, variants())
    assert set(found) == {"mean", "forest_kmers", "linear_kmers", "forest_variant", "linear_variant"}
    assert min(found["forest_variant"], found["linear_variant"]) > 0.95
    assert max(found["forest_kmers"], found["linear_kmers"]) < 0.7


def test_a_window_without_variants_is_learned_by_its_kmers(task: Task):
    draws = np.random.default_rng(4)
    rows = [{"d": bases(draws, 40) + ("TGACTCA" if i % 2 else "CATGCAT") * 2, "y": str(i % 2)} for i in range(120)]
    found = scores(task, rows, train=90)
    assert set(found) == {"mean", "forest_kmers", "linear_kmers"}
    assert min(found["forest_kmers"], found["linear_kmers"]) > 0.95


def test_dna_beside_another_column_is_seen_whole(make: Make):
    task = make("classification", "{d:dna} {s:smiles}", "{y:label}", labels=["0", "1"], metrics=["auroc"])
    found = scores(task, [row | {"s": "CCO"} for row in variants()])
    assert set(found) == {"mean", "forest_all", "forest_only_d", "forest_only_s"}
    assert found["forest_only_d"] > 0.95 and found["forest_only_s"] == 0.5


def test_trees_over_dna_draw_a_part_of_many_rows(task: Task, make: Make, monkeypatch: pytest.MonkeyPatch):
    rows = variants(60)
    texts = [task.inputs(row) for row in rows]
    assert {recipe.draws for recipe in recipes(task, texts).values() if recipe.model == "forest"} == {DRAWS_OF_DNA}
    whole = fit_baselines(task, rows, rows, trees=5, names=["forest_variant"])["forest_variant"].test[0]
    monkeypatch.setattr("mammal.tasks.baselines.recipe.DRAWS_OF_DNA", 4)
    few = fit_baselines(task, rows, rows, trees=5, names=["forest_variant"])["forest_variant"].test[0]
    assert [p.probability for p in few] != [p.probability for p in whole]
    molecules = make("classification", "{s:smiles}", "{y:label}", labels=["0", "1"])
    assert {recipe.draws for recipe in recipes(molecules, [{"s": "C"}]).values()} == {None}
