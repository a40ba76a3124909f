from __future__ import annotations

import pytest
import torch

from mammal.tasks.batches.batch import IGNORE
from mammal.tasks.targets.losses import token_loss, value_loss

NAN = float("nan")


def test_weights_count_in_the_sum_and_not_in_the_number_of_labels():
    logits, labels = torch.zeros(3, 1, 2), torch.tensor([[44], [45], [IGNORE]])
    plain = token_loss(logits, labels, torch.tensor([44, 45]))
    weighted = token_loss(logits, labels, torch.tensor([44, 45]), torch.tensor([[0.5], [3.0], [9.0]]))
    assert weighted.item() == pytest.approx(plain.item() * (0.5 + 3.0) / 2)


@pytest.mark.parametrize("kind", ["mse", "mae", "rmse"])
def test_a_prediction_on_the_allowed_side_of_a_bound_has_no_error(kind: str):
    labels = torch.tensor([[1.0, 1.0, 1.0]])
    bounds = torch.tensor([[1, -1, 0]], dtype=torch.int8)
    above, below = torch.full((1, 3), 3.0, requires_grad=True), torch.full((1, 3), -1.0, requires_grad=True)
    for said, free, wrong in ((above, 0, 1), (below, 1, 0)):
        loss = value_loss(said, labels, kind, bounds)
        (gradient,) = torch.autograd.grad(loss, said)
        assert gradient[0, free] == 0 and gradient[0, wrong] != 0 and gradient[0, 2] != 0
        assert loss.item() == pytest.approx((4.0 if kind == "mse" else 2.0) * 2 / 3, rel=1e-5)


def test_missing_labels_have_no_bound_and_no_error():
    said = torch.tensor([[5.0, 5.0]])
    loss = value_loss(said, torch.tensor([[NAN, 4.0]]), "mse", torch.tensor([[1, 0]], dtype=torch.int8))
    assert loss.item() == pytest.approx(1.0)
