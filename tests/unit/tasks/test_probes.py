"""Probes: the stored arrays predict as scikit-learn does, and the best candidate is chosen by the stated rule."""

from __future__ import annotations

import numpy as np
import pytest

from mammal.tasks.metrics.registry import metric_named
from mammal.tasks.probes.candidates import (
    GP_ROWS,
    LANDMARK_ROWS,
    SVM_CLASSES,
    SVM_ROWS,
    Candidate,
    Rows,
    candidates,
    fitted,
    from_linear,
    from_machines,
    from_process,
)
from mammal.tasks.probes.choose import FEWEST_VALID, chosen, folds_of, log_odds_of_distances, log_probabilities
from mammal.tasks.probes.ensembles import bagged
from mammal.tasks.probes.points import CompactPoints
from mammal.tasks.probes.probe import Probe, Standard

ROWS, WIDTH = 60, 6


def vectors(rows: int = ROWS, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).normal(size=(rows, WIDTH)) / np.sqrt(WIDTH)).astype(np.float32)


def numbers(z_NF: np.ndarray) -> np.ndarray:
    return np.sin(2 * z_NF[:, 0].astype(np.float64)) + z_NF[:, 1]


def classes(z_NF: np.ndarray, count: int) -> np.ndarray:
    return (z_NF[:, :count] + 0.3 * z_NF[:, ::-1][:, :count]).argmax(axis=1).astype(np.int64)


def scores(probe: Probe, points_NF: np.ndarray) -> np.ndarray:
    return probe.scores(vectors(15, seed=1), points_NF)


def close(ours: np.ndarray, theirs: np.ndarray) -> bool:
    return bool(np.abs(ours - theirs).max() < 1e-6)


def test_arrays_predict_numbers_as_scikit_learn_does() -> None:
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
    from sklearn.linear_model import Ridge
    from sklearn.svm import SVR

    z_NF, asked = vectors().astype(np.float64), vectors(15, seed=1).astype(np.float64)
    truth_N = numbers(z_NF)
    ridge = Ridge(alpha=0.3).fit(z_NF, truth_N)
    assert close(scores(from_linear(ridge, Candidate("ridge")), z_NF)[:, 0], ridge.predict(asked))
    machine = SVR(kernel="rbf", gamma=0.7, C=3).fit(z_NF, truth_N)
    probe = from_machines([machine], Candidate("svm", {"cost": 3.0, "gamma": 0.7}))
    assert close(scores(probe, z_NF)[:, 0], machine.predict(asked)) and len(probe.support_M) < ROWS
    process = GaussianProcessRegressor(ConstantKernel(2.0) * RBF(0.8) + WhiteKernel(0.1)).fit(z_NF, truth_N)
    assert close(scores(from_process(process, Candidate("gp")), z_NF)[:, 0], process.predict(asked))


@pytest.mark.parametrize("count", [2, 3])
def test_arrays_predict_classes_as_scikit_learn_does(count: int) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.svm import SVC

    z_NF, asked = vectors().astype(np.float64), vectors(15, seed=1).astype(np.float64)
    truth_N = classes(z_NF, count)
    logistic = LogisticRegression(C=3.0).fit(z_NF, truth_N)
    probe = from_linear(logistic, Candidate("logistic"))
    said = np.exp(log_probabilities(scores(probe, z_NF), probe.classes, count))
    assert close(said, logistic.predict_proba(asked))
    machines = OneVsRestClassifier(SVC(gamma=0.7, C=3)).fit(z_NF, truth_N)
    theirs = machines.decision_function(asked).reshape(len(asked), -1)
    probe = from_machines(machines.estimators_, Candidate("svm", {"cost": 3.0, "gamma": 0.7}), range(count))
    ours = scores(probe, z_NF)
    assert close(ours if count > 2 else ours[:, 1:], theirs)
    assert (ours.argmax(axis=1) == machines.predict(asked)).all()


def test_our_fits_are_those_of_scikit_learn() -> None:
    """Kernels that are computed before the fit give the same machine as scikit-learn's own kernel."""
    from sklearn.svm import SVR

    rows = Rows(vectors(), numbers(vectors()))
    probe = fitted(Candidate("svm", {"cost": 3.0, "gamma": 1.0}), rows)
    machine = SVR(gamma=1.0, C=3, epsilon=0.1).fit(rows.exact_NF, rows.truth_N)
    asked = vectors(15, seed=1).astype(np.float64)
    assert np.abs(scores(probe, rows.z_NF)[:, 0] - machine.predict(asked)).max() < 1e-3


def test_fits_are_repeatable_and_learn() -> None:
    rows = Rows(vectors(), numbers(vectors()))
    for option in candidates("auto", len(rows), 0):
        first, second = fitted(option, rows), fitted(option, rows)
        assert (scores(first, rows.z_NF) == scores(second, rows.z_NF)).all()
    process = fitted(Candidate("gp"), rows)
    error = scores(process, rows.z_NF)[:, 0] - numbers(vectors(15, seed=1))
    assert np.mean(error**2) < 0.1 * numbers(vectors(15, seed=1)).var()


def test_large_tables_leave_out_models_whose_time_grows_with_a_power_of_their_rows() -> None:
    def models(rows: int, number: int = 0) -> set[str]:
        return {option.model for option in candidates("auto", rows, number)}

    assert models(100) == {"ridge", "svm", "gp"} and models(100, 3) == {"logistic", "svm"}
    assert models(GP_ROWS + 1) == {"ridge", "svm"} and models(SVM_ROWS + 1) == {"ridge", "landmarks"}
    assert models(LANDMARK_ROWS + 1) == {"ridge"} and models(100, SVM_CLASSES + 1) == {"logistic", "landmarks"}


def test_enough_validation_rows_choose_and_else_folds_of_the_training_rows() -> None:
    rows, metric = Rows(vectors(), numbers(vectors())), ("rmse", metric_named("rmse"))
    other = vectors(FEWEST_VALID, seed=2)
    options = [Candidate("ridge", {"penalty": penalty}) for penalty in (300.0, 0.03)]
    probe, choice = chosen(options, rows, Rows(other, numbers(other)), metric)
    assert (choice.rows, choice.count, probe.settings["penalty"]) == ("valid", FEWEST_VALID, 0.03)
    said = fitted(options[1], rows).scores(other, rows.z_NF)[:, 0]
    assert choice.scores[options[1].title] == pytest.approx(np.sqrt(np.mean((said - numbers(other)) ** 2)))
    few = Rows(other[1:], numbers(other[1:]))
    probe, choice = chosen(options, rows, few, metric)
    assert (choice.rows, choice.count, probe.settings["penalty"]) == ("folds", ROWS, 0.03)


def test_validation_rows_choose_by_the_metric_and_not_by_the_loss() -> None:
    rows, other = Rows(vectors(), numbers(vectors())), vectors(FEWEST_VALID, seed=2)
    options = candidates("linear", len(rows), 0)
    valid = Rows(other, -numbers(other))
    probe, choice = chosen(options, rows, valid, ("pearson", metric_named("pearson")))
    assert choice.scores[probe.title] == max(choice.scores.values()) < 0


def test_a_metric_that_is_undefined_gives_way_to_the_loss() -> None:
    z_NF = vectors()
    truth_N = classes(z_NF, 2)
    other = vectors(FEWEST_VALID, seed=2)
    one = Rows(other, np.zeros(FEWEST_VALID, dtype=np.int64))
    options = candidates("linear", ROWS, 2)
    _, choice = chosen(options, Rows(z_NF, truth_N), one, ("auroc", metric_named("auroc")), classes=2)
    assert (choice.metric, choice.rows) == ("auroc", "folds")
    _, choice = chosen(options, Rows(z_NF, truth_N), one, ("top3_accuracy", metric_named("top3_accuracy")), classes=2)
    assert choice.rows in ("valid", "folds") and all(map(np.isfinite, choice.scores.values()))


def test_folds_keep_equal_rows_together_and_share_the_labels() -> None:
    z_NF = np.repeat(vectors(25), 2, axis=0)
    truth_N = np.repeat(np.arange(25) % 5 == 0, 2).astype(np.int64)
    folds = folds_of(Rows(z_NF, truth_N))
    assert sorted(np.concatenate([predict for _, predict in folds]).tolist()) == list(range(50))
    for fit_on, predict in folds:
        assert not set(fit_on // 2) & set(predict // 2)
        assert truth_N[predict].sum() == 2


def test_distances_become_log_odds_that_grow_with_them() -> None:
    generator = np.random.default_rng(0)
    distance_N = generator.normal(size=400)
    truth_N = (generator.random(400) < 1 / (1 + np.exp(-(3 * distance_N + 1)))).astype(np.int64)
    slope, offset_C = log_odds_of_distances(np.stack([0 * distance_N, distance_N], axis=1), truth_N)
    assert slope == pytest.approx(3, abs=0.6) and offset_C[1] - offset_C[0] == pytest.approx(1, abs=0.4)
    slope, _ = log_odds_of_distances(np.stack([0 * distance_N, distance_N], axis=1), 1 - truth_N)
    assert slope > 0


def test_probabilities_of_machines_are_about_right() -> None:
    z_NF, other = vectors(200), vectors(200, seed=3)
    noise = np.random.default_rng(5).random(400) < 0.2
    pairs = zip((z_NF, other), np.split(noise, 2), strict=True)
    truth = [np.where(n, 1 - classes(z, 2), classes(z, 2)) for z, n in pairs]
    rows, metric = Rows(z_NF, truth[0]), ("auroc", metric_named("auroc"))
    probe, choice = chosen(candidates("svm", 200, 2), rows, Rows(other[:0], truth[1][:0]), metric, classes=2)
    said_N = np.exp(log_probabilities(probe.scores(other, z_NF), probe.classes, 2))[:, 1]
    assert choice.scores[probe.title] > 0.7
    assert abs(said_N.mean() - truth[1].mean()) < 0.1
    assert abs(said_N[said_N > 0.5].mean() - truth[1][said_N > 0.5].mean()) < 0.12


def test_standardisation_leaves_out_constants_and_gives_blocks_equal_shares() -> None:
    generator = np.random.default_rng(0)
    rows_NF = np.concatenate([generator.normal(3, 9, (500, 4)), generator.random((500, 40))], axis=1)
    rows_NF[:, 1] = 7.0
    z_NF = Standard.fit(rows_NF, [4, 40]).apply(rows_NF)
    squares_F = (z_NF.astype(np.float64) ** 2).mean(axis=0)
    assert squares_F[1] == 0
    assert squares_F[:4].sum() == pytest.approx(0.5, abs=0.01) == squares_F[4:].sum()
    far = Standard.fit(rows_NF, [4, 40]).apply(rows_NF + 1e6)
    assert np.isfinite(far).all() and np.abs(far).max() < 5


@pytest.mark.parametrize(
    "candidate",
    [
        Candidate("ridge", {"penalty": 0.3}),
        Candidate("svm", {"cost": 3.0, "gamma": 0.7}),
        Candidate("gp", {"variance": 2.0, "length": 0.8, "noise": 0.1}),
    ],
    ids=lambda candidate: candidate.model,
)
def test_members_of_an_ensemble_are_probes_of_bootstrap_samples(candidate: Candidate) -> None:
    z_NF = vectors()
    rows = Rows(z_NF, numbers(z_NF))
    ensemble = bagged(candidate, rows, 3)
    said = ensemble.member_scores(vectors(15, seed=1), z_NF)
    assert said.shape == (15, 3, 1)
    generator = np.random.default_rng(0)
    for member in range(3):
        sample = rows.take(generator.integers(ROWS, size=ROWS))
        assert close(said[:, member], scores(fitted(candidate, sample), sample.z_NF))
    assert (said.std(axis=1) > 0).all() and close(said, bagged(candidate, rows, 3).member_scores(vectors(15, 1), z_NF))


@pytest.mark.parametrize("count", [2, 3])
def test_an_ensemble_of_classes_has_every_class_in_each_member(count: int) -> None:
    z_NF = vectors()
    truth_N = classes(z_NF, count)
    truth_N[truth_N == 1] = 0
    truth_N[:2] = 1  # a rare class
    train = Rows(z_NF, truth_N)
    probe, _ = chosen(
        [Candidate("svm", {"cost": 3.0, "gamma": 0.7})],
        train,
        Rows(z_NF[:0], truth_N[:0]),
        ("accuracy", metric_named("accuracy")),
        classes=count,
        members=4,
    )
    said = probe.member_scores(vectors(15, seed=1), z_NF)
    assert said.shape == (15, 4, count) and probe.classes == tuple(range(count)) and probe.members == 4
    assert "ensemble of 4, support vector machine" in probe.title


def test_landmarks_predict_as_nystroem_and_ridge_of_scikit_learn_do() -> None:
    from sklearn.kernel_approximation import Nystroem
    from sklearn.linear_model import Ridge

    rows, asked = Rows(vectors(), numbers(vectors())), vectors(15, seed=1).astype(np.float64)
    candidate = Candidate("landmarks", {"penalty": 0.03, "gamma": 0.5, "landmarks": 20})
    probe = fitted(candidate, rows)
    assert probe.support_M is not None and len(set(probe.support_M.tolist())) == 20
    kernel = Nystroem(kernel="rbf", gamma=0.5, n_components=20, random_state=0)
    features_NM = kernel.fit(rows.exact_NF[probe.support_M]).transform(rows.exact_NF)
    expected = Ridge(alpha=0.03).fit(features_NM, rows.truth_N).predict(kernel.transform(asked))
    assert close(scores(probe, rows.z_NF)[:, 0], expected)


def test_landmarks_separate_classes_and_equal_rows_are_one_landmark() -> None:
    z_NF = np.concatenate([vectors(40)] * 3)
    rows = Rows(z_NF, classes(z_NF, 3))
    probe = fitted(Candidate("landmarks", {"penalty": 0.03, "gamma": 1.0, "landmarks": 60}), rows)
    assert probe.support_M is not None and len(np.unique(z_NF[probe.support_M], axis=0)) == len(probe.support_M) <= 40
    assert (probe.scores(z_NF, z_NF).argmax(axis=1) == rows.truth_N).mean() > 0.8


def test_an_ensemble_on_landmarks_stores_them_once() -> None:
    rows = Rows(vectors(), numbers(vectors()))
    candidate = Candidate("landmarks", {"penalty": 0.1, "gamma": 0.5, "landmarks": 20})
    several = bagged(candidate, rows, 4)
    assert several.members == 4 and several.support_M is not None and len(several.support_M) == 20
    said = several.member_scores(vectors(15, seed=1), rows.z_NF)
    assert said.shape == (15, 4, 1) and said.std(axis=1).min() > 0


def test_only_models_whose_rows_can_be_stored_are_candidates() -> None:
    def models(most: int) -> set[str]:
        return {option.model for option in candidates("auto", 100, 0, most)}

    assert models(100) == {"ridge", "svm", "gp"} and models(99) == {"ridge", "landmarks"} and models(10) == {"ridge"}
    assert {o.settings["landmarks"] for o in candidates("landmarks", 5000, 0, 300)} == {300}


def test_compact_points_are_read_as_they_were_rounded() -> None:
    generator = np.random.default_rng(0)
    counts = generator.poisson(0.05, size=(50, 40)).astype(np.float32)
    raw = np.concatenate([generator.normal(size=(50, 6)), np.log1p(counts)], axis=1).astype(np.float32)
    standard = Standard.fit(raw, [6, 40])
    z_NF = standard.apply(raw)
    empty_F = standard.apply(np.zeros((1, 46), dtype=np.float32))[0]
    compact = CompactPoints(empty_F, np.arange(46) >= 6)
    rounded = compact.rounded(z_NF)
    stored = compact.arrays(rounded)
    assert np.array_equal(compact.points(stored), rounded) and np.array_equal(compact.rounded(rounded), rounded)
    assert np.abs(rounded - z_NF).max() < 1e-3 and len(stored["points.values"]) == (counts > 0).sum()
    size = sum(array.nbytes for array in stored.values())
    assert size == pytest.approx(50 * compact.bytes_of_row(z_NF)) and size < rounded.nbytes / 5


@pytest.mark.parametrize(("model", "tolerance"), [("landmarks", 1e-3), ("svm", 2e-3)])  # 1e-3 is that of its solver
def test_predictions_on_rounded_rows_are_equal_to_three_digits(model: str, tolerance: float) -> None:
    z_NF, asked = vectors(), vectors(40, seed=1)
    compact = CompactPoints(np.zeros(WIDTH, dtype=np.float32), np.zeros(WIDTH, dtype=bool))
    settings = {"cost": 3.0, "gamma": 0.25, "penalty": 0.03, "landmarks": 40}
    said = []
    for points in (z_NF, compact.rounded(z_NF)):
        probe = fitted(Candidate(model, settings), Rows(points, numbers(z_NF)))
        said.append(probe.scores(asked, points)[:, 0])
    assert np.abs(said[0] - said[1]).max() < tolerance * np.std(numbers(z_NF)) and not np.array_equal(*said)
