"""Metrics of generated text, molecules and sets of them agree with the tools that published figures come from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rdkit import Chem

from mammal.tasks.errors import DataError
from mammal.tasks.metrics.answers import Answers, object_array
from mammal.tasks.metrics.registry import METRICS, compute_metrics, intervals
from mammal.tasks.molecule_sets import chemnet
from mammal.tasks.molecule_sets.describe import describe_molecule, has_pains
from mammal.tasks.molecule_sets.judge import judge
from mammal.tasks.molecule_sets.novelty import known_molecules
from mammal.tasks.molecule_sets.similarity import cosine, internal_diversity, nearest_neighbour
from mammal.tasks.molecule_sets.summary import described, evenly_drawn, summarise, summary_of
from mammal.tasks.molecule_sets.typical import typical_ranges

DRUGS = [
    "CC(=O)Oc1ccccc1C(=O)O",
    "CN1C=NC2=C1C(=O)N(C(=O)N2C)C",
    "CC(C)Cc1ccc(cc1)C(C)C(=O)O",
    "CC(=O)Nc1ccc(O)cc1",
    "CCN(CC)CCOC(=O)c1ccc(N)cc1",
    "COc1ccc2cc(ccc2c1)C(C)C(=O)O",
    "Clc1ccc(cc1)C(c1ccccc1)N1CCNCC1",
    "CN(C)CCCN1c2ccccc2CCc2ccccc12",
    "O=C(NCc1ccccc1)c1ccncc1",
    "CCOC(=O)C1=C(C)NC(C)=C(C1c1ccccc1)C(=O)OCC",
    "Cc1ccc(cc1)S(=O)(=O)NC(=O)NN1CCCCC1",
    "CC(C)NCC(O)COc1cccc2ccccc12",
]
"""Molecules to compare with."""

MADE = [
    "CC(=O)Nc1ccc(OC)cc1",
    "OC(=O)C(C)c1ccc(CC(C)C)cc1",
    "CC(C)NCC(O)COc1cccc2ccccc12",
    "c1ccc2ccccc2c1CN1CCNCC1",
    "C1CC",
    "CCOC(=O)c1ccc(N)cc1",
    "CCN(CC)CCNC(=O)c1ccc(N)cc1",
    "CC(C)NCC(O)COc1cccc2ccccc12",
    "N(C)(C)(C)C",
    "O=C(Nc1ccccc1)c1ccc(Cl)cc1",
    "Cn1c(=O)c2[nH]cnc2n(C)c1=O",
    "C[C@H](N)Cc1ccccc1",
]
"""Molecules that a model might make: two are none, one comes twice, two are among `DRUGS`."""

MOLSETS = {
    "validity": 0.8333333333333334,
    "novelty": 0.7777777777777778,
    "intdiv_1": 0.7422387862205505,
    "intdiv_2": 0.620695708733934,
    "fcd/drugs": 27.546511499999752,
    "snn/drugs": 0.620158925652504,
    "frag/drugs": 0.8320941962133175,
    "scaf/drugs": 0.5976143046671968,
    "w1_logp/drugs": 0.2818450000000005,
    "w1_sa/drugs": 0.17889387670701207,
    "w1_qed/drugs": 0.04584559309956232,
    "w1_mw/drugs": 32.25691666666667,
}
"""What the package `molsets` 0.3.1 says of `MADE` beside `DRUGS` (`fcd_torch` 1.0.7 for the Fréchet distance)."""

CAPTIONS = Answers(
    object_array(
        ["The molecule is a primary alcohol and a human metabolite.", "It is a monocarboxylic acid, not a salt."]
    ),
    object_array(["The molecule is a secondary alcohol and a metabolite.", "It is a dicarboxylic acid."]),
)


def texts(truths: list[str], answers: list[str], **more: object) -> Answers:
    return Answers(object_array(truths), object_array(answers), **more)  # type: ignore[arg-type]


def test_figures_are_those_of_molsets():
    pytest.importorskip("fcd")
    molecules = described(MADE)
    known = known_molecules({one.canonical for one in molecules if one is not None}, [DRUGS])
    found = judge(molecules, {"drugs": summary_of(DRUGS)}, known)
    assert {name: found.figures[name] for name in MOLSETS} == pytest.approx(MOLSETS, rel=1e-5)
    assert found.figures["uniqueness"] == 0.9 and "unique@1000" not in found.figures, "fewer than 1,000 valid ones"
    assert [one is None for one in molecules] == [text in ("C1CC", "N(C)(C)(C)C") for text in MADE]
    assert known.molecules == {
        "CC(C)NCC(O)COc1cccc2ccccc12",
        "CC(C)Cc1ccc(C(C)C(=O)O)cc1",
    }


def test_smiles_too_long_for_chemnet_are_left_out_of_its_distance_and_counted(caplog: pytest.LogCaptureFixture):
    """fcd 1.2.2 pads to 350 characters; a longer SMILES would pad all others, and change their activations."""
    pytest.importorskip("fcd")
    long, longest = "C" * 400, "C" * 349
    made = judge(described([*MADE, long]), {"drugs": summary_of([*DRUGS, long, "C" * 350])}).figures
    assert made["fcd/drugs"] == pytest.approx(MOLSETS["fcd/drugs"], rel=1e-5)
    assert (made["fcd_too_long"], made["fcd_too_long/drugs"]) == (1, 2)
    assert not [name for name in judge(described(MADE), {"drugs": summary_of(DRUGS)}).figures if "too_long" in name]
    assert chemnet.count_too_long([longest, longest + "C"]) == 1
    without = METRICS["fcd"].of(texts(DRUGS, MADE))
    assert METRICS["fcd"].of(texts([*DRUGS, long], [*MADE, long])) == pytest.approx(without, rel=1e-6)
    assert "leaves out 1 SMILES of more than 349 characters" in caplog.text


def test_a_set_beside_itself_is_perfect_and_nothing_is_undefined_quietly():
    reference = summary_of(DRUGS, with_chemnet=False)
    whole = known_molecules({one.canonical for one in described(DRUGS) if one is not None}, [DRUGS])
    same = judge(described(DRUGS), {"self": reference}, whole).figures
    assert {name: same[f"{name}/self"] for name in ("snn", "frag", "scaf")} == pytest.approx(
        dict.fromkeys(("snn", "frag", "scaf"), 1.0)
    )
    assert same["novelty"] == 0 and same["w1_mw/self"] == 0 and "fcd/self" not in same
    none = judge(described(["C1CC", ""]), {"drugs": reference}, whole).figures
    assert none.pop("validity") == 0 and all(np.isnan(value) for value in none.values())


def test_size_and_accessibility_stand_by_validity():
    """Methane and a chain of forty carbons are valid; neither is like a drug."""
    training = summarise(described(DRUGS), with_chemnet=False)
    ranges = typical_ranges(training)
    sizes = training.properties["heavy_atoms"]
    assert ranges["heavy_atoms"] == (sizes.min(), sizes.max()), "of few molecules, all are typical"
    made = judge(described(["C", "C" * 40, DRUGS[0], DRUGS[1], "C1CC"]), {}, ranges=ranges).figures
    assert made["validity"] == 0.8 and made["in_range"] == 0.5 and made["in_range_heavy_atoms"] == 0.5
    assert list(made)[:2] == ["validity", "median_heavy_atoms"] and made["median_mw"] > 100
    assert 1 <= made["median_sa"] <= 10
    many = summarise(described(["CCCCCCCC"] * 600 + ["C", "C" * 60]), with_chemnet=False)
    assert typical_ranges(many)["heavy_atoms"] == (8, 8), "the ends of a large set do not count"
    alone = judge(described(DRUGS), {}).figures
    assert "median_sa" in alone and "in_range" not in alone, "no training set, no range"
    assert typical_ranges(None) == {}


def test_summaries_are_kept_and_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    first = summary_of(DRUGS, with_chemnet=False, cache=tmp_path)
    (file,) = tmp_path.iterdir()
    monkeypatch.setattr("mammal.tasks.molecule_sets.summary.describe_molecule", lambda smiles: pytest.fail("was kept"))
    again = summary_of(DRUGS, with_chemnet=False, cache=tmp_path)
    assert again.scaffolds == first.scaffolds and again.fragments == first.fragments and again.read == len(DRUGS)
    assert (
        np.array_equal(again.bits_NB, first.bits_NB)
        and again.properties["qed"].tolist() == first.properties["qed"].tolist()
    )
    monkeypatch.undo()
    file.write_bytes(file.read_bytes()[:100])
    assert len(summary_of(DRUGS, with_chemnet=False, cache=tmp_path)) == len(DRUGS), "a damaged file is made again"
    summary_of(DRUGS[:5], with_chemnet=False, cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 2, "other molecules are another set"


def test_training_sets_are_compared_in_canonical_form():
    asked = {"CC(=O)Oc1ccccc1C(=O)O", "CCO"}
    written_otherwise = known_molecules(asked, [["OC(=O)c1ccccc1OC(C)=O", "CCC"], ["OCC"]])
    assert written_otherwise.molecules == asked and not written_otherwise.as_written and written_otherwise.rows == 3
    canonical = known_molecules(asked, [["CCO", "CCC"], ["CCN"]])
    assert canonical.molecules == {"CCO"} and canonical.as_written


def test_blocks_of_similarities_add_up(monkeypatch: pytest.MonkeyPatch):
    bits = summary_of(DRUGS, with_chemnet=False).bits_NB
    whole = (nearest_neighbour(bits[:7], bits[7:]), internal_diversity(bits))
    monkeypatch.setattr("mammal.tasks.molecule_sets.similarity.BLOCK", 3)
    assert nearest_neighbour(bits[:7], bits[7:]) == pytest.approx(whole[0])
    assert internal_diversity(bits) == pytest.approx(whole[1])
    from rdkit.Chem import MolFromSmiles, rdFingerprintGenerator
    from rdkit.DataStructs import BulkTanimotoSimilarity

    prints = [
        rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=1024).GetFingerprint(MolFromSmiles(s)) for s in DRUGS
    ]
    assert whole[0] == pytest.approx(np.mean([max(BulkTanimotoSimilarity(one, prints[7:])) for one in prints[:7]]))


def test_a_molecule_is_described_as_the_papers_have_it():
    ibuprofen, biphenyl = describe_molecule("CC(C)Cc1ccc(cc1)C(C)C(=O)O"), describe_molecule("c1ccc(-c2ccccc2)cc1C")
    assert ibuprofen is not None and ibuprofen.scaffold is None, "one ring is no scaffold"
    assert biphenyl is not None and biphenyl.scaffold == "c1ccc(-c2ccccc2)cc1"
    assert ibuprofen.canonical == "CC(C)Cc1ccc(C(C)C(=O)O)cc1"
    assert sorted(ibuprofen.fragments) == ["[16*]c1ccc([16*])cc1", "[8*]C(C)C(=O)O", "[8*]CC(C)C"]
    assert describe_molecule("") is None and describe_molecule("C1CC") is None
    assert has_pains("O=C1C=CC(=O)C=C1") and not has_pains("CC(=O)Oc1ccccc1C(=O)O"), "quinones interfere"
    odd = "Cn1ccc(=O)c14c(c2cc(C(=O)NCCc3ccco3)c(O)c1=[Al-]2CC2=NC1=NC=CCC21CC1C1CC1C1CC12CC32C1C32CC14OC2)=N"
    written = describe_molecule(odd).canonical
    assert Chem.MolFromSmiles(written) is None, "RDKit refuses what it wrote itself"
    assert not has_pains(written)


def test_fewer_are_drawn_evenly_and_by_seed():
    every = [str(number) for number in range(1000)]
    some = evenly_drawn(every, 100, seed=1)
    assert len(set(some)) == 100 and some == sorted(some, key=int) and some == evenly_drawn(every, 100, seed=1)
    assert evenly_drawn(every, None) == every == evenly_drawn(every, 5000)


def test_missing_fcd_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    chemnet._chemnet.cache_clear()
    with pytest.raises(DataError, match=r"mammal\[generation\]"):
        chemnet.moments(["CCO", "CCN"])
    assert np.isnan(METRICS["fcd"].of(texts(DRUGS, DRUGS)))


def test_bleu_is_that_of_nltk_over_the_same_words():
    pytest.importorskip("sacrebleu")
    said = [METRICS[name].of(CAPTIONS) for name in ("bleu_2", "bleu_4")]
    assert said == pytest.approx([0.5173303724502313, 0.2628725038569865]), "corpus_bleu of nltk 3.10.4"
    molecules = texts(["CC(=O)Nc1ccc(O)cc1", "CCBr"], ["CC(=O)Nc1ccc(OC)cc1", "CCCl"])
    assert METRICS["char_bleu"].of(molecules) == pytest.approx(0.7778746819482246)


def test_rouge_and_edit_distance_of_captions_counted_by_hand():
    pytest.importorskip("rouge_score")
    pytest.importorskip("rapidfuzz")
    one = texts(["a primary alcohol and a metabolite"], ["a metabolite and an alcohol"])
    assert METRICS["rouge_1"].of(one) == pytest.approx(2 * 4 / (6 + 5)), "a, metabolite, and, alcohol"
    assert METRICS["rouge_2"].of(one) == pytest.approx(2 * 1 / (5 + 4)), "a metabolite"
    assert METRICS["rouge_l"].of(one) == pytest.approx(2 * 2 / (6 + 5)), "a … alcohol"
    edits = texts(["CCO", "CCN"], ["CCO", "CCCC"])
    assert METRICS["edit_distance"].of(edits) == 1.0 and METRICS["levenshtein"].of(edits) == 0.25


def test_bleu_has_bootstrap_intervals_from_counts_alone():
    pytest.importorskip("sacrebleu")
    low, high = intervals(["bleu_2"], {"text": CAPTIONS}, samples=50)["bleu_2"]
    alone = [METRICS["bleu_2"].of(CAPTIONS.take(np.array([row, row]))) for row in (0, 1)]
    assert low == pytest.approx(min(alone)) and high == pytest.approx(max(alone)), "draws of one row twice"


def test_conditions_are_judged_by_what_the_molecule_has():
    from mammal.tasks.molecules.properties import compute

    asked = {"logp": np.array([1.0, 2.0, 3.0, np.nan]), "mw": np.array([50.0, 50.0, 50.0, 50.0])}
    answers = texts(["C"] * 4, ["CCO", "CCCCCC", "C1CC", "CCN"], conditions=asked)
    found = compute_metrics(["condition_mae", "condition_mae_shuffled"], {"smiles": answers})
    errors = [abs(1.0 - compute("CCO", "logp")), abs(2.0 - compute("CCCCCC", "logp"))]
    assert found["condition_mae/logp"] == pytest.approx(np.mean(errors)), "of valid ones that were asked for it"
    weights = [abs(50 - compute(smiles, "mw")) for smiles in ("CCO", "CCCCCC", "CCN")]
    assert found["condition_mae/mw"] == pytest.approx(np.mean(weights))
    assert found["condition_mae"] == pytest.approx(np.mean(errors) / np.std([1.0, 2.0, 3.0])), "mw does not vary"
    assert set(intervals(["condition_mae"], {"smiles": answers}, samples=20)) == {
        "condition_mae",
        "condition_mae/logp",
        "condition_mae/mw",
    }
    assert np.isnan(compute_metrics(["condition_mae"], {"smiles": texts(["C"], ["C"])})["condition_mae"]), (
        "nothing was asked"
    )


def test_sets_of_answers_are_judged_beside_all_truths():
    answers = texts(DRUGS, MADE)
    found = compute_metrics(["snn", "frag", "scaf", "intdiv"], {"smiles": answers})
    assert [found[name] for name in ("snn", "frag", "scaf", "intdiv")] == pytest.approx(
        [MOLSETS[f"{name}/drugs"] for name in ("snn", "frag", "scaf")] + [MOLSETS["intdiv_1"]], rel=1e-5
    )
    assert cosine(summary_of([]).scaffolds, summary_of(DRUGS, with_chemnet=False).scaffolds) != 0, "undefined, not 0"
