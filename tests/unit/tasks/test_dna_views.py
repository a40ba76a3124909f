"""In-place DNA text is cropped, moved to a random site and described; and its use in tasks."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mammal.tasks.dna.change import first_change
from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.perturbations import perturbations
from mammal.tasks.task import Task
from mammal.tasks.views.dna import cropped, located, random_site
from mammal.tokenization.strands import reverse_complement_in_place
from mammal.tokenization.variants import Placed, Variant, alternate, reference, write_in_place

Make = Callable[..., Task]
WINDOW = "ACGTTGCAACGGATCCTAGCATGCAAGCTTGGCATTACGCATAGCTAGCATCGACTACGACTGCATGC"


@st.composite
def one_variant(draw):
    """A window with one variant in place: substitution, insertion or deletion, with or without a frequency."""
    window = draw(st.text("ACGT", min_size=8, max_size=120))
    start = draw(st.integers(0, len(window) - 4))
    ref = window[start : start + draw(st.integers(0, 3))]
    alt = draw(st.text("ACGT", max_size=3).filter(lambda alt: alt != ref))
    frequencies = draw(st.sampled_from([(), (0.25,)]))
    return write_in_place(window, [Placed(start, Variant(ref, (alt,), frequencies))])


@given(one_variant(), st.integers(4, 60), st.integers(0, 20))
def test_a_cropped_text_is_a_stretch_of_the_text_with_the_same_variant(text, window, shift):
    found = cropped(text, window, shift)
    assert reference(found) in reference(text) and found in text
    assert len(reference(found)) <= max(window, 0) or found == text
    assert [at.variant for at in located(found).placed] == [at.variant for at in located(text).placed]
    assert cropped(found, window, shift) == found, "a text that fits is left as it is"


def test_a_substitution_stands_in_the_middle_of_its_window():
    text = write_in_place(WINDOW, [Placed(30, Variant(WINDOW[30], ("N",), (0.5,)))])
    found = cropped(text, 21)
    assert found == f"{WINDOW[20:30]}[{WINDOW[30]}/N:0.5]{WINDOW[31:41]}"
    assert cropped(reverse_complement_in_place(text), 21) == reverse_complement_in_place(found)
    near_the_end = write_in_place(WINDOW, [Placed(3, Variant(WINDOW[3], ("N",)))])
    assert reference(cropped(near_the_end, 21)) == WINDOW[:14], "clipped, as at the end of a contig"


def test_a_shifted_window_leaves_its_variant_off_the_middle():
    places = set()
    for alt in ("A", "C", "AA", "AC", "CC", "CA", "CAA", "ACA"):
        text = write_in_place(WINDOW, [Placed(30, Variant("", (alt,)))])
        found = cropped(text, 21, 8)
        assert found == cropped(text, 21, 8) and len(reference(found)) == 21
        places.add(located(found).placed[0].start)
    assert len(places) > 3 and all(2 <= place <= 18 for place in places)


def test_text_that_is_not_cropped_and_text_that_cannot_be():
    assert cropped(WINDOW, 10) == WINDOW, "there is no variant to keep"
    with pytest.raises(DataError, match="replaces 12 bases, more than the window of 10"):
        cropped(write_in_place(WINDOW, [Placed(10, Variant(WINDOW[10:22], ("",)))]), 10)
    two = write_in_place(WINDOW, [Placed(at, Variant(WINDOW[at], ("N",))) for at in (30, 33, 60)])
    assert len(located(cropped(two, 11)).placed) == 2
    assert reference(cropped(two, 11)) == WINDOW[25:36]


@given(one_variant(), st.integers(0, 5))
def test_a_random_site_has_the_same_alleles_between_the_same_bases_elsewhere(text, seed):
    found = random_site(text, seed)
    assume(found is not None)
    here, there = located(text), located(found)
    assert reference(found) == reference(text) and alternate(found) != alternate(text)
    assert there.placed[0].variant == here.placed[0].variant and there.placed[0] != here.placed[0]
    assert found == random_site(text, seed), "the same in every run"


def neighbours(text: str) -> tuple[str, str]:
    change = first_change(text)
    assert change is not None
    return change.before, change.after


def test_a_random_site_is_matched_by_its_trinucleotide_then_by_its_base():
    matched = "TT[A/G]CCCCCTACGGAGGG"
    assert {random_site(matched, seed) for seed in range(9)} == {"TTACCCCCT[A/G]CGGAGGG"}
    assert neighbours(matched) == neighbours("TTACCCCCT[A/G]CGGAGGG") == ("T", "C")
    by_base = {random_site("TT[A/G]CCCCCCGAGGGA", seed) for seed in range(20)}
    assert by_base == {"TTACCCCCCG[A/G]GGGA", "TTACCCCCCGAGGG[A/G]"}
    assert random_site("TT[A/G]CCC") is None and random_site("TTACCC") is None
    assert random_site("TT[A/G]CC[A/G]CA") is None, "which of the two would move?"
    assert random_site("GG[TA/-]TATACC") is None, "any other copy in the repeat is the same deletion"


def test_a_change_in_the_words_of_signatures():
    change = first_change("TTA[G/A]CTT")
    assert change is not None
    assert (change.sort, change.growth, change.context) == ("SNV", 0, "A[G>A]C")
    assert change.pyrimidine_context == "G[C>T]T" and change.place == pytest.approx(3 / 7)
    other = first_change(reverse_complement_in_place("TTA[G/A]CTT"))
    assert other is not None and other.context == "G[C>T]T" == other.pyrimidine_context
    sorts = {"A[-/GG]C": "insertion", "A[GG/-]C": "deletion", "A[GG/TT]C": "MNV", "A[GG/T]C": "delins"}
    assert {text: first_change(text).sort for text in sorts} == sorts
    at_the_end = first_change("[G/A]CT")
    assert at_the_end is not None and at_the_end.context == "" and first_change("ACGT") is None


def test_a_task_reads_windows_in_training_and_in_use(make: Make):
    text = write_in_place(WINDOW, [Placed(30, Variant(WINDOW[30], ("N",)))])
    task = make("regression", "<MASK> {d:dna}", "{y:scalar}", data={"window": 21})
    assert task.prepare({"d": text})["d"] == cropped(text, 21) and cropped(text, 21) in task.render({"d": text}).input
    assert task.prepare({"d": WINDOW})["d"] == WINDOW
    with pytest.raises(TaskError, match="window must be at least one base"):
        make("regression", "<MASK> {d:dna}", "{y:scalar}", data={"window": 0})


@pytest.mark.parametrize("view", ["in_place", "reference", "alternate", "random_site", "reverse_complement"])
def test_views_of_a_variant_share_its_window(make: Make, view: str):
    text = "TTACCCCCT[A/G]CGGAGGG"
    task = make("regression", "<MASK> {d:dna}", "{y:scalar}", views={"d": [view]})
    reported = {
        "in_place": text,
        "reference": "TTACCCCCTACGGAGGG",
        "alternate": "TTACCCCCTGCGGAGGG",
        "random_site": "TT[A/G]CCCCCTACGGAGGG",
        "reverse_complement": "CCCTCCG[T/C]AGGGGGTAA",
    }
    assert f">{reported[view]}<" in task.render({"d": text}).input


def test_reading_the_other_strand_is_a_change_that_should_not_matter(make: Make):
    task = make("regression", "<MASK> {d:dna} {s:smiles}", "{y:scalar}", data={"window": 8, "window_shift": 3})
    change = perturbations(task)["reverse complement"]
    text = write_in_place(WINDOW, [Placed(30, Variant(WINDOW[30], ("N",)))])
    row = {"d": text, "s": "CCO"}
    changed = change(row)
    assert changed is not None and changed["s"] == "CCO"
    assert task.prepare(changed)["d"] == reverse_complement_in_place(task.prepare(row)["d"]), "the same stretch"
    assert change({"d": "ACGT", "s": "CCO"}) is None, "a palindrome reads the same"
    assert change({"d": "AC[G", "s": "CCO"}) is None
    assert "reverse complement" not in perturbations(make("regression", "<MASK> {s:smiles}", "{y:scalar}"))
