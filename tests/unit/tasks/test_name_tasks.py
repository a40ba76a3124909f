"""Tasks between names and structures: their rows, their split, texts that are too long, and their metrics."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from mammal.tasks.baselines.fit import baselines
from mammal.tasks.batches.prediction import Prediction
from mammal.tasks.batches.token_batches import encode_rows
from mammal.tasks.data import load_data
from mammal.tasks.declaration.data_config import DataConfig
from mammal.tasks.declaration.registry import load_task
from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.kinds.build import build_task
from mammal.tasks.metrics import name_metrics
from mammal.tasks.metrics.answers import Answers, object_array
from mammal.tasks.metrics.registry import METRICS, compute_metrics, intervals
from mammal.tasks.molecules.chemistry import flat_or_none
from mammal.tasks.names import opsin
from mammal.tasks.sources import chemicals
from mammal.tasks.splits import split_frame
from mammal.tasks.task import Task
from mammal.tokenization import Tokenizer

Make = Callable[..., Task]
ALANINES = [("L-alanine", "C[C@H](N)C(=O)O"), ("D-alanine", "C[C@@H](N)C(=O)O"), ("alanine", "OC(=O)C(N)C")]


@pytest.fixture
def needs_opsin() -> None:
    if (why := opsin.why_missing()) is not None:
        pytest.skip(str(why))


def texts(truth: list[str], said: list[str], **more: list) -> Answers:
    return Answers(object_array(truth), object_array(said), **{name: object_array(v) for name, v in more.items()})


# Rows and split


def test_names_and_structures_count_once(monkeypatch: pytest.MonkeyPatch):
    rows = [("CCO", "ethanol"), ("CCO", "ethyl hydrate"), ("C.C", "methane"), ("C", "methane"), ("N", "")]
    table = pd.DataFrame([(s, n, "", "") for s, n in rows], columns=["smiles", "iupac", "name", "cas"])
    monkeypatch.setattr(chemicals, "_identifiers", lambda: table)
    found = chemicals.load(DataConfig(source="chemicals", name="names"), None)
    assert found[["smiles", "iupac"]].to_numpy().tolist() == [["CCO", "ethanol"], ["C.C", "methane"]]


def test_stereo_and_isotopes_do_not_tell_molecules_apart():
    assert len({flat_or_none(smiles) for _, smiles in ALANINES}) == 1
    assert flat_or_none("[2H]C([2H])([2H])O") == flat_or_none("[13CH3]O") == flat_or_none("OC") == "CO"
    assert flat_or_none("C/C=C/C") == flat_or_none("CC=CC") and flat_or_none("C(") is None


def test_a_molecule_split_keeps_stereoisomers_together_and_leaves_out_what_is_none():
    chains = [(f"n{i}", "C" * i) for i in range(1, 148)]
    rows = [*ALANINES, *chains, ("broken", "C("), ("empty", "")]
    frame = pd.DataFrame(rows, columns=["iupac", "smiles"])
    homes = set()
    for seed in range(8):
        data = DataConfig(split="molecule", split_seed=seed, fractions=[0.5, 0.25, 0.25])
        split = split_frame(frame, data, ["smiles"], molecules=["smiles"])
        parts = {row: part for part, numbers in split.parts.items() for row in numbers.tolist()}
        assert len({parts[row] for row in range(3)}) == 1
        homes.add(parts[0])
        assert sorted(parts) == list(range(150))
        left_out = [(row, reason[:14]) for row, reason in split.left_out]
        assert left_out == [(150, "invalid SMILES"), (151, "column 'smiles")]
    assert len(homes) > 1, "it is drawn"


@pytest.mark.parametrize("name", ["iupac_to_smiles", "smiles_to_iupac"])
def test_no_molecule_of_test_is_one_of_train_on_either_side(name: str, tmp_path, caplog: pytest.LogCaptureFixture):
    pairs = [(f"{a}-{b}ol", "C" * a + "(O)" + "N" * b) for a in range(1, 13) for b in (1, 2)]
    doubled = [*pairs, *((f"other name of {name}", smiles) for name, smiles in pairs)]
    pd.DataFrame(doubled, columns=["iupac", "smiles"]).to_csv(tmp_path / "pairs.csv", index=False)
    data = {"source": "file", "path": str(tmp_path / "pairs.csv"), "name": None}
    declared = load_task(name, {"data": data})
    assert declared.data.split == "molecule"
    assert set(load_data(declared).leakage.values()) == {0}
    with caplog.at_level("WARNING"):
        leaky = load_data(load_task(name, {"data": {**data, "split": "random"}})).leakage
    assert leaky["test/smiles" if name == "iupac_to_smiles" else "test"] > 0
    assert "molecule of train" in caplog.text or "inputs of a training row" in caplog.text


def test_made_pairs_that_were_not_verified_are_in_no_part(tmp_path):
    pairs = [(f"{n}-ane", "C" * n, "exact") for n in range(1, 31)] + [("strange", None, "unread")]
    table = pd.DataFrame(pairs, columns=["iupac", "smiles_by_name", "outcome"])
    table.to_parquet(tmp_path / "pairs.parquet")
    data = {"source": "file", "path": str(tmp_path / "pairs.parquet"), "name": None}
    found = load_data(load_task("iupac_to_smiles", {"data": {**data, "columns": {"smiles": "smiles_by_name"}}}))
    assert found.split.left_out == [(30, "column 'smiles' is empty")]
    assert sorted(row["smiles"] for part in found.split.parts for row in found.rows(part))[-1] == "C" * 30


# What is too long


def test_a_name_longer_than_its_limit_sets_the_row_aside_in_place_of_being_cut(make: Make):
    declared = {"metrics": ["exact_match"], "too_long": "refuse"}
    task = make("generation", "{iupac:iupac@24}", "<SENTINEL_ID_0> {smiles:smiles@24}", **declared)
    rows = [
        {"iupac": "ethanol", "smiles": "CCO"},
        {"iupac": "1-(2-3-4-5-6-7-8-9-1-2-3-4-5)", "smiles": "CCO"},
        {"iupac": "hexatriacontane", "smiles": "C" * 36},
    ]
    examples, errors = encode_rows(task, rows, target=True)
    assert [example.row_id for example in examples] == [0]
    assert ["input" in errors[0][1], "target" in errors[1][1]] == [True, True]
    assert [row for row, _ in encode_rows(task, rows)[1]] == [1], "a prediction reads no target"
    cut = make("generation", "{iupac:iupac@24}", "<SENTINEL_ID_0> {smiles:smiles@24}", metrics=["exact_match"])
    assert len(encode_rows(cut, rows, target=True)[0]) == 3
    whole = make("generation", "{iupac:iupac}", "{smiles:smiles}", max_len={"input": 12}, **declared)
    assert [row for row, _ in encode_rows(whole, rows)[1]] == [1]


def test_what_is_done_with_long_texts_is_one_of_two_words(make: Make):
    with pytest.raises(TaskError, match="too_long"):
        make("generation", "{s:smiles}", "{t:smiles}", too_long="refused")


def test_made_pairs_keep_the_order_of_atoms_that_the_name_has(tokenizer: Tokenizer):
    row = {"iupac": "propan-2-ol", "smiles_by_name": "CC(C)O"}
    task = build_task(load_task("iupac_to_smiles"), tokenizer)
    assert task.prepare({"iupac": "ethanol", "smiles": "OCC"}, target=True)["smiles"] == "CCO"
    changes = {"data": {"columns": {"smiles": "smiles_by_name"}}, "standardise": "check"}
    by_name = build_task(load_task("iupac_to_smiles", changes), tokenizer)
    assert by_name.prepare(row | {"smiles_by_name": "C(C)(O)C"}, target=True)["smiles"] == "C(C)(O)C"
    with pytest.raises(DataError, match="invalid SMILES"):
        by_name.prepare(row | {"smiles_by_name": "C("}, target=True)


# Metrics


def test_similarity_is_that_of_fingerprints_and_nonsense_counts_nothing():
    answers = texts(["CCO", "c1ccccc1O", "CCN"], ["OCC", "c1ccccc1N", "CC("])
    for name in ("morgan_similarity", "maccs_similarity"):
        same, alike, broken = METRICS[name].by_row(answers)
        assert same == 1 and 0 < alike < 1 and broken == 0
    from rdkit import Chem
    from rdkit.Chem import AllChem, MACCSkeys
    from rdkit.DataStructs import TanimotoSimilarity

    phenol, aniline = (Chem.MolFromSmiles(smiles) for smiles in ("c1ccccc1O", "c1ccccc1N"))
    expected = TanimotoSimilarity(MACCSkeys.GenMACCSKeys(phenol), MACCSkeys.GenMACCSKeys(aniline))
    assert METRICS["maccs_similarity"].by_row(answers)[1] == expected
    morgan = AllChem.GetMorganGenerator(radius=2, fpSize=2048)
    expected = TanimotoSimilarity(morgan.GetFingerprint(phenol), morgan.GetFingerprint(aniline))
    assert METRICS["morgan_similarity"].by_row(answers)[1] == expected


def test_the_five_best_answers_are_looked_at_where_there_are_several(tokenizer: Tokenizer):
    task = build_task(load_task("iupac_to_smiles"), tokenizer)
    rows = [{"iupac": "ethanol", "smiles": "CCO"}] * 2
    late = Prediction(0, text="C", runners_up=tuple(Prediction(0, text=text) for text in ("N", "O", "F", "OCC", "CCO")))
    later = Prediction(1, text="C", runners_up=tuple(Prediction(0, text=text) for text in ("N", "O", "F", "S", "CCO")))
    found = task.metrics([late, later], rows)
    assert found["top5_molecule_match"] == 0.5 and found["molecule_match"] == 0
    alone = task.metrics([replace_runners(late)], rows[:1])
    assert np.isnan(alone["top5_molecule_match"])


def replace_runners(prediction: Prediction) -> Prediction:
    return Prediction(prediction.row_id, text=prediction.text)


def test_metrics_of_five_answers_need_five_beams(tokenizer: Tokenizer):
    with pytest.raises(TaskError, match=r"look at 5 answers, and generation\.num_beams is 1"):
        build_task(load_task("iupac_to_smiles", {"generation": {"num_beams": 1}}), tokenizer)


def test_rows_are_judged_once_and_drawn_a_thousand_times(monkeypatch: pytest.MonkeyPatch):
    calls = []

    def structures(names):
        calls.append(list(names))
        return {name: {"ethanol": "CCO", "ethyl alcohol": "CCO"}.get(name) for name in calls[-1]}

    monkeypatch.setattr(name_metrics, "structures", structures)
    answers = {"iupac": texts(["ethanol"] * 40, ["ethyl alcohol", "glibberish"] * 20, asked_N=["OCC"] * 40)}
    assert compute_metrics(["opsin_match", "opsin_validity"], answers) == {"opsin_match": 0.5, "opsin_validity": 0.5}
    low, high = intervals(["opsin_match"], answers, samples=1000)["opsin_match"]
    assert len(calls) == 4, "for each metric once, and twice for an interval"
    binomial = 1.96 * np.sqrt(0.25 / 40)
    assert (0.5 - low, high - 0.5) == pytest.approx((binomial, binomial), abs=0.03)


def test_rows_that_cannot_be_judged_are_left_out_of_mean_and_draws(monkeypatch: pytest.MonkeyPatch):
    read = {"ethanol": "CCO", "odd name": None, "methanol": "CO"}
    monkeypatch.setattr(name_metrics, "structures", lambda names: {name: read[name] for name in names})
    answers = {"iupac": texts(["ethanol", "odd name"], ["methanol", "methanol"])}
    assert METRICS["opsin_match"].by_row(answers["iupac"]).tolist()[0] == 0
    assert compute_metrics(["opsin_match"], answers) == {"opsin_match": 0.0}, "OPSIN can't read the second truth"
    assert intervals(["opsin_match"], answers, samples=20)["opsin_match"] == (0, 0)


def test_without_java_names_are_not_judged_and_the_log_says_why(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(opsin, "why_missing", lambda: DataError("reading names needs Java", hint="install it"))
    name_metrics._tell_once.cache_clear()
    answers = {"iupac": texts(["a name without Java"], ["another without Java"])}
    with caplog.at_level("WARNING"):
        found = compute_metrics(["opsin_match", "opsin_validity"], answers)
    assert np.isnan(list(found.values())).all()
    assert [record.getMessage() for record in caplog.records] == [
        "metrics that read names are undefined: reading names needs Java (install it)"
    ]


def test_names_are_read_back_by_opsin(needs_opsin: None, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch):
    from mammal.tasks.names import structures

    starts = []
    inner = structures.read_structures
    monkeypatch.setattr(structures, "read_structures", lambda names: starts.append(len(names)) or inner(names))
    monkeypatch.setattr(name_metrics, "_kept", {})
    task = build_task(load_task("smiles_to_iupac"), tokenizer)
    rows = [
        {"smiles": "OC(C)C", "iupac": "propan-2-ol"},
        {"smiles": "CCO", "iupac": "ethanol"},
        {"smiles": "C", "iupac": "methane"},
    ]
    said = [Prediction(0, text="2-hydroxypropane"), Prediction(1, text="methanol"), Prediction(2, text="mothane")]
    found = task.metrics(said, rows)
    assert found["exact_match"] == 0
    assert found["opsin_match"] == pytest.approx(1 / 3) and found["opsin_validity"] == pytest.approx(2 / 3)
    task.metric_intervals(said, rows, samples=10)
    assert starts == [3], "OPSIN is asked for each name once"


# The answer of the nearest training row


def test_the_nearest_training_row_answers_for_molecules_and_for_names(tokenizer: Tokenizer):
    train = [
        {"iupac": "ethanol", "smiles": "CCO"},
        {"iupac": "ethyl hydrate", "smiles": "OCC"},
        {"iupac": "phenol", "smiles": "Oc1ccccc1"},
        {"iupac": "", "smiles": "Cc1ccccc1"},
        {"iupac": "broken", "smiles": "C("},
    ]
    test = [{"smiles": "Nc1ccccc1", "iupac": "aniline"}, {"smiles": "CCCO", "iupac": "propan-1-ol"}, {"smiles": "X"}]
    naming = build_task(load_task("smiles_to_iupac"), tokenizer)
    phenol, ethanol, refused = baselines(naming, train, test)["nearest"]
    assert phenol.text == "phenol" and ethanol.text == "ethanol", "of two that are level the earlier"
    assert [said.text for said in ethanol.runners_up] == ["ethyl hydrate", "phenol"]
    assert "invalid SMILES" in str(refused.error)
    reading = build_task(load_task("iupac_to_smiles"), tokenizer)
    (said,) = baselines(reading, train, [{"iupac": "methyl hydrate"}])["nearest"]
    assert said.text == "CCO" and said.runners_up[0].text != "CCO", "equal answers count once"
    assert naming.metrics([phenol], [{"smiles": "Oc1ccccc1", "iupac": "phenol"}])["top5_exact_match"] == 1


def test_what_is_sampled_or_has_several_columns_has_no_nearest_row(tokenizer: Tokenizer, make: Make):
    sampled = build_task(load_task("molecules"), tokenizer)
    assert baselines(sampled, [{"smiles": "C"}], [{"smiles": "C"}]) == {}
    pair = make("generation", "{a:smiles} {b:smiles}", "{y:smiles}", metrics=["exact_match"])
    assert baselines(pair, [{"a": "C", "b": "C", "y": "C"}], [{"a": "C", "b": "C", "y": "C"}]) == {}
    assert baselines(make("generation", "{a:smiles}", "{y:smiles}", metrics=["exact_match"]), [], [{"a": "C"}]) == {}
