"""Which tokens a probe reads at the site of a variant, and probes that are fitted on both strands."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
import pytest

from mammal.tasks.baselines.baseline_dna import dna_variant
from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.features.variant import LONGEST, Variant
from mammal.tasks.probes.candidates import Candidate, Rows, candidates
from mammal.tasks.probes.choose import chosen, folds_of
from mammal.tasks.probes.ensembles import bagged
from mammal.tasks.probes.reader import RowReader
from mammal.tasks.probes.site import FLANK, SITE, rows_with_variants, site_positions
from mammal.tasks.probes.target import ProbeTarget
from mammal.tasks.probes.task_probes import TaskProbes
from mammal.tasks.task import Task
from mammal.tokenization.strands import reverse_complement_in_place

Make = Callable[..., Task]
DNA = {"labels": ["no", "yes"], "target": "<SENTINEL_ID_0> {y:label}"}
INPUT = "<PATHOGENICITY><SENTINEL_ID_0> {sequence:dna}"


@pytest.fixture
def task(make: Make) -> Task:
    return make("classification", INPUT, **DNA)


def site(task: Task, text: str, **more: str) -> list[str]:
    """Tokens that are read at the site."""
    prompt = task.render({"sequence": text, **more})
    encoding = task.tokenizer.encode(prompt)
    return [task.tokenizer.token(int(encoding.ids_L[p])) for p in site_positions(prompt, encoding, task.dna)]


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("AACCGGTT[A/G]CATGCATT", "C C G G T T [A/G] C A T G C A"),
        ("AACCGGTT[A/G:0.23]CATGCATT", "C C G G T T [A/G] C A T G C A"),  # the number is no token
        ("AACCGGTT[-/AT]CATGCATT", "C C G G T T [ C A T G C A"),  # insertion: 6 tokens, the first one is read
        ("AACCGGTT[CTT/-]CATGCATT", "C C G G T T [ C A T G C A"),
        ("AACCGGTT[A/C/G:0.1,0.2]CATGCATT", "C C G G T T [ C A T G C A"),
        ("AACCGGTT[A/G]CA[C/T]GCATT", "C C G G T T [A/G] C A [C/T] G C A"),  # the first of several variants
        ("TT[A/G]CATGCATT", "T T T T T T [A/G] C A T G C A"),  # clamped to the sequence, not to tags
        ("[A/G]CA", "[A/G] [A/G] [A/G] [A/G] [A/G] [A/G] [A/G] C A A A A A"),
        ("ACG[C/-]", "A A A A C G [ ] ] ] ] ] ]"),
        ("aaccggtt[a/g]catgcatt", "C C G G T T [A/G] C A T G C A"),
    ],
)
def test_the_same_number_of_tokens_is_read_on_both_sides_of_every_variant(task: Task, text: str, read: str):
    found = site(task, text)
    assert " ".join(found) == read and len(found) == SITE == 2 * FLANK + 1


def test_tokens_around_a_variant_keep_their_places_on_the_other_strand(task: Task):
    text = "AACCGGTT[C/T]CATGCATT"
    with task.reading_other_strand():
        other = site(task, text)
    assert other == site(task, reverse_complement_in_place(text)) and other[FLANK] == "[G/A]"
    assert not task.other_strand


def test_the_other_strand_covers_the_same_window(make: Make):
    shifted = make("classification", INPUT, **DNA, data={"window": 9, "window_shift": 3})
    row = {"sequence": "ACGTACCATGATTACA[A/G]TTCGCTGAGATAGACCA"}
    written = shifted.prepare(row)["sequence"]
    with shifted.reading_other_strand():
        assert shifted.prepare(row)["sequence"] == reverse_complement_in_place(written) != written


def test_the_first_variant_of_the_prompt_is_read_in_whichever_column_it_is(make: Make):
    task = make("classification", "<SENTINEL_ID_0> {left:dna} {right:dna}", **DNA)
    prompt = task.render({"left": "ACGT", "right": "GG[A/G]CC"})
    encoding = task.tokenizer.encode(prompt)
    tokens = [task.tokenizer.token(int(i)) for i in encoding.ids_L[site_positions(prompt, encoding, task.dna)]]
    assert tokens == [*"GGGGGG", "[A/G]", *"CCCCCC"]


def test_rows_without_a_whole_variant_are_refused(task: Task, make: Make):
    with pytest.raises(DataError, match="no variant is written in place"):
        site(task, "ACGTACGT")
    short = make("classification", "<SENTINEL_ID_0> {sequence:dna@14}", **DNA)
    reader = RowReader(short, site=True)
    row = {"sequence": "ACGT" * 5 + "[A/G]" + "ACGT"}
    prompt = short.render(row)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        encoding = short.tokenizer.encode(prompt)
    with pytest.raises(DataError, match="truncation removed the variant"):
        reader.example(0, row, prompt, encoding)


def test_settings_that_do_not_fit_a_task_are_refused(task: Task, make: Make):
    molecules = make("classification", "<BBBP><SENTINEL_ID_0> {smiles:smiles}", **DNA)
    with pytest.raises(TaskError, match=r"reads none \(it reads smiles\).*adapt.site=auto"):
        RowReader(molecules, site=True)
    with pytest.raises(TaskError, match=r"variant is computed from DNA.*reads smiles"):
        RowReader(molecules, ["variant"])
    with pytest.raises(TaskError, match=r"morgan is computed from molecules.*\[variant\]"):
        RowReader(task, ["morgan"])
    with pytest.raises(TaskError, match="did you mean variant"):
        RowReader(task, ["variants"])


def test_rows_with_variants_are_counted_as_the_prompt_shows_them(task: Task, make: Make):
    rows = [{"sequence": text} for text in ("AC[A/G]T", "ACGT", "AC[-/T]T", "")]
    assert rows_with_variants(task, rows) == (2, 3), "the empty cell is no row that can be written"
    shown = make("classification", INPUT, **DNA, views={"sequence": ["reference"]})
    assert rows_with_variants(shown, rows) == (0, 3)


def test_the_feature_is_the_description_of_baselines_and_refuses_plain_dna():
    texts = ["AC[-/GG]GT", "ACGTTG[G/T:0.25]TACG"]
    found = np.stack([Variant().of(text) for text in texts])
    assert found.shape[1] == Variant().width and found.dtype == np.float32
    assert (found == dna_variant(LONGEST)(texts).toarray()).all()
    with pytest.raises(DataError, match="no variant"):
        Variant().of("ACGT")


def strands(rows: int = 30, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    return tuple(generator.normal(size=(rows, 4)).astype(np.float32) for _ in range(2))


def both_strands(classes: int = 2) -> Rows:
    one, other = strands()
    truth_N = np.tile((one[:, 0] > 0).astype(np.int64) if classes else one[:, 0].astype(np.float64), 2)
    return Rows(np.concatenate([one, other]), truth_N, row_N=np.tile(np.arange(len(one)), 2))


def test_both_strands_of_a_row_are_in_one_fold_and_so_is_a_row_that_is_its_reverse_complement():
    rows = both_strands()
    rows.z_NF[1], rows.z_NF[31] = rows.z_NF[30], rows.z_NF[0]  # row 1 is row 0 on the other strand
    for _, predict in folds_of(rows):
        assert len(predict) % 2 == 0 and set(predict % 30) == set(predict[predict < 30])
        assert (0 in predict) == (1 in predict)


@pytest.mark.parametrize("model", ["logistic", "ridge", "svm"])
def test_a_bootstrap_sample_has_both_strands_of_each_row(model: str, monkeypatch: pytest.MonkeyPatch):
    from mammal.tasks.probes import ensembles

    rows, taken = both_strands(0 if model == "ridge" else 2), []
    sample = ensembles._sample
    monkeypatch.setattr(ensembles, "_sample", lambda *given: taken.append(sample(*given)) or taken[-1])
    settings = {"cost": 1.0, "gamma": 0.5} if model == "svm" else {"penalty": 1.0}
    assert bagged(Candidate(model, settings), rows, 3).members == 3
    for picked in taken:
        assert len(picked) == 60
        counts = np.bincount(picked, minlength=60)
        assert (counts[:30] == counts[30:]).all() and counts.max() > 1


def test_rows_are_counted_and_chosen_on_the_strand_as_written():
    from mammal.tasks.metrics.registry import metric_named

    rows = both_strands()
    none = Rows(rows.z_NF[:0], rows.truth_N[:0])
    _, choice = chosen(candidates("linear", 60, 2), rows, none, ("auroc", metric_named("auroc")), classes=2)
    assert choice.rows == "folds" and choice.count == 30


@pytest.mark.parametrize("kind", ["linear", "svm"])
def test_probes_of_both_strands_know_their_support_points_and_are_stored(task: Task, kind: str):
    one, other = strands(30)
    width = RowReader(task, site=True).states * 4
    one, other = np.tile(one, width // 4), np.tile(other, width // 4)
    truth_N = (one[:, 0] > 0).astype(np.int64)
    truth_N[::7] = -1
    probes = TaskProbes(task, site=True)
    probes.fit(one, one[:0], {"y": ProbeTarget(truth_N, "auroc", 2)}, kind, other_NF=other)
    assert probes.strands == 2 and probes.choices["y"].count == 25
    state = probes.state()
    assert state["site"] is True and state["strands"] == 2
    again = TaskProbes.from_state(task, state, probes.arrays())
    assert again.reader.site and again.strands == 2 and again.summary() == probes.summary()
    assert "6 tokens on each side; fitted on both strands" in probes.summary()["y"]
    if kind == "svm":
        z_NF = probes._standard.apply(np.concatenate([one, other]))
        known = {tuple(row) for row in z_NF[np.tile(truth_N, 2) >= 0].tolist()}
        assert {tuple(row) for row in probes._points_PF.tolist()} <= known


def test_a_state_of_earlier_versions_reads_two_states_of_one_strand(task: Task):
    one, _ = strands(30)
    probes = TaskProbes(task)
    probes.fit(one, one[:0], {"y": ProbeTarget((one[:, 0] > 0).astype(np.int64), "auroc", 2)}, "linear")
    state = probes.state()
    assert set(state) == {"features", "clip", "columns"}, "as earlier versions wrote it"
    again = TaskProbes.from_state(task, state, probes.arrays())
    assert not again.reader.site and again.reader.states == 2 and again.strands == 1 and not again.reads_variants
    stored = [{name: array.tobytes() for name, array in one.arrays().items()} for one in (again, probes)]
    assert stored[0] == stored[1]


def test_a_kind_that_takes_fewer_vectors_counts_both_strands(task: Task, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("mammal.tasks.probes.target.SVM_ROWS", 50)
    one, other = strands(30)
    target = {"y": ProbeTarget((one[:, 0] > 0).astype(np.int64), "auroc", 2)}
    TaskProbes(task).fit(one, one[:0], target, "linear", other_NF=other)
    with pytest.raises(TaskError, match=r"30 labelled.*60 vectors.*takes 50.*adapt.strands=one.*data.limit=25"):
        TaskProbes(task).fit(one, one[:0], target, "svm", other_NF=other)
