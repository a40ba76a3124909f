from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from mammal.tasks.descriptors import LIMIT, NAMES, DescriptorScale, descriptors
from mammal.tasks.errors import TaskError
from mammal.tasks.task import Task

Make = Callable[..., Task]
SMILES = ["C" * n + tail for n in range(1, 12) for tail in ("O", "N", "c1ccccc1")]
ROWS = [{"smiles": s, "y": len(s)} for s in SMILES]
INPUT = "<MASK> {smiles:smiles} {smiles:descriptors}"


def test_descriptors_are_standardised_over_the_training_molecules():
    scale = DescriptorScale.fit([*SMILES, "CC("])
    values = np.stack([scale.of(s) for s in SMILES])
    assert values.shape == (len(SMILES), len(NAMES)) and values.dtype == np.float32
    varies = values.std(axis=0) > 0.1
    assert varies.sum() > 20
    assert values[:, varies].mean(axis=0) == pytest.approx(0, abs=1e-4)
    assert values[:, varies].std(axis=0) == pytest.approx(1, abs=1e-3)


def test_what_cannot_be_computed_is_the_mean_and_extremes_are_cut():
    scale = DescriptorScale.fit(SMILES)
    assert np.isnan(descriptors("CC(")).all() and (scale.of("CC(") == 0).all()
    assert np.abs(scale.of("C" * 300)).max() == LIMIT


def test_a_prompt_carries_one_value_for_each_descriptor(make: Make):
    task = make("regression", INPUT, "{y:scalar}")
    with pytest.raises(TaskError, match="not known yet"):
        task.encode(ROWS[0])
    task.fit([{"smiles": "CC(", "y": 1}, *ROWS])
    example = task.encode(ROWS[3])
    carried = example.input.values_L[example.input.has_value_L]
    assert carried == pytest.approx(task.descriptor_scales["smiles"].of(SMILES[3]))


def test_the_state_brings_the_descriptor_scale_back(make: Make):
    task, fresh = (make("regression", INPUT, "{y:scalar}") for _ in range(2))
    task.fit(ROWS)
    fresh.load_state(task.state())
    assert fresh.encode(ROWS[0]).input.values_L.tolist() == task.encode(ROWS[0]).input.values_L.tolist()


def test_embeddings_that_nothing_computes_are_refused(make: Make):
    with pytest.raises(TaskError, match="external embeddings"):
        make("regression", "<MASK> {p:protein} {p:esm2}", "{y:scalar}")
