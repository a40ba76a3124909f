"""Ensembles of members that were tuned by LoRA or heads on one model: training, answers, bundles, refusals."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import mammal
from mammal.bundle.folder import FORMAT, read_bundle
from mammal.cli import main
from mammal.errors import BundleError, ConfigError, MammalError, TaskError
from mammal.inference.predict import predict_rows
from mammal.model.delta import apply_delta
from mammal.model.weights import SafetensorsSource
from mammal.tasks.tables.cells import Row
from mammal.training import members as members_module
from mammal.training.run import train

MOLECULES = ["CCO", "CCN", "c1ccccc1", "CC(=O)O"]
ROWS: list[Row] = [{"smiles": smiles} for smiles in MOLECULES]
QUICK = ("trainer.max_epochs=1", "optim.lr=0.01", "schedule=constant", "data.tokens_per_batch=200", "test=false")
QUICK += ("trainer.accelerator=cpu", "adapt.ensemble=3")
METHODS = ("adapt=lora", "adapt=head")


@pytest.fixture(scope="module")
def init(small_bundle) -> Path:
    return small_bundle("bbbp", "esol", decoder_scalars=True, scalars_prediction_head={"layers": []})


@pytest.fixture
def ensemble(toy, init):
    """Composes a run of an ensemble: `ensemble("task=toy_regression", "adapt=lora", …)`."""
    return lambda *words: toy(f"init={init}", *QUICK, *words)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["regression", "classification"])
def test_an_ensemble_answers_with_the_mean_of_its_members(ensemble, init, tmp_path, method, kind):
    bundle = train(ensemble(f"task=toy_{kind}", method)).bundle
    model = mammal.load(bundle, device="cpu")
    task = model.find_task(None)
    said = predict_rows(model.model, task, ROWS)
    each = [predict_rows(alone(init, tmp_path / f"run/members/{n}", task), task, ROWS) for n in (1, 2, 3)]
    numbers = np.array([[one.value for one in answers] for answers in each])
    assert numbers.std(axis=0).min() > 0
    assert [one.value for one in said] == pytest.approx(numbers.mean(axis=0).tolist(), rel=1e-4, abs=1e-5)
    if kind == "regression":
        assert [one.spread for one in said] == pytest.approx(numbers.std(axis=0, ddof=1).tolist(), rel=1e-3, abs=1e-5)
    separate = [predict_rows(model.model, task, [row])[0].value for row in ROWS]
    assert separate == pytest.approx([one.value for one in said], rel=1e-4, abs=1e-5)


def alone(init: Path, folder: Path, task) -> torch.nn.Module:
    """The model at `init` with the weights of one member, its adapters merged."""
    model = read_bundle(init).model
    apply_delta(model, SafetensorsSource(folder / "member.safetensors"), alpha=8.0)
    return model


@pytest.mark.parametrize("method", METHODS)
def test_a_bundle_of_an_ensemble_is_complete(ensemble, init, tmp_path, capsys, method):
    bundle = train(ensemble("task=toy_regression", method, "adapt.save=adapters")).bundle
    recorded = json.loads((bundle / "config.json").read_text())["mammal"]
    assert recorded["format"] == FORMAT and recorded["members"]["count"] == 3
    assert recorded["adaptation"]["settings"]["ensemble"] == 3
    names = {file.name for file in bundle.iterdir()}
    assert {"members.safetensors", "adapters.safetensors"} <= names and "model.safetensors" not in names
    assert (bundle / "members.safetensors").stat().st_size < (Path(init) / "model.safetensors").stat().st_size / 2
    assert not any(name.endswith((".pkl", ".pickle", ".ckpt")) for name in names)
    assert "ensemble of 3 fine-tuned members" in (bundle / "README.md").read_text()
    model = mammal.load(bundle, device="cpu")
    said = model.predict(MOLECULES)
    for dtype, closeness in (("float32", 0.0), ("bfloat16", 0.05)):
        copied = mammal.load(model.save(tmp_path / dtype, dtype=dtype), device="cpu")
        assert np.allclose(copied.predict(MOLECULES)["prediction"], said["prediction"], atol=closeness)
    capsys.readouterr()
    table = tmp_path / "rows.csv"
    table.write_text("smiles\n" + "\n".join(MOLECULES) + "\n")
    assert main(["predict", f"bundle={bundle}", f"input={table}", f"output={tmp_path / 'out.csv'}"]) == 0
    written = np.genfromtxt(tmp_path / "out.csv", delimiter=",", names=True, dtype=None, encoding="utf-8")
    assert written["prediction"].tolist() == pytest.approx(said["prediction"].tolist(), rel=1e-4)
    assert main(["info", str(bundle)]) == 0
    assert "members     3 of an ensemble" in capsys.readouterr().out


def test_members_share_their_weights(ensemble):
    model = read_bundle(train(ensemble("task=toy_regression", "adapt=lora")).bundle).model
    shared = {name: weight.data_ptr() for name, weight in model.named_parameters()}
    for member in model.members:
        own = {name for name, weight in member.named_parameters() if weight.data_ptr() != shared[name]}
        assert own and not any(name.startswith("t5_model.") for name in own)
        assert any(".SelfAttention.q." in name for name in member.own)
    half = model.to(torch.bfloat16)
    assert {weight.dtype for member in half.members for weight in member.state_dict().values()} == {torch.bfloat16}
    again = {name: weight.data_ptr() for name, weight in half.named_parameters()}
    assert half.members[0].t5_model.shared.weight.data_ptr() == again["t5_model.shared.weight"]


def test_heads_on_one_encoder_share_its_pass(ensemble, monkeypatch):
    bundle = train(ensemble("task=toy_classification", "adapt=head")).bundle
    model = mammal.load(bundle, device="cpu")
    calls = []
    original = type(model.model.t5_model.encoder).forward
    monkeypatch.setattr(
        type(model.model.t5_model.encoder), "forward", lambda *given: calls.append(1) or original(*given)
    )
    predict_rows(model.model, model.find_task(None), ROWS, near=False)
    assert len(calls) == 2, "one pass of the encoder and one of the decoder"


def test_a_resumed_run_trains_only_members_that_are_missing(ensemble, tmp_path, monkeypatch, capsys):
    words = ("task=toy_regression", "adapt=head")
    straight = train(ensemble(*words, f"output={tmp_path / 'straight'}")).bundle
    original, trained = members_module._train, []

    def stops_at_the_third(shared, data, tokenizer, config, *rest):
        trained.append(config.seed)
        if len(trained) == 3:
            raise KeyboardInterrupt("stopped")
        return original(shared, data, tokenizer, config, *rest)

    monkeypatch.setattr(members_module, "_train", stops_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        train(ensemble(*words))
    assert (tmp_path / "run/members/1/checkpoints/best.ckpt").is_file()
    resumed = train(ensemble(*words, "resume=auto")).bundle
    assert trained == [1, 2, 3, 3]
    assert "member 2 of 3 is trained already" in capsys.readouterr().err
    stored = [(bundle / "members.safetensors").read_bytes() for bundle in (straight, resumed)]
    assert stored[0] == stored[1]
    with pytest.raises(ConfigError, match=r"was trained with optim\.lr=0\.01, and this run has optim\.lr=0\.5"):
        train(ensemble(*words, "resume=auto", "optim.lr=0.5"))
    monkeypatch.undo()
    monkeypatch.setenv("MAMMAL_CONFIGS", str(tmp_path / "configs"))
    train(ensemble(*words, "adapt.ensemble=2"))
    assert (tmp_path / "run/earlier/members/3").is_dir() and not (tmp_path / "run/members/3").exists()


def test_intervals_use_the_spread_of_members(ensemble, tmp_path):
    from mammal.tasks.batches.prediction import Prediction

    model = mammal.load(train(ensemble("task=toy_regression", "adapt=head")).bundle, device="cpu")
    task = model.find_task(None)
    generator = np.random.default_rng(0)
    spread_N = generator.uniform(0.1, 1.0, 200)
    said = [Prediction(n, value=float(error), spread=float(spread_N[n])) for n, error in
            enumerate(spread_N * generator.normal(size=200))]  # fmt: skip
    task.calibrate(said, [{"smiles": "C", "number": "0"}] * 200)
    (fitted,) = task.conformal.values()
    assert fitted.difficulty is not None and fitted.difficulty.spread > 0
    widths = [one.interval[1] - one.interval[0] for one in predict_rows(model.model, task, ROWS)]
    assert len(set(widths)) == len(ROWS)


@pytest.mark.parametrize("kind", ["regression", "classification"])
def test_an_ensemble_can_be_explained_but_neither_scored_nor_exported(ensemble, tmp_path, kind):
    model = mammal.load(train(ensemble(f"task=toy_{kind}", "adapt=lora", "adapt.ensemble=2")).bundle, device="cpu")
    explained = model.explain(MOLECULES[:1], method="occlusion")
    if kind == "regression":
        said = predict_rows(model.model, model.find_task(None), ROWS[:1])
        assert explained["output"].iloc[0] == pytest.approx(said[0].value, rel=1e-3)
    else:
        with pytest.raises(TaskError, match="ensemble of 2 members"):
            model.score([{"smiles": "CCO", "label": "yes"}])
    with pytest.raises(ConfigError, match="ensemble of 2 members"):
        model.export(tmp_path / "exported", "transformers")


def test_training_goes_on_from_the_model_that_members_share(ensemble, init, tmp_path):
    start = train(ensemble("task=toy_regression", "adapt=lora", "adapt.ensemble=2")).bundle
    words = ("task=toy_regression", "adapt=head", "adapt.ensemble=1", f"output={tmp_path / 'next'}", f"init={start}")
    model = read_bundle(train(ensemble(*words)).bundle).model
    assert not model.members
    assert model.t5_model.encoder.blocks[0].own.SelfAttention.q.weight.equal(
        read_bundle(init).model.t5_model.encoder.blocks[0].own.SelfAttention.q.weight
    )


@pytest.mark.parametrize(
    ("error", "words", "printed"),
    [
        (ConfigError, ("adapt=lora", "adapt.ensemble=0"), "must be 1 to 50"),
        (ConfigError, ("adapt=lora", "adapt.ensemble=51"), "must be 1 to 50"),
        (ConfigError, ("adapt=full",), "adapt=head or lora or probe"),
        (ConfigError, ("adapt=lora", "adapt.save=published"), "adapt.save=merged or adapters"),
        (ConfigError, ("adapt=lora", "init=null"), "init=BUNDLE"),
        (ConfigError, ("adapt=lora", "resume=last.ckpt"), "resume=auto"),
        (ConfigError, ("adapt=lora", "trainer.devices=2"), "trainer.devices=1"),
        (TaskError, ("adapt=lora", "task=toy_generation"), "adapt.ensemble=1"),
    ],
)
def test_ensembles_that_cannot_work_are_refused_with_a_remedy(ensemble, tmp_path, error, words, printed):
    with pytest.raises(error) as raised:
        train(ensemble("task=toy_regression", *words))
    assert isinstance(raised.value, MammalError) and printed in str(raised.value)
    assert not (tmp_path / "run/members").exists()


def test_damaged_bundles_are_refused(ensemble, tmp_path):
    bundle = train(ensemble("task=toy_regression", "adapt=head", "adapt.ensemble=2")).bundle
    lost = Path(shutil.copytree(bundle, tmp_path / "lost"))
    (lost / "members.safetensors").unlink()
    with pytest.raises(BundleError, match=r"members\.safetensors is missing"):
        mammal.load(lost)
    fewer = Path(shutil.copytree(bundle, tmp_path / "fewer"))
    config = json.loads((fewer / "config.json").read_text())
    config["mammal"]["members"]["count"] = 1
    (fewer / "config.json").write_text(json.dumps(config))
    with pytest.raises(BundleError, match="copy the bundle again"):
        mammal.load(fewer)
