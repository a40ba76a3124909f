"""What is kept of training rows, and the similarity of rows to them."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from mammal.tasks.applicability.fingerprints import BITS, RADIUS, packed_fingerprint
from mammal.tasks.applicability.indexes import FingerprintIndex, Projection, StateIndex, distance_unit
from mammal.tasks.applicability.training_rows import MOST_ROWS, OUTSIDE, TrainingRow, TrainingRows, sample
from mammal.tasks.batches.prediction import Prediction

SMILES = ["CCO", "CCCO", "c1ccccc1O", "CC(=O)Oc1ccccc1C(=O)O", "CCN(CC)CC", "C1CCNCC1", "CC(=O)NC", "c1ccncc1C#N"]
ASKED = ["CCCCO", "c1ccccc1N", "CCO", "C[Si](C)(C)C"]


def bits_of(smiles: list[str]) -> np.ndarray:
    return np.stack([packed_fingerprint(text) for text in smiles])


def kept(**more) -> TrainingRows:
    rows = [TrainingRow({"smiles": text}, {"number": str(i)}) for i, text in enumerate(SMILES)]
    return TrainingRows.of_molecules("smiles", bits_of(SMILES), len(SMILES), rows, **more)


def test_similarities_and_neighbours_are_those_of_rdkit():
    from rdkit import Chem
    from rdkit.Chem import rdFingerprintGenerator
    from rdkit.DataStructs import BulkTanimotoSimilarity

    generator = rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, fpSize=BITS)
    of = [generator.GetFingerprint(Chem.MolFromSmiles(text)) for text in SMILES]
    similarity_NK, place_NK = FingerprintIndex(bits_of(SMILES)).nearest(bits_of(ASKED), 3)
    for text, found_K, places_K in zip(ASKED, similarity_NK, place_NK, strict=True):
        expected = np.array(BulkTanimotoSimilarity(generator.GetFingerprint(Chem.MolFromSmiles(text)), of))
        order = np.argsort(-expected, kind="stable")[:3]
        assert found_K.tolist() == expected[order].tolist() and places_K.tolist() == order.tolist()


def test_a_molecule_with_more_than_255_bits_is_counted_right():
    full_NX = np.full((1, BITS // 8), 255, dtype=np.uint8)
    similarity_NK, _ = FingerprintIndex(np.concatenate([full_NX, bits_of(SMILES)])).nearest(full_NX)
    assert similarity_NK[0, 0] == 1.0


def test_more_rows_than_there_are_can_be_asked_for():
    assert FingerprintIndex(bits_of(SMILES[:2])).nearest(bits_of(ASKED), 9)[0].shape == (len(ASKED), 2)


def test_states_alone_and_together_have_the_same_similarity():
    rng = np.random.default_rng(0)
    states_MW = rng.normal(size=(300, 48)).astype(np.float32)
    projection = Projection.fit(states_MW)
    vectors_MD = projection.apply(states_MW).astype(np.float16)
    index = StateIndex(vectors_MD, distance_unit(vectors_MD))
    asked_ND = projection.apply(rng.normal(size=(40, 48)).astype(np.float32))
    together_N, places_N = (found[:, 0] for found in index.nearest(asked_ND))
    alone_N = np.array([index.nearest(row_D[None])[0][0, 0] for row_D in asked_ND])
    assert np.allclose(together_N, alone_N, rtol=1e-6)
    distances_NM = np.linalg.norm(asked_ND[:, None] - vectors_MD.astype(np.float32)[None], axis=2)
    assert places_N.tolist() == distances_NM.argmin(axis=1).tolist()
    assert np.allclose(index.nearest(projection.apply(states_MW[:5]))[0][:, 0], 1, atol=0.01)  # training rows
    assert together_N.min() > 0 and together_N.max() < 1


def test_a_projection_leaves_out_constant_entries():
    states_MW = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    states_MW[:, 3] = 7.0
    projected_ND = Projection.fit(states_MW).apply(states_MW + np.eye(8)[3].astype(np.float32) * 100)
    assert np.allclose(projected_ND, Projection.fit(states_MW).apply(states_MW), atol=1e-4)


def test_percentile_is_the_share_of_validation_rows_as_far_or_farther():
    rows = kept()
    valid = [Prediction(i, value=0.0, similarity=i / 100) for i in range(100)]
    placed = rows.compare_with(valid)
    assert [p.percentile for p in placed] == [float(i + 1) for i in range(100)]
    assert [p.outside for p in placed] == [i + 1 < OUTSIDE for i in range(100)]
    assert rows.kept.references == 100


def test_few_validation_rows_give_no_percentile():
    rows = kept()
    placed = rows.compare_with([Prediction(i, similarity=0.5) for i in range(19)])
    assert {(p.percentile, p.outside) for p in placed} == {(None, None)} and rows.kept.references == 0


def test_what_a_bundle_stores_gives_the_same_answers():
    rows = kept()
    rows.compare_with([Prediction(i, similarity=i / 40) for i in range(40)])
    read = TrainingRows.from_state(rows.state(), rows.arrays, [])
    assert read.kept == rows.kept
    for one in (read, pickle.loads(pickle.dumps(rows))):
        assert {name: array.tolist() for name, array in one.arrays().items()} == {
            name: array.tolist() for name, array in rows.arrays().items()
        }
        assert one._rows[3] == TrainingRow({"smiles": SMILES[3]}, {"number": "3"})


def test_arrays_are_read_when_they_are_first_used():
    calls = []
    rows = TrainingRows.from_state(kept().state(), lambda: calls.append(1) or kept().arrays(), [])
    assert rows.kept.rows == len(SMILES) and rows.state() == kept().state() and not calls
    assert rows.arrays()["bits"].shape == (len(SMILES), BITS // 8)
    assert rows.arrays() and calls == [1]


@pytest.mark.parametrize("total", [1, MOST_ROWS, MOST_ROWS + 5])
def test_a_sample_of_many_rows_is_kept(total):
    picked = sample(total)
    assert len(set(picked.tolist())) == min(total, MOST_ROWS) and picked.tolist() == sorted(picked.tolist())
    assert picked.tolist() == sample(total).tolist() and picked.max() < total


def test_ten_thousand_molecules_take_less_than_two_megabytes():
    import random

    rng = random.Random(0)
    parts = ["C", "CC", "c1ccccc1", "C(=O)N", "N", "O", "C(F)(F)F", "c1ccncc1", "S(=O)(=O)", "Cl", "C1CCNCC1"]
    texts = ["C" + "".join(f"({rng.choice(parts)})C" for _ in range(7)) for _ in range(MOST_ROWS)]
    rows = [TrainingRow({"smiles": text}, {"number": f"{rng.random():.3f}"}) for text in texts]
    bits_MX = np.random.default_rng(0).integers(0, 256, size=(MOST_ROWS, BITS // 8), dtype=np.uint8)
    arrays = TrainingRows.of_molecules("smiles", bits_MX, MOST_ROWS, rows).arrays()
    assert sum(array.nbytes for array in arrays.values()) < 2_000_000
