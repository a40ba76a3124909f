"""Tasks of kind token_classification: alignment with the tokens, masks, cuts, answers, metrics and baselines."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from mammal.corpus.arrays import PackedRows, fields_of, pack_rows
from mammal.model.config import ModelConfig
from mammal.model.model import MammalModel
from mammal.tasks.baselines.fit import baselines, fit_baselines
from mammal.tasks.batches.batch import IGNORE, ModelOutput
from mammal.tasks.batches.token_batches import encode_rows
from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.kinds.token_classification import TokenClassificationTask
from mammal.tasks.metrics import class_metrics
from mammal.tasks.metrics.answers import Answers
from mammal.tasks.metrics.registry import METRICS
from mammal.tasks.prompts.labelled_sequence import labelled_units
from mammal.tasks.targets.labels import LabelSet
from mammal.tasks.targets.token_labels import TokenLabels
from mammal.tasks.task import Task
from mammal.tokenization.errors import MammalError, PromptError

Make = Callable[..., Task]
INPUT, TARGET = "<SECONDARY_STRUCTURE> {sequence:protein}", "{structure:labels}"
ROW = {"sequence": "MKVLA", "structure": "HHE.C"}


@pytest.fixture
def make_tokens(make: Make) -> Callable[..., TokenClassificationTask]:
    def made(input: str = INPUT, target: str = TARGET, **declared: object) -> TokenClassificationTask:
        how = {"mode": "encoder", "labels": ["H", "E", "C"], "standardise": "check", **declared}
        task = make("token_classification", input, target, **how)
        assert isinstance(task, TokenClassificationTask)
        return task

    return made


def read_tokens(task: TokenClassificationTask, row: dict[str, object]) -> list[str]:
    example = task.encode(row)
    assert example.read_R is not None
    return [task.tokenizer.token(i) for i in example.input.ids_L[example.read_R].tolist()]


# Cells


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("HEC", [0, 1, 2]),
        ("H.C-H E", [0, -1, 2, -1, 0, -1, 1]),
        ("H,E,,C", [0, 1, -1, 2]),
        ("H; E ;C", [0, 1, 2]),
        ("H E C", [0, 1, 2]),
        (["H", None, "C"], [0, -1, 2]),
        (np.array(["E", "E"], dtype=object), [1, 1]),
        ("HXC", [0, -1, 2]),
    ],
)
def test_a_cell_holds_a_label_for_each_token(cell: object, expected: list[int]):
    assert TokenLabels(LabelSet(["H", "E", "C"]), missing="X").read(cell, "y").tolist() == expected


def test_labels_of_several_characters_are_a_list():
    labels = TokenLabels(LabelSet(["helix", "strand"]))
    assert labels.read("helix strand - helix", "y").tolist() == [0, 1, -1, 0]
    assert labels.write(np.array([1, -1, 0])) == "strand . helix"


def test_a_label_that_means_missing_elsewhere_is_a_label_where_it_is_declared():
    assert TokenLabels(LabelSet(["-", "+"])).read("+-.", "y").tolist() == [1, 0, -1]


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("HQC", "column y: label 'Q' of token 2 is not one of the task's"),
        (None, "empty cell"),
        (110.0, "is not a text with a label for each token.*loses its first zeros"),
    ],
)
def test_cells_that_cannot_be_read_say_why(cell: object, message: str):
    with pytest.raises(DataError, match=message):
        TokenLabels(LabelSet(["H", "E", "C"])).read(cell, "y")


def test_atoms_of_a_smiles_are_those_it_writes_in_its_order():
    from rdkit import Chem

    smiles = "[13CH3][C@@H](Cl)c1ccccc1[nH]%10CCC%10.[Na+].*Br"
    tokens = [
        "[13CH3]",
        "[C@@H]",
        "(",
        "Cl",
        ")",
        *"c1ccccc1",
        "[nH]",
        "%10",
        *"CCC",
        "%10",
        ".",
        "[Na+]",
        ".",
        "*",
        "Br",
    ]
    assert "".join(tokens) == smiles
    atoms = list(labelled_units(tokens, atoms=True).values())
    molecule = Chem.MolFromSmiles(smiles, sanitize=False)
    assert len(atoms) == molecule.GetNumAtoms()
    assert [atom.strip("[]")[:2] for atom in atoms][3] == "c" and atoms[2] == "Cl" and atoms[-1] == "Br"
    assert labelled_units(["C", "[", "U", "+", "]", "=", "O"], atoms=True) == {0: "C", 1: "[U+]", 6: "O"}


# Alignment


def test_labels_belong_to_the_residues(make_tokens):
    task = make_tokens()
    example = task.encode(ROW, target=True)
    assert read_tokens(task, ROW) == list("MKVLA")
    assert example.labels_R is not None and example.labels_R.tolist() == [0, 0, 1, IGNORE, 2]
    assert str(task.render(ROW, target=True).target).endswith("<0><0><1><MASK><2><EOS>")
    assert task.wants == ("token_labels",) and task.head_widths == {"labels_t": 3}


def test_a_variant_in_place_is_one_base(make_tokens):
    task = make_tokens("{dna:dna}", "{y:labels}", labels=["0", "1"])
    row = {"dna": "AC[A/G]T", "y": "0110"}
    assert read_tokens(task, row) == ["A", "C", "[A/G]", "T"] and task.unit == "base"
    assert task.encode(row, target=True).labels_R.tolist() == [0, 1, 1, 0]


def test_atoms_have_labels_and_bonds_do_not(make_tokens):
    task = make_tokens("{smiles:smiles}", "{y:labels}", labels=["0", "1"])
    row = {"smiles": "OC(=O)c1cc[nH]c1Cl", "y": "010" + "0" * 5 + "1"}
    assert read_tokens(task, row) == ["O", "C", "O", "c", "c", "c", "[nH]", "c", "Cl"] and task.unit == "atom"
    assert task.encode(row, target=True).labels_R.tolist() == [0, 1, 0, 0, 0, 0, 0, 0, 1]
    with pytest.raises(DataError, match="column y: 8 labels for 9 atoms of column smiles"):
        task.encode({**row, "y": "0" * 8}, target=True)


@pytest.mark.parametrize("labelled", ["heavy", "antigen"])
def test_one_of_several_sequences_has_the_labels(make_tokens, labelled: str):
    prompt = '"Which residues touch?" {heavy:antibody_heavy} {antigen:antigen}'
    task = make_tokens(prompt, "{y:labels}", labels=["N", "P"], labels_of=labelled)
    row = {"heavy": "EVQL", "antigen": "MKV", "y": "NPNN"[: 4 if labelled == "heavy" else 3]}
    assert read_tokens(task, row) == list(row[labelled])
    assert len(task.encode(row, target=True).labels_R) == len(row[labelled])


def test_rows_whose_labels_do_not_fit_are_set_aside_with_a_reason(make_tokens):
    task = make_tokens()
    rows = [ROW, {**ROW, "structure": "HHHH"}, {**ROW, "structure": "....."}, {**ROW, "structure": ""}]
    examples, errors = encode_rows(task, rows, target=True)
    assert [example.row_id for example in examples] == [0]
    reasons = dict(errors)
    assert "4 labels for 5 residues of column sequence" in reasons[1] and "column structure" in reasons[1]
    assert "no residue has a label" in reasons[2] and reasons[3]
    examples, errors = encode_rows(task, rows)
    assert len(examples) == 4 and not errors  # labels are not read for predictions


def test_a_cut_sequence_keeps_the_labels_of_what_is_read(make_tokens):
    task = make_tokens("{sequence:protein@6}")  # three tags and three residues
    example = task.encode({"sequence": "MKVLAG", "structure": "HHECCC"}, target=True)
    assert example.is_cut and example.labels_R.tolist() == [0, 0, 1]
    with pytest.raises(DataError, match="no residue that the model reads has a label"):
        task.encode({"sequence": "MKVLAG", "structure": "...CCC"}, target=True)
    with pytest.raises(DataError, match="5 labels for 6 residues"):
        task.encode({"sequence": "MKVLAG", "structure": "HHECC"}, target=True)
    with pytest.raises(DataError, match="leave no residue of column sequence"):
        make_tokens("{sequence:protein@3}").encode({"sequence": "MKVLAG"})
    with pytest.raises(DataError, match="more tokens than its limit"):
        make_tokens("{sequence:protein@6}", too_long="refuse").encode({"sequence": "MKVLAG"})


# Declarations


@pytest.mark.parametrize(
    ("declared", "error", "message"),
    [
        ({"mode": "decoder"}, TaskError, "runs in mode encoder"),
        ({"labels": ["H"]}, TaskError, "at least two labels"),
        ({"labels": [str(i) for i in range(101)]}, TaskError, "101 labels.*100 at most"),
        ({"codes": ["1", "2", "3"]}, TaskError, "codes are for labels of rows"),
        ({"probability": "vocabulary"}, TaskError, "among the labels, not vocabulary"),
        ({"metrics": ["rmse"]}, TaskError, "does not apply to a token_classification task.*accuracy"),
        ({"labels_of": "sequenc"}, TaskError, "labels_of is 'sequenc'.*sequence"),
        ({"labels_at": []}, TaskError, "labels_at is empty.*name a residue"),
        ({"labels_at": ["ST"]}, TaskError, r"'ST', which is no residue.*\[S, T, Y\]"),
        ({"labels_at": ["_"]}, TaskError, "'_', which is no residue"),
        ({"labels_at": ["s"]}, TaskError, "'s', which is no residue.*'S', or"),
        ({"labels_at": ["<MASK>"]}, TaskError, "'<MASK>', which is no residue"),
        ({"input": "{s:smiles}", "labels_at": ["["]}, TaskError, "no atom"),
        ({"input": "{s:smiles}", "labels_at": ["="]}, TaskError, r"'=', which is no atom.*\[N, n"),
        ({"target": "{structure:label}"}, PromptError, "column 'structure' is 'label'.*structure:labels"),
        ({"target": "{a:labels}{b:labels}"}, PromptError, "labels of two columns"),
        ({"input": "{a:protein}{b:protein}"}, TaskError, "several sequences: a, b.*labels_of: a"),
        ({"input": "{a:scalar}"}, TaskError, "no protein, DNA or SMILES"),
        ({"input": "{s:smiles}", "standardise": "normalised"}, TaskError, "changes the order of the atoms.*check"),
        ({"input": "{s:smiles}", "views": {"s": ["random_smiles"]}}, TaskError, "can't have views"),
        ({"input": "{s:molecule}"}, TaskError, "can't have views"),
        ({"input": "{s:dna}", "data": {"window": 8}}, TaskError, "data.window cuts the sequence"),
        ({"input": "{sequence:protein}{structure:labels}"}, PromptError, "which the model must not read"),
    ],
)
def test_declarations_that_cannot_work_are_refused(make_tokens, declared: dict, error: type, message: str):
    with pytest.raises(error, match=message):
        make_tokens(**declared)


@pytest.mark.parametrize("kind", ["classification", "regression", "generation"])
def test_other_kinds_refuse_labels_of_tokens(make: Make, kind: str):
    with pytest.raises(PromptError, match=r"label for each token.*kind: token_classification"):
        make(kind, "<MASK>{sequence:protein}", TARGET, labels=["0", "1"])
    with pytest.raises(TaskError, match="labels_at is for kind token_classification"):
        make("regression", "<MASK>{sequence:protein}", "{y:scalar}", labels_at=["S"])
    with pytest.raises(TaskError, match="labels_of is for kind token_classification"):
        make("regression", "<MASK>{sequence:protein}", "{y:scalar}", labels_of="sequence")


# Model


@pytest.fixture
def model(tokenizer) -> MammalModel:
    torch.manual_seed(0)
    sizes = {"d_model": 32, "d_ff": 64, "d_kv": 16, "num_heads": 2, "num_layers": 1, "num_decoder_layers": 1}
    model = MammalModel(ModelConfig(tokenizer.vocab_rows, **sizes, dropout_rate=0.0)).eval()
    model.add_vector_heads({"labels_t": 3})
    return model


def test_answers_do_not_depend_on_the_batch(make_tokens, model):
    task = make_tokens()
    rows = [{"sequence": s} for s in ("MK", "MKVLAGHTW", "A", "GGGGGGGG")]
    examples = [task.encode(row, n) for n, row in enumerate(rows)]
    with torch.inference_mode():
        batch = task.collate(examples)
        together = task.decode(model(batch), batch)
        alone = [task.decode(model(task.collate([e])), task.collate([e]))[0] for e in examples]
    for row, one, other in zip(rows, together, alone, strict=True):
        assert one.label == other.label and len(str(one.label)) == len(row["sequence"])
        assert one.token_probabilities.shape == (len(row["sequence"]), 3)
        np.testing.assert_allclose(one.token_probabilities, other.token_probabilities, atol=1e-6)
        np.testing.assert_allclose(one.token_probabilities.sum(axis=1), 1, atol=1e-6)


def test_a_few_rows_can_be_learnt(make_tokens, model):
    task = make_tokens(metrics=["accuracy"])
    rows = [ROW, {"sequence": "AVKGGW", "structure": "CCHEEE"}, {"sequence": "WT", "structure": "HE"}]
    batch = task.collate([task.encode(row, n, target=True) for n, row in enumerate(rows)])
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    first = task.loss(model(batch), batch).item()
    for _ in range(40):
        loss = task.loss(model(batch), batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    model.forget_copies()
    with torch.inference_mode():
        said = task.decode(model(batch), batch)
    assert first > 0.5 and loss.item() < 0.05
    assert task.metrics(said, rows)["accuracy"] == 1


def test_the_loss_is_that_of_the_labelled_tokens(make_tokens):
    task = make_tokens(class_weights=[1, 2, 3])
    rows = [ROW, {"sequence": "MK", "structure": ".C"}]
    batch = task.collate([task.encode(row, target=True) for row in rows])
    logits = torch.randn(2, 5, 3, dtype=torch.float64)
    p = logits.softmax(-1)
    expected = -(p[0, 0, 0].log() + p[0, 1, 0].log() + 2 * p[0, 2, 1].log() + 3 * (p[0, 4, 2].log() + p[1, 1, 2].log()))
    assert task.loss(ModelOutput(logits), batch).item() == pytest.approx(expected.item() / 5, rel=1e-5)


def test_packed_rows_are_the_rows(make_tokens, tmp_path):
    task = make_tokens()
    examples = [task.encode(row, n, target=True) for n, row in enumerate([ROW, {"sequence": "MK", "structure": "HC"}])]
    for name, array in pack_rows([fields_of(example) for example in examples]).items():
        np.save(tmp_path / f"{name}.npy", array)
    packed = task.collate(list(PackedRows(tmp_path, np.arange(2), 2)))
    batch = task.collate(examples)
    assert torch.equal(packed.ids_BL, batch.ids_BL) and torch.equal(packed.read_DR, batch.read_DR)
    assert torch.equal(packed.labels_DR, batch.labels_DR) and packed.vectors == batch.vectors


# Fitting, metrics, baselines


def test_training_rows_need_two_classes(make_tokens):
    with pytest.raises(TaskError, match="residues of the training rows have only 'H'"):
        make_tokens().fit([{"sequence": "MK", "structure": "H."}])
    with pytest.raises(TaskError, match="1 labels for 2 residues"):
        make_tokens().fit([{"sequence": "MK", "structure": "H"}])


def test_balanced_weights_survive_storing(make_tokens):
    task = make_tokens(class_weights="balanced")
    task.fit([{"sequence": "MKVL", "structure": "HHHE"}, {"sequence": "MK", "structure": "C."}])
    again = make_tokens(class_weights="balanced")
    again.load_state(task.state())
    assert again.encode(ROW, target=True).label_weights_R.tolist() == pytest.approx([5 / 9, 5 / 9, 5 / 3, 1, 5 / 3])
    with pytest.raises(TaskError, match="stored labels"):
        make_tokens(labels=["E", "H", "C"]).load_state(task.state())


def test_metrics_pool_tokens_and_intervals_resample_rows(make_tokens):
    task = make_tokens(metrics=["accuracy", "f1", "auroc"])
    rows = [{"sequence": "MKVL", "structure": "HHE."}, {"sequence": "AVKGG", "structure": "CCCCC"}]
    right = task.answer(0, np.eye(3)[[0, 0, 1, 2]])
    wrong = task.answer(1, np.eye(3)[[0, 0, 0, 0]])  # cut: only four residues were read
    figures = task.metrics([right, wrong], rows)
    assert figures["accuracy"] == pytest.approx(3 / 7) and figures["labels_not_read"] == 1
    low, high = task.metric_intervals([right, wrong], rows, samples=100)["accuracy"]
    assert low == 0 and high == 1  # a sample can hold one row twice, and never a part of a row
    assert task.metrics([wrong], [{**rows[1], "structure": "CC"}]) == pytest.approx(
        {"accuracy": float("nan"), "f1": float("nan"), "auroc": float("nan")}, nan_ok=True
    )


@pytest.mark.parametrize("name", ["accuracy", "balanced_accuracy", "f1", "mcc", "auroc", "auprc"])
@pytest.mark.parametrize("classes", [2, 3])
def test_weighted_metrics_are_those_of_repeated_pairs(name: str, classes: int):
    rng = np.random.default_rng(3)
    probability_NC = rng.dirichlet(np.ones(classes), 200).round(1)  # with ties
    truth_N = rng.integers(classes, size=200)
    answers = Answers(truth_N, probability_NC.argmax(axis=1), probability_NC, by_token=True)
    weighted, plain = METRICS[name].weighted(answers), getattr(class_metrics, name)
    for times_N in (np.ones(200, dtype=int), rng.integers(4, size=200), (truth_N == 0).astype(int), np.zeros(200, int)):
        repeated = answers.take(np.repeat(np.arange(200), times_N))
        assert weighted(times_N) == pytest.approx(plain(repeated), nan_ok=True)


def test_labels_can_belong_to_some_residues_only(make_tokens):
    task = make_tokens(labels=["0", "1"], labels_at=["S", "Y"], metrics=["accuracy"])
    row = {"sequence": "MSYKSL", "structure": "10."}
    assert read_tokens(task, row) == ["S", "Y", "S"]
    assert task.encode(row, target=True).labels_R.tolist() == [1, 0, -100]
    assert task.answer(0, np.array([[0.2, 0.8], [0.9, 0.1], [0.4, 0.6]])).label == "101"
    with pytest.raises(DataError, match=r"6 labels for 3 S or Y of column sequence.*one for each S or Y"):
        task.classes({**row, "structure": "101010"})
    with pytest.raises(DataError, match="column sequence has no S or Y"):
        task.encode({"sequence": "MKL"})
    short = make_tokens("{sequence:protein@3}", labels=["0", "1"], labels_at=["S"])
    with pytest.raises(DataError, match=r"the limits of the prompt leave no S of column sequence.*max_len"):
        short.encode({"sequence": "MKLS"})


def test_labels_can_belong_to_some_atoms_only(make_tokens):
    task = make_tokens("{smiles:smiles}", "{y:labels}", labels=["0", "1"], labels_at=["n", "[nH]", "N"])
    assert read_tokens(task, {"smiles": "NCc1nc[nH]c1"}) == ["N", "n", "[nH]"]


def test_a_variant_is_one_base_also_if_its_alleles_are_long(make_tokens):
    task = make_tokens("{dna:dna}", "{y:labels}", labels=["0", "1"])
    row = {"dna": "AC[C/CT]C[C/G]", "y": "01.01"}
    assert task.symbols(row["dna"]) == ["A", "C", "[C/CT]", "C", "[C/G]"]
    example = task.encode(row, target=True)
    assert example.labels_R.tolist() == [0, 1, -100, 0, 1] and len(example.read_R) == 5
    sites = make_tokens("{dna:dna}", "{y:labels}", labels=["0", "1"], labels_at=["C"])
    assert read_tokens(sites, {"dna": row["dna"]}) == ["C", "C"]


def test_a_window_reads_residues_without_labels(make_tokens):
    task = make_tokens(labels=["0", "1"], labels_at=["X"], metrics=["accuracy"])
    pairs = [("AXK", "1"), ("WXK", "0"), ("AXXA", "10"), ("WXXW", "00")] * 10
    rows = [{"sequence": sequence, "structure": labels} for sequence, labels in pairs]
    said = baselines(task, rows, [{"sequence": "GAXXKWX", "structure": "100"}])
    assert said["linear_window"][0].label == "100"
    assert len(said["mean"][0].label) == 3


def test_accuracy_by_row_counts_short_rows_like_long_ones():
    truth_N, answer_N = np.array([1, 0, 0, 1, 1, 0]), np.array([1, 0, 0, 1, 0, 1])
    probability_NC, rows_N = np.eye(2)[answer_N], np.array([7, 7, 7, 7, 2, 3])
    answers = Answers(truth_N, answer_N, probability_NC, rows_N, by_token=True)
    metric = METRICS["row_accuracy"]
    assert metric.of(answers) == pytest.approx(1 / 3) and METRICS["accuracy"].of(answers) == pytest.approx(2 / 3)
    twice_N = np.array([2, 2, 2, 2, 1, 0])  # a bootstrap sample: row 7 twice, row 2 once, row 3 not
    assert metric.weighted(answers)(twice_N) == pytest.approx(2 / 3)
    assert np.isnan(metric.weighted(answers)(np.zeros(6, int)))
    of_rows = Answers(truth_N, answer_N, probability_NC)
    assert metric.of(of_rows) == metric.by_row(of_rows).mean() == pytest.approx(2 / 3)


def test_targets_of_many_labels_have_codes_of_one_width(make_tokens):
    task = make_tokens(labels=list("ABCDEFGHIJKL"), metrics=["accuracy"])
    row = {"sequence": "MKV", "structure": "BL."}
    assert task.prepare_target(row) == {"structure": "0111.."}
    assert task.classes(row).tolist() == [1, 11, -1]


def test_baselines_are_the_commonest_label_and_a_window(make_tokens):
    task = make_tokens(labels=["0", "1"], metrics=["accuracy"])
    rng = np.random.default_rng(0)

    def row() -> dict[str, str]:
        sequence = "".join(rng.choice(list("AKGW"), size=30))
        before = "A" + sequence[:-1]  # a residue after K is 1
        return {"sequence": sequence, "structure": "".join("1" if s == "K" else "0" for s in before)}

    train, test = [row() for _ in range(60)], [row() for _ in range(10)]
    bad = {"sequence": "M*", "structure": "00"}
    said = baselines(task, train, [*test, bad])
    assert set(said) == {"mean", "linear_window"}
    shares = {name: task.metrics(run, [*test, bad])["accuracy"] for name, run in said.items()}
    assert shares["linear_window"] > 0.99 and 0.6 < shares["mean"] < 0.9
    assert set(str(said["mean"][0].label)) == {"0"} and said["mean"][-1].error
    fitted = fit_baselines(task, train, test, valid=train[:3], seeds=(0, 1))
    assert len(fitted["mean"].test) == 2 and len(fitted["linear_window"].valid[0]) == 3
    with pytest.raises(MammalError):
        task.classes(bad)
