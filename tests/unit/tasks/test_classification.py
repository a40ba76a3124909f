from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from mammal.tasks.batches.batch import Batch, ModelOutput
from mammal.tasks.batches.prediction import Prediction
from mammal.tasks.errors import DataError, TaskError
from mammal.tasks.kinds.generation import fills_in, generation_task
from mammal.tasks.task import Task
from mammal.tokenization.errors import PromptError

INPUT, TARGET = "<SENTINEL_ID_0> {smiles:smiles}", "<SENTINEL_ID_0> {y:label}"
TWO_INPUT = "<SENTINEL_ID_0><SENTINEL_ID_1> {smiles:smiles}"
TWO_TARGET = "<SENTINEL_ID_0> {a:label} <SENTINEL_ID_1> {b:label}"
Make = Callable[..., Task]


@pytest.fixture
def binary(make: Make) -> Task:
    return make("classification", INPUT, TARGET, labels=["no", "yes"], metrics=["auroc", "accuracy"])


def batch_of(task: Task, rows: list[dict], target: bool = False, judged: bool = False) -> Batch:
    return task.collate([task.encode(row, i, target=target, judged=judged) for i, row in enumerate(rows)])


def test_a_class_is_read_with_one_decoder_step(binary: Task):
    batch = batch_of(binary, [{"smiles": "OCC", "y": "yes"}, {"smiles": "C", "y": "no"}], target=True)
    specials = binary.tokenizer.specials
    assert batch.decoder_ids_DT.tolist() == [[specials["<DECODER_START>"], specials["<SENTINEL_ID_0>"]]] * 2
    assert batch.read_DR.tolist() == [[1], [1]]
    assert batch.labels_DR.tolist() == [[specials["<1>"]], [specials["<0>"]]]
    assert batch.candidates_V.tolist() == [specials["<0>"], specials["<1>"]]
    assert batch.mode == "decoder" and batch.wants == ("logits",) and batch.task == "t"


def test_molecules_are_standardised_in_the_prompt(binary: Task):
    assert "CCO" in binary.render({"smiles": "OCC"}).input


def test_probabilities_and_labels_in_the_files_spelling(binary: Task):
    batch = batch_of(binary, [{"smiles": "C"}, {"smiles": "N"}])
    first, second = binary.decode(ModelOutput(logits_DRV=torch.tensor([[[0.0, 2.0]], [[1.0, 0.0]]])), batch)
    assert first.label == "yes" and first.probability == pytest.approx(1 / (1 + np.exp(-2))) and first.row_id == 0
    assert second.label == "no" and second.value == second.probability == pytest.approx(1 / (1 + np.e))


def test_the_raw_probability_is_over_the_whole_vocabulary(make: Make):
    task = make("classification", INPUT, TARGET, labels=["0", "1"], probability="vocabulary")
    batch = batch_of(task, [{"smiles": "C"}])
    assert batch.candidates_V is None
    logits = torch.zeros(1, 1, task.tokenizer.vocab_rows)
    (prediction,) = task.decode(ModelOutput(logits_DRV=logits), batch)
    assert prediction.probability == pytest.approx(1 / task.tokenizer.vocab_rows)
    assert prediction.probabilities == pytest.approx((1 / task.tokenizer.vocab_rows,) * 2), (
        "of both, as neither follows"
    )


def test_loss_falls_when_the_right_class_is_favoured(binary: Task):
    batch = batch_of(binary, [{"smiles": "C", "y": "yes"}], target=True)
    right, wrong = (binary.loss(ModelOutput(logits_DRV=torch.tensor([[v]])), batch) for v in ([0.0, 3.0], [3.0, 0.0]))
    assert right < wrong


def test_many_classes_are_read_along_the_trie(make: Make):
    labels = [f"class{i}" for i in range(23)]
    task = make("classification", INPUT, TARGET, labels=labels, metrics=["accuracy"])
    batch = batch_of(task, [{"smiles": "C", "y": "class17"}], target=True, judged=True)
    assert batch.decoder_rows_D.tolist() == [0, 0, 0] and batch.read_DR.tolist() == [[1, 2]] * 3
    digits = [task.tokenizer.token(i) for i in batch.labels_DR[batch.labels_DR >= 0].tolist()]
    assert digits == ["<1>", "<7>"], "the label stands once, where its path runs"
    torch.manual_seed(0)
    logits = torch.randn(3, 2, len(batch.candidates_V))
    logits[1:, 0] = logits[0, 0]
    (prediction,) = task.decode(ModelOutput(logits_DRV=logits), batch)
    assert sum(prediction.probabilities) == pytest.approx(1.0) and len(prediction.probabilities) == 23
    first, second = logits[0, 0, :3].softmax(0), logits[2, 1, :3].softmax(0)
    assert prediction.probabilities[22] == pytest.approx(float(first[2] * second[2]), rel=1e-5)
    assert prediction.label == labels[int(np.argmax(prediction.probabilities))]


@pytest.mark.parametrize("classes", [23, 345])
def test_learning_reads_the_path_of_the_class_alone_and_its_loss_is_that_of_the_probability(make: Make, classes: int):
    """One decoder row a label; the loss is -log of the very probability that a prediction gives."""
    labels = [f"class{i}" for i in range(classes)]
    task = make("classification", INPUT, TARGET, labels=labels, metrics=["accuracy"])
    rows = [{"smiles": "C", "y": "class17"}, {"smiles": "N", "y": labels[-1]}]
    learned, judged = batch_of(task, rows, target=True), batch_of(task, rows, target=True, judged=True)
    width = len(str(classes - 1))
    assert learned.decoder_rows_D is None and learned.labels_DR.shape == (2, width), "one decoder row for each label"
    logits = path_logits(judged, len(judged.candidates_V))
    own = [int(i) for i in (judged.labels_DR >= 0).all(dim=1).nonzero()[:, 0]]
    said = task.decode(ModelOutput(logits_DRV=logits), judged)
    p = [said[0].probabilities[17], said[1].probabilities[-1]]
    expected = -np.log(p).mean()
    assert sum(said[0].probabilities) == pytest.approx(1.0, rel=1e-5)
    assert float(task.loss(ModelOutput(logits_DRV=logits[own]), learned)) == pytest.approx(expected, rel=1e-4)
    assert float(task.loss(ModelOutput(logits_DRV=logits), judged)) == pytest.approx(expected, rel=1e-4)


def path_logits(batch: Batch, width: int) -> torch.Tensor:
    """Random logits, equal where decoder rows of one encoder row have read the same tokens, as a model's are."""
    seen: dict[tuple, torch.Tensor] = {}
    torch.manual_seed(0)
    encoder_rows = batch.decoder_rows_D if batch.decoder_rows_D is not None else torch.arange(len(batch))
    rows = []
    read = zip(encoder_rows.tolist(), batch.decoder_ids_DT.tolist(), batch.read_DR.tolist(), strict=True)
    for row, ids, reads in read:
        rows.append(torch.stack([seen.setdefault((row, *ids[: r + 1]), torch.randn(width)) for r in reads]))
    return torch.stack(rows)


def test_an_answer_that_was_encoded_for_its_loss_alone_cant_be_decoded(make: Make):
    task = make("classification", INPUT, TARGET, labels=[str(i) for i in range(12)])
    batch = batch_of(task, [{"smiles": "C", "y": "1"}], target=True)
    with pytest.raises(AssertionError, match="for its loss alone"):
        task.decode(ModelOutput(logits_DRV=torch.zeros(1, 2, 10)), batch)


def test_learning_leaves_out_missing_labels(make: Make):
    task = make("classification", TWO_INPUT, TWO_TARGET, labels=["0", "1"], metrics=["auroc"])
    rows = [{"smiles": "C", "a": "1", "b": "0"}, {"smiles": "N", "a": "", "b": "1"}]
    batch = batch_of(task, rows, target=True)
    specials = task.tokenizer.specials
    assert batch.decoder_rows_D.tolist() == [0, 0, 1]
    assert batch.labels_DR[:, 0].tolist() == [specials["<1>"], specials["<0>"], specials["<1>"]]
    assert (
        task.prepare_target(rows[1]) == {"b": "1"} and "SENTINEL_ID_0" not in task.render(rows[1], target=True).target
    )


def test_multi_label_rows_share_one_encoder_pass(make: Make):
    task = make("classification", TWO_INPUT, TWO_TARGET, labels=["0", "1"], metrics=["auroc"])
    rows = [{"smiles": "C", "a": "1", "b": "0"}, {"smiles": "N", "a": "", "b": "1"}]
    batch = batch_of(task, rows, target=True, judged=True)
    specials = task.tokenizer.specials
    assert batch.decoder_rows_D.tolist() == [0, 0, 1, 1]
    assert [row[1] for row in batch.decoder_ids_DT.tolist()] == [
        specials["<SENTINEL_ID_0>"],
        specials["<SENTINEL_ID_1>"],
    ] * 2
    assert batch.labels_DR[:, 0].tolist() == [specials["<1>"], specials["<0>"], -100, specials["<1>"]]
    logits = torch.tensor([[[0.0, 1.0]], [[2.0, 0.0]], [[0.0, 0.0]], [[0.0, 3.0]]])
    first, second = task.decode(ModelOutput(logits_DRV=logits), batch)
    assert first.value is None and first.by_target["a"].label == "1" and first.for_target("b").label == "0"
    assert second.for_target("b").probability == pytest.approx(1 / (1 + np.exp(-3)))
    assert task.answers([first, second], rows)["a"].truth_N.tolist() == [1], "missing labels are not judged"
    with pytest.raises(DataError, match="empty cell"):
        task.encode({"smiles": "C", "a": "", "b": None}, target=True)


def test_a_class_can_be_read_in_the_encoder(make: Make):
    task = make("classification", "<MASK> {smiles:smiles}", "{y:label}", labels=["0", "1"], mode="encoder")
    batch = batch_of(task, [{"smiles": "C", "y": 1}], target=True)
    position = batch.read_DR[0, 0]
    assert batch.ids_BL[0, position] == task.tokenizer.mask_id
    assert batch.labels_DR.tolist() == [[task.tokenizer.specials["<1>"]]]
    (prediction,) = task.decode(ModelOutput(logits_DRV=torch.tensor([[[0.0, 1.0]]])), batch)
    assert prediction.label == "1"


def test_labels_with_codes_of_their_own(make: Make):
    task = make(
        "classification",
        "<@TOKENIZER-TYPE=AA><SENTINEL_ID_0>{s}<EOS>",
        "<@TOKENIZER-TYPE=AA><SENTINEL_ID_0>{y}<EOS>",
        raw=True,
        labels=["helix", "sheet", "coil"],
        codes=["H", "E", "C"],
    )
    batch = batch_of(task, [{"s": "MKT", "y": "sheet"}], target=True)
    assert task.tokenizer.token(int(batch.labels_DR[0, 0])) == "E"
    (prediction,) = task.decode(ModelOutput(logits_DRV=torch.zeros(1, 1, 3)), batch)
    assert prediction.probabilities == pytest.approx((1 / 3,) * 3)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"smiles": "", "y": "yes"}, "empty cell"),
        ({"smiles": None, "y": "yes"}, "empty cell"),
        ({"smiles": "CC(", "y": "yes"}, "invalid SMILES"),
        ({"y": "yes"}, "smiles"),
        ({"smiles": "C", "y": "maybe"}, "maybe"),
        ({"smiles": "C", "y": ""}, "empty cell"),
        ({"smiles": "C"}, "no column 'y'"),
    ],
)
def test_bad_rows_say_why(binary: Task, row: dict, message: str):
    with pytest.raises(DataError, match=message):
        binary.encode(row, target=True)


def test_data_can_never_become_syntax(make: Make):
    task = make("classification", INPUT, TARGET, labels=["0", "1"], standardise="off")
    with pytest.raises(PromptError, match="<EOS>"):
        task.encode({"smiles": "C<EOS>"})


def test_fit_refuses_training_rows_of_a_single_class(binary: Task):
    binary.fit([{"smiles": "C", "y": "yes"}, {"smiles": "C", "y": "no"}])
    with pytest.raises(TaskError, match="'yes'"):
        binary.fit([{"smiles": "C", "y": "yes"}])


def test_calibration_is_fitted_once_applied_and_carried_in_the_state(binary: Task, make: Make):
    rng = np.random.default_rng(0)
    truth = rng.integers(2, size=400)
    p = 1 / (1 + np.exp(-(6 * (truth - 0.5) + 3 + 4 * rng.normal(size=400))))  # overconfident, and shifted towards yes
    rows = [{"smiles": "C", "y": ("no", "yes")[t]} for t in truth]
    said = [Prediction(i, value=v, label="yes" if v > 0.5 else "no", probability=v) for i, v in enumerate(p)]
    before = binary.metrics(said, rows)
    binary.calibrate(said, rows)
    batch = batch_of(binary, [{"smiles": "C"}])
    logits = torch.tensor([[[0.0, 3.0]]])
    (calibrated,) = binary.decode(ModelOutput(logits_DRV=logits), batch)
    assert calibrated.probability < 0.9 < 1 / (1 + np.exp(-3))
    fresh = make("classification", INPUT, TARGET, labels=["no", "yes"])
    fresh.load_state(binary.state())
    assert fresh.decode(ModelOutput(logits_DRV=logits), batch) == [calibrated]
    again = [binary.answer(i, np.log([1 - v, v]), binary.calibrations["y"]) for i, v in enumerate(p)]
    assert binary.metrics(again, rows)["accuracy"] >= before["accuracy"]
    with pytest.raises(TaskError, match="calibrated already"):
        binary.calibrate(said, rows)
    binary.fit([{"smiles": "C", "y": "yes"}, {"smiles": "C", "y": "no"}])
    assert binary.state()["calibration"] == {}


def test_rows_with_unknown_labels_teach_and_judge_nothing(binary: Task):
    rows = [{"smiles": "C", "y": "yes"}, {"smiles": "C", "y": "no"}, {"smiles": "C", "y": "maybe"}]
    binary.fit(rows)
    said = [Prediction(i, label="yes", value=0.9, probability=0.9) for i in range(3)]
    assert binary.metrics(said, rows)["accuracy"] == 0.5


def test_a_state_with_other_labels_is_refused(binary: Task):
    with pytest.raises(TaskError, match="stored labels"):
        binary.load_state({"labels": ["yes", "no"]})


def test_generating_with_a_class_task_says_what_to_do(binary: Task):
    with pytest.raises(TaskError, match="mammal predict"):
        generation_task(binary)
    assert not fills_in(binary)


def test_a_class_needs_a_label_slot(make: Make):
    with pytest.raises((TaskError, PromptError)):
        make("classification", INPUT, "<SENTINEL_ID_0>", labels=["0", "1"])
