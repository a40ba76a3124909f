from __future__ import annotations

import numpy as np
import pytest
import torch

from mammal.tasks.batches.batch import IGNORE, ModelOutput
from mammal.tasks.batches.collate import collate
from mammal.tasks.batches.example import Example, Target
from mammal.tasks.targets.losses import token_loss, value_loss
from mammal.tokenization.encoding import Encoding

PAD, START = 1, 16


def encoding(*ids: int, values: dict[int, float] | None = None) -> Encoding:
    given = values or {}
    return Encoding(
        ids_L=np.array(ids, dtype=np.int32),
        values_L=np.array([given.get(i, 0.0) for i in range(len(ids))], dtype=np.float32),
        has_value_L=np.array([i in given for i in range(len(ids))]),
        mask_L=np.ones(len(ids), dtype=bool),
    )


def gather(examples: list[Example], mode: str = "decoder", **settings):
    return collate(examples, mode=mode, wants=("logits",), pad_id=PAD, start_id=START, **settings)


def test_decoder_inputs_are_the_labels_moved_one_step_behind_a_start():
    target = np.array([57, 45, 5])
    examples = [Example("a", encoding(7, 8), targets=(Target(target, np.arange(3), target),))]
    batch = gather(examples)
    assert batch.decoder_ids_DT.tolist() == [[START, 57, 45]]
    assert batch.labels_DR.tolist() == [[57, 45, 5]] and batch.read_DR.tolist() == [[0, 1, 2]]
    assert batch.decoder_rows_D is None and batch.label_values_DR is None and batch.values_BL is None


def test_rows_of_unequal_length_are_padded_and_masked():
    long, short = np.array([57, 60, 61, 5]), np.array([57, 5])
    examples = [
        Example(0, encoding(7, 8, 9), targets=(Target(long, np.arange(4), long),)),
        Example(1, encoding(7), targets=(Target(short, np.arange(2), short),)),
    ]
    batch = gather(examples)
    assert batch.ids_BL.tolist() == [[7, 8, 9], [7, PAD, PAD]]
    assert batch.mask_BL.tolist() == [[True] * 3, [True, False, False]]
    assert batch.decoder_mask_DT.tolist() == [[True] * 4, [True, True, False, False]]
    assert batch.read_DR.tolist() == [[0, 1, 2, 3], [0, 1, -1, -1]]
    assert batch.labels_DR.tolist()[1] == [57, 5, IGNORE, IGNORE]
    assert batch.tokens == 3 + 1 + 4 + 2 and len(batch) == 2 and batch.row_ids == (0, 1)


def test_values_keep_their_own_mask_and_are_fed_back_to_the_decoder():
    target = Target(
        np.array([305, 57, 5]),
        np.arange(3),
        np.array([305, 57, 5]),
        values_T=np.array([2.5, 0, 0], dtype=np.float32),
        has_value_T=np.array([True, False, False]),
    )
    batch = gather(
        [Example(0, encoding(7, 305, values={1: -1.25}), targets=(target,)), Example(1, encoding(7), targets=(target,))]
    )
    assert batch.values_BL.tolist() == [[0, -1.25], [0, 0]] and batch.has_value_BL.tolist() == [
        [False, True],
        [False, False],
    ]
    assert batch.decoder_values_DT.tolist() == [[0, 2.5, 0]] * 2
    assert batch.decoder_has_value_DT.tolist() == [[False, True, False]] * 2
    assert torch.isnan(batch.label_values_DR[:, 1:]).all() and batch.label_values_DR[:, 0].tolist() == [2.5, 2.5]


def test_several_decoder_rows_point_to_their_encoder_row():
    ask = Target(np.array([57, 44]), np.array([1]))
    batch = gather([Example(0, encoding(7), targets=(ask, ask)), Example(1, encoding(8), targets=(ask,))])
    assert batch.decoder_rows_D.tolist() == [0, 0, 1]
    assert batch.labels_DR is None, "nothing is known at inference"


def test_without_targets_decoding_begins_at_the_start_token():
    batch = gather([Example(0, encoding(7, 8))], candidates_V=np.array([3, 5]))
    assert batch.decoder_ids_DT.tolist() == [[START]] and batch.read_DR.tolist() == [[0]]
    assert batch.candidates_V.tolist() == [3, 5]


def test_encoder_mode_reads_positions_and_masks_missing_values():
    examples = [
        Example(
            0, encoding(4, 7, 4), read_R=np.array([0, 2]), label_values_R=np.array([1.0, np.nan], dtype=np.float32)
        ),
        Example(1, encoding(7, 4, 4), read_R=np.array([1, 2]), label_values_R=np.array([2.0, 3.0], dtype=np.float32)),
    ]
    batch = gather(examples, "encoder")
    assert batch.read_DR.tolist() == [[0, 2], [1, 2]] and batch.decoder_ids_DT is None and batch.labels_DR is None
    loss = value_loss(torch.tensor([[2.0, 99.0], [2.0, 3.0]]), batch.label_values_DR)
    assert loss.item() == pytest.approx(1 / 3)


def test_token_loss_is_cross_entropy_among_the_candidates():
    logits = torch.tensor([[[2.0, 0.0]], [[1.0, 1.0]]])
    loss = token_loss(logits, torch.tensor([[45], [IGNORE]]), torch.tensor([44, 45]))
    assert loss.item() == pytest.approx(np.log(1 + np.exp(2.0)))
    whole = token_loss(torch.zeros(1, 1, 100), torch.tensor([[45]]), None)
    assert whole.item() == pytest.approx(np.log(100))


def test_the_three_value_losses():
    said, truth = torch.tensor([[0.0, 3.0]]), torch.tensor([[1.0, 1.0]])
    assert value_loss(said, truth, "mse").item() == pytest.approx(2.5)
    assert value_loss(said, truth, "mae").item() == pytest.approx(1.5)
    assert value_loss(said, truth, "rmse").item() == pytest.approx(1.5, abs=1e-5), (
        "the published rmse is not a root mean"
    )


def test_a_batch_moves_whole():
    batch = gather([Example(0, encoding(7, 305, values={1: 1.0}))]).to("cpu")
    assert batch.values_BL is not None and batch.to("meta").ids_BL.device.type == "meta"
    assert ModelOutput().logits_DRV is None
