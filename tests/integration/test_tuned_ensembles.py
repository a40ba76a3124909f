"""Ensembles of members that were tuned by LoRA or heads on one model: training, answers, bundles, refusals."""

import csv
import functools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import mammal
from mammal.bundle.folder import read_bundle
from mammal.cli import main
from mammal.configuration.compose import compose, parse_arguments
from mammal.errors import BundleError, ConfigError, MammalError, TaskError
from mammal.inference.predict import predict_rows
from mammal.model.delta import apply_delta
from mammal.model.model import MammalModel
from mammal.model.t5 import Stack
from mammal.model.weights import SafetensorsSource
from mammal.tasks.batches.prediction import Prediction
from mammal.tasks.tables.cells import Row
from mammal.training import members as members_module
from mammal.training.run import train

MOLECULES = ["CCO", "CCN", "c1ccccc1", "CC(=O)O"]
ROWS: list[Row] = [{"smiles": smiles} for smiles in MOLECULES]
METHODS = ("lora", "head")
KINDS = ("numbers", "classes")
COUNT = 2
QUICK = ("trainer.max_steps=1", "optim.lr=0.02", "schedule=constant", "test=false", "trainer.accelerator=cpu")
DECLARED = {
    "numbers": "kind: regression\nmode: encoder\nmetrics: [rmse]\n"
    'prompt: {input: "<MELTING_POINT><MASK> {smiles:smiles}", target: "{number:scalar}"}',
    "classes": 'kind: classification\nlabels: ["no", "yes"]\nmetrics: [accuracy]\n'
    'prompt: {input: "<BBBP><SENTINEL_ID_0> {smiles:smiles}", target: "<SENTINEL_ID_0> {label:label}"}',
    "texts": "kind: generation\nmetrics: [exact_match]\n"
    'prompt: {input: "<SENTINEL_ID_0> {smiles:smiles}", target: "<SENTINEL_ID_0> {smiles:smiles}"}',
}


@pytest.fixture(scope="module")
def init(small_bundle) -> Path:
    return small_bundle("bbbp")


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory, init):
    """Composes a run of an ensemble: `ensemble("task=numbers", "adapt=lora", "output=…")`."""
    folder = tmp_path_factory.mktemp("ensembles")
    data, tasks = folder / "rows.csv", folder / "configs" / "task"
    lines = [f"{'C' * n}{end},{n},{'yes' if n > 5 else 'no'}" for n in range(1, 11) for end in "NOF"]
    data.write_text("\n".join(["smiles,number,label", *lines]) + "\n")
    tasks.mkdir(parents=True)
    source = f"data: {{source: file, path: {data}, split: random, fractions: [0.6, 0.2, 0.2]}}\n"
    for name, text in DECLARED.items():
        (tasks / f"{name}.yaml").write_text(f"defaults: [schema, _self_]\nname: {name}\n{text}\n{source}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAMMAL_CONFIGS", str(tasks.parent))
        first = [f"init={init}", f"adapt.ensemble={COUNT}", *QUICK]
        yield lambda *words: compose("train", parse_arguments("train", [*first, *words]))


@pytest.fixture(scope="module")
def runs(ensemble, tmp_path_factory):
    """The folder of a finished run: `runs("lora", "numbers")`. Those of LoRA save adapters, those of heads all."""
    saves = {"lora": "adapters", "head": "merged"}

    @functools.cache
    def run(method: str, task: str) -> Path:
        folder = tmp_path_factory.mktemp(f"{method}_{task}")
        train(ensemble(f"task={task}", f"adapt={method}", f"adapt.save={saves[method]}", f"output={folder}"))
        return folder

    return run


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", KINDS)
def test_an_ensemble_answers_with_the_mean_of_its_members(runs, init, method, kind):
    folder = runs(method, kind)
    model = mammal.load(folder, device="cpu")
    task = model.find_task(None)
    said = predict_rows(model.model, task, ROWS)
    each = [predict_rows(alone(init, folder / f"members/{n}"), task, ROWS) for n in (1, 2)]
    numbers = np.array([[one.value for one in answers] for answers in each])
    assert numbers.std(axis=0).min() > 0
    assert [one.value for one in said] == pytest.approx(numbers.mean(axis=0).tolist(), rel=1e-4, abs=1e-5)
    if kind == "numbers":
        assert [one.spread for one in said] == pytest.approx(numbers.std(axis=0, ddof=1).tolist(), rel=1e-3, abs=1e-5)
    separate = [predict_rows(model.model, task, [row])[0].value for row in ROWS]
    assert separate == pytest.approx([one.value for one in said], rel=1e-4, abs=1e-5)


def alone(init: Path, folder: Path) -> MammalModel:
    """The model at `init` with the weights of one member, its adapters merged."""
    model = read_bundle(init).model
    model.add_encoder_scalars()  # as the run of `numbers`
    apply_delta(model, SafetensorsSource(folder / "member.safetensors"), alpha=8.0)
    return model


@pytest.mark.parametrize("method", METHODS)
def test_a_bundle_of_an_ensemble_is_complete(runs, init, tmp_path, capsys, method):
    bundle = runs(method, "numbers") / "bundle"
    recorded = json.loads((bundle / "config.json").read_text())["mammal"]
    assert recorded["format"] == 4 and recorded["members"]["count"] == COUNT
    assert recorded["adaptation"]["settings"]["ensemble"] == COUNT
    names = {file.name for file in bundle.iterdir()}
    assert {"members.safetensors", "adapters.safetensors" if method == "lora" else "model.safetensors"} <= names
    assert ("model.safetensors" in names) == (method == "head")
    assert (bundle / "members.safetensors").stat().st_size < (init / "model.safetensors").stat().st_size / 2
    assert not any(name.endswith((".pkl", ".pickle", ".ckpt")) for name in names)
    assert "ensemble of 2 fine-tuned members" in (bundle / "README.md").read_text()
    model = mammal.load(bundle, device="cpu")
    said = model.predict(MOLECULES)["prediction"].to_numpy()
    for dtype, closeness in (("float32", 1e-6), ("bfloat16", 0.1)):
        copied = mammal.load(model.save(tmp_path / dtype, dtype=dtype), device="cpu")
        assert np.allclose(copied.predict(MOLECULES)["prediction"], said, atol=closeness)
    table = tmp_path / "rows.csv"
    table.write_text("smiles\n" + "\n".join(MOLECULES) + "\n")
    assert main(["predict", f"bundle={bundle}", f"input={table}", f"output={tmp_path / 'out.csv'}"]) == 0
    with (tmp_path / "out.csv").open() as stream:
        written = [float(row["prediction"]) for row in csv.DictReader(stream)]
    assert written == pytest.approx(said.tolist(), rel=1e-4)
    capsys.readouterr()
    assert main(["info", str(bundle)]) == 0
    assert "members     2 of an ensemble" in capsys.readouterr().out


def test_an_ensemble_can_be_evaluated(runs, ensemble, tmp_path, capsys):
    folder, data = tmp_path / "evaluated", Path(ensemble("task=numbers", "adapt=head").task.data.path).parent
    words = [f"output={folder}", "baselines=false", f"paths.data={data}"]
    assert main(["evaluate", f"bundle={runs('head', 'numbers')}", *words]) == 0
    assert "rmse" in "".join(capsys.readouterr()) and any(folder.iterdir())


def test_members_share_their_weights(runs):
    model = read_bundle(runs("lora", "numbers")).model
    shared = {name: weight.data_ptr() for name, weight in model.named_parameters()}
    for member in model.members:
        own = {name for name, weight in member.named_parameters() if weight.data_ptr() != shared[name]}
        assert own and not any(name.startswith("t5_model.") for name in own)
        assert any(".SelfAttention.q." in name for name in member.own)
    half = model.to(torch.bfloat16)
    assert {weight.dtype for member in half.members for weight in member.state_dict().values()} == {torch.bfloat16}
    assert half.members[0].t5_model.shared.weight.data_ptr() == half.t5_model.shared.weight.data_ptr()


def test_heads_on_one_encoder_share_its_pass(runs, monkeypatch):
    model = mammal.load(runs("head", "classes"), device="cpu")
    calls, original = [], Stack.forward
    monkeypatch.setattr(Stack, "forward", lambda *given, **how: calls.append(1) or original(*given, **how))
    predict_rows(model.model, model.find_task(None), ROWS, near=False)
    assert len(calls) == 2, "one pass of the encoder and one of the decoder"


def test_a_resumed_run_trains_only_members_that_are_missing(runs, ensemble, tmp_path, monkeypatch, capsys):
    original, trained = members_module._train, []

    def stops_at_the_second(shared, data, tokenizer, config, *rest):
        trained.append(config.seed)
        if len(trained) == 2:
            raise KeyboardInterrupt("stopped")
        return original(shared, data, tokenizer, config, *rest)

    monkeypatch.setattr(members_module, "_train", stops_at_the_second)
    words = ("task=numbers", "adapt=head", f"output={tmp_path}")
    with pytest.raises(KeyboardInterrupt):
        train(ensemble(*words))
    assert (tmp_path / "members/1/checkpoints/best.ckpt").is_file()
    resumed = train(ensemble(*words, "resume=auto")).bundle
    assert trained == [1, 2, 2]
    assert "member 1 of 2 is trained already" in capsys.readouterr().err
    stored = [(bundle / "members.safetensors").read_bytes() for bundle in (runs("head", "numbers") / "bundle", resumed)]
    assert stored[0] == stored[1]
    with pytest.raises(ConfigError, match=r"was trained with optim\.lr=0\.02, and this run has optim\.lr=0\.5"):
        train(ensemble(*words, "resume=auto", "optim.lr=0.5"))
    trained[:] = [0]
    with pytest.raises(KeyboardInterrupt):  # a new run in the same folder
        train(ensemble(*words))
    assert (tmp_path / "earlier/members/1").is_dir() and not (tmp_path / "members/1").exists()


def test_intervals_use_the_spread_of_members(runs):
    model = mammal.load(runs("head", "numbers"), device="cpu")
    task = model.find_task(None)
    generator = np.random.default_rng(0)
    spread_N = generator.uniform(0.1, 1.0, 200)
    error_N = spread_N * generator.normal(size=200)
    said = [Prediction(n, value=float(error_N[n]), spread=float(spread_N[n])) for n in range(200)]
    task.calibrate(said, [{"smiles": "C", "number": "0"}] * 200)
    (fitted,) = task.conformal.values()
    assert fitted.difficulty is not None and fitted.difficulty.spread > 0
    widths = [one.interval[1] - one.interval[0] for one in predict_rows(model.model, task, ROWS)]
    assert len(set(widths)) == len(ROWS)


@pytest.mark.parametrize("kind", KINDS)
def test_an_ensemble_can_be_explained_but_neither_scored_nor_exported(runs, tmp_path, kind):
    model = mammal.load(runs("lora", kind), device="cpu")
    explained = model.explain(MOLECULES[:1], method="occlusion")
    said = predict_rows(model.model, model.find_task(None), ROWS[:1])
    if kind == "numbers":
        assert explained["output"].iloc[0] == pytest.approx(said[0].value, rel=1e-3)
    else:
        assert 1 / (1 + np.exp(-explained["output"].iloc[0])) == pytest.approx(said[0].probability, rel=1e-3)
        with pytest.raises(TaskError, match="ensemble of 2 members"):
            model.score([{"smiles": "CCO", "label": "yes"}])
    with pytest.raises(ConfigError, match="ensemble of 2 members"):
        model.export(tmp_path / "exported", "transformers")


def test_training_goes_on_from_the_model_that_members_share(runs, ensemble, init, tmp_path):
    words = ("task=numbers", "adapt=head", "adapt.ensemble=1", f"output={tmp_path}")
    model = read_bundle(train(ensemble(*words, f"init={runs('lora', 'numbers')}")).bundle).model
    assert not model.members
    name = "t5_model.encoder.block.0.layer.0.SelfAttention.q.weight"
    assert model.get_parameter(name).equal(read_bundle(init).model.get_parameter(name))


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
        (TaskError, ("adapt=lora", "task=texts"), "adapt.ensemble=1"),
    ],
)
def test_ensembles_that_cannot_work_are_refused_with_a_remedy(ensemble, tmp_path, error, words, printed):
    with pytest.raises(error) as raised:
        train(ensemble("task=numbers", f"output={tmp_path / 'run'}", *words))
    assert isinstance(raised.value, MammalError) and printed in str(raised.value)
    assert not (tmp_path / "run/members").exists()


def test_damaged_bundles_are_refused(runs, tmp_path):
    bundle = runs("head", "numbers") / "bundle"
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
