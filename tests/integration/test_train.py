"""Complete runs on small data: the files they write, what they start from, and their errors."""

import json
import resource

import pandas as pd
import pytest
import torch

import mammal
from mammal.cli import main
from mammal.errors import ConfigError, DataError, MammalError, TrainingError
from mammal.training.run import train

QUICK = ("trainer.max_epochs=2", "data.tokens_per_batch=200")
MIXTURE = "++mixture={tasks: {toy_regression: {rate: 1.0}, toy_classification: {rate: 1.0, metrics: [mcc]}}}"


def test_a_run_leaves_a_bundle_that_explains_itself(toy, tmp_path, capsys):
    result = train(toy(MIXTURE, *QUICK, "trainer.log_every_n_steps=1"))
    folder = tmp_path / "run"
    assert result.bundle == folder / "bundle" and result.steps > 2 and result.best_loss > 0
    names = {file.name for file in result.bundle.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer", "task.yaml", "metrics.json", "README.md"} <= names
    assert {file.name for file in (folder / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    splits = json.loads((folder / "splits.json").read_text())
    metrics = json.loads((result.bundle / "metrics.json").read_text())
    for task in ("toy_regression", "toy_classification"):
        assert metrics[task]["test"]["split_hash"] == splits[task]["hash"]
    assert list(metrics["toy_classification"]["test"]["MAMMAL"]) == ["mcc"]
    header = (folder / "metrics.csv").read_text().splitlines()[0]
    assert {"train/loss", "train/lr", "valid/loss", "valid/toy_classification/mcc"} <= set(header.split(","))
    reported = capsys.readouterr().err
    assert "tokens/s" in reported and "UserWarning" not in reported and "GPU available" not in reported


def test_a_bundle_says_how_it_was_trained_and_a_copy_keeps_it(toy, tmp_path):
    result = train(toy(MIXTURE, *QUICK, "trainer.log_every_n_steps=1", "test=false"))
    facts = json.loads((result.bundle / "metrics.json").read_text())["training"]
    assert facts["steps"] == result.steps and facts["tokens"] > facts["rows"] > result.steps
    assert facts["tokens_per_batch"] == 200 and "thread" in facts["hardware"] and facts["seconds"] >= 0
    losses = pd.read_csv(result.bundle / "losses.csv")
    assert list(losses) == ["step", "toy_classification", "toy_regression"]
    assert len(losses) == 2 and losses["step"].iloc[-1] == result.steps and losses.notna().all(axis=None)
    card = (result.bundle / "README.md").read_text()
    assert "## Training" in card and f"| {losses['toy_regression'].iloc[-1]:.3f} |" in card
    tuned = train(toy("task=toy_regression", *QUICK, "test=false", f"init={result.bundle}", f"output={tmp_path / 'b'}"))
    again = mammal.load(tuned.bundle).save(tmp_path / "elsewhere" / "copy", dtype="bfloat16")
    assert (again / "losses.csv").read_text() == (tuned.bundle / "losses.csv").read_text()
    base = json.loads((again / "config.json").read_text())["mammal"]["adaptation"]["base"]
    assert (again / base).resolve() == result.bundle.resolve()


def test_fitted_scale_is_in_the_bundle(toy):
    result = train(toy("task=toy_regression", *QUICK))
    values = mammal.load(result.bundle).predict(["CCO", "CCN"])["prediction"]
    assert values.between(-1, 2).all()  # the toy numbers lie between 0 and 1


def test_a_bundle_knows_its_split_though_its_test_rows_were_not_judged(toy, tmp_path):
    result = train(toy("task=toy_regression", *QUICK, "test=false"))
    split = json.loads((tmp_path / "run" / "splits.json").read_text())["toy_regression"]
    reported = mammal.load(result.bundle).metrics["toy_regression"]["test"]
    assert reported["split_hash"] == split["hash"] and reported["split"] == split["how"]
    assert reported["rows"] == split["rows"]["test"] and "MAMMAL" not in reported
    assert split["hash"] in (result.bundle / "README.md").read_text()


def test_two_runs_of_one_seed_are_equal(toy, tmp_path):
    def weights(name, seed):
        result = train(toy("task=toy_regression", *QUICK, "test=false", f"output={tmp_path / name}", f"seed={seed}"))
        return mammal.load(result.bundle).model.state_dict()

    first, same, other = weights("a", 1), weights("b", 1), weights("c", 2)
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("method", ["lora", "head"])
def test_a_bundle_is_fine_tuned_in_part(toy, tmp_path, method):
    base = train(toy("task=toy_regression", *QUICK, "test=false")).bundle
    before = mammal.load(base).model.state_dict()
    words = ["task=toy_regression", *QUICK, f"init={base}", f"adapt={method}", f"output={tmp_path / 'tuned'}"]
    tuned = mammal.load(train(toy(*words, "optim.lr=0.01")).bundle)
    after = tuned.model.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert "scalars_prediction_head.classifier.0.weight" in changed
    inside = {name for name in changed if ".block." in name}
    assert not any("DenseReluDense" in name for name in inside)
    assert inside if method == "lora" else not inside


@pytest.mark.parametrize(("method", "few"), [("lora", "adapters and heads"), ("head", "heads"), ("full", "")])
def test_few_weights_of_a_random_model_are_trained_with_a_warning(toy, caplog, method, few):
    train(toy("task=toy_regression", "trainer.max_epochs=1", "test=false", f"adapt={method}"))
    reported = [r.getMessage() for r in caplog.records if "weights are random" in r.getMessage()]
    expected = f"adapt={method} trains {few} only, and without init= all other weights are random"
    assert (len(reported) == 1 and expected in reported[0]) if few else not reported


def test_a_published_checkpoint_is_fine_tuned_with_new_tags(toy, shared, tmp_path):
    fixtures = shared / "compat/fixtures"
    prompt = "task.prompt.input='<BBBP><SENTINEL_ID_0> {smiles:smiles} <MOLECULAR_ENTITY_PEPTIDE>'"
    words = ["task=toy_classification", prompt, "optim=published", "schedule=published_cosine", "trainer.max_epochs=1"]
    start = [f"init={fixtures}/checkpoints/gated", f"tokenizer={fixtures}/tokenizer_modular"]
    result = train(toy(*words, *start, "test=false"))
    model = mammal.load(result.bundle)
    assert {"<BBBP>", "<MOLECULAR_ENTITY_PEPTIDE>"} <= set(model.tokenizer.specials)  # the published one has neither
    assert model.predict(["CCO"])["probability"].between(0, 1).all()


def test_rows_that_cannot_be_read_are_set_aside_and_listed(toy, tmp_path):
    data = tmp_path / "toy.csv"
    config = toy("task=toy_regression", *QUICK, "test=false")
    data.write_text(data.read_text() + "C1CC,0.5,no,CCO\nCCO,,no,CCO\n")
    train(config)
    listed = (tmp_path / "run" / "set_aside.csv").read_text()
    assert "unclosed ring" in listed


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_the_checkpoint(toy, tmp_path, monkeypatch):
    from mammal.tasks.kinds.regression import RegressionTask

    steps = 0
    loss = RegressionTask.loss

    def breaking(self, output, batch):
        nonlocal steps
        steps += self.epoch >= 1
        return loss(self, output, batch) * (float("nan") if self.epoch >= 2 else 1.0)

    monkeypatch.setattr(RegressionTask, "loss", breaking)
    with pytest.raises(TrainingError, match="the loss is nan"):
        train(toy("task=toy_regression", "trainer.max_epochs=5", "data.tokens_per_batch=200"))
    assert steps
    for name in ("best.ckpt", "last.ckpt"):
        stored = torch.load(tmp_path / "run/checkpoints" / name, weights_only=True)["state_dict"]
        assert all(torch.isfinite(weight).all() for weight in stored.values())
    assert not (tmp_path / "run" / "bundle").exists()


@pytest.mark.parametrize(
    ("words", "error", "what"),
    [
        ([], ConfigError, "nothing to train on"),
        (["task=toy_regression", MIXTURE], ConfigError, "both task and mixture"),
        (["++mixture={tasks: {toy_regresion: {}}}"], MammalError, "toy_regression"),
        (["++mixture={tasks: {toy_regression: {metrcs: [mae]}}}"], MammalError, "metrcs"),
        (["++mixture={tasks: []}"], ConfigError, "must name tasks"),
        (["task=toy_regression", "task.data.path=nowhere.csv"], DataError, "nowhere.csv"),
        (["task=toy_regression", "task.prompt.target='{numbr:scalar}'"], MammalError, "number"),
        (["task=toy_regression", "init=nowhere"], MammalError, "nowhere"),
        (["task=toy_regression", "resume=nowhere.ckpt"], ConfigError, "no checkpoint nowhere.ckpt"),
        (["task=toy_regression", "+model.d_modle=3"], ConfigError, "d_model"),
        (["task=toy_regression", "model.d_model=1.5"], ConfigError, "whole number"),
        (["task=toy_regression", "optim.lr=fast"], MammalError, "optim"),
        (["task=toy_regression", "trainer.max_steps=0"], ConfigError, "no step would be taken"),
        (["task=toy_regression", "trainer.max_epochs=0"], ConfigError, "no step would be taken"),
        (["task=toy_regression", "data.tokens_per_batch=0"], ConfigError, "data.tokens_per_batch"),
        (["task=toy_regression", "data.max_rows=many"], ConfigError, "data.max_rows"),
        (["task=toy_regression", "monitor=valid/los"], ConfigError, "valid/loss"),
        (["task=toy_regression", "monitor=valid/toy_regression/auroc"], ConfigError, "valid/toy_regression/pearson"),
        (["task=toy_regression", "monitor_mode=maximum"], ConfigError, "max"),
        (["task=toy_regression", "+optim.layer_decay_=1"], ConfigError, "layer_decay"),
        (["task=toy_regression", "optim.layer_decay=2"], ConfigError, "layer_decay"),
        (["++mixture={tasks: {toy_regression: {}}, temprature: 2}"], ConfigError, "temperature"),
        (["task=toy_classification", "task.labels=[a,b]"], MammalError, "label"),
    ],
)
def test_what_cannot_work_is_reported_before_training(toy, tmp_path, words, error, what):
    with pytest.raises(error) as reported:
        train(toy(*words))
    assert what in str(reported.value)
    assert not (tmp_path / "run" / "bundle").exists()


def test_a_damaged_checkpoint_is_reported(toy, tmp_path):
    damaged = tmp_path / "damaged.ckpt"
    damaged.write_bytes(b"not a checkpoint")
    with pytest.raises(TrainingError, match="not a checkpoint to resume from"):
        train(toy("task=toy_regression", f"resume={damaged}"))


def test_a_sweep_over_tasks_has_a_folder_for_each(toy, tmp_path, monkeypatch):
    toy()  # writes the tasks
    monkeypatch.chdir(tmp_path)
    words = ["-m", "task=toy_regression,toy_classification", "model=debug", "trainer.max_epochs=1", "test=false"]
    assert main(["train", *words, f"hydra.sweep.dir={tmp_path / 'sweep'}"]) == 0
    assert sorted(path.parent.name for path in (tmp_path / "sweep").glob("*/bundle")) == ["0", "1"]


@pytest.mark.parametrize(
    "words",
    [["trainer.precision=bf16-mixed"], ["data.num_workers=2"], ["debug=profile"], ["debug=limit", "test=false"]],
    ids=lambda words: words[0],
)
def test_other_ways_to_run(toy, tmp_path, words):
    result = train(toy(MIXTURE, *QUICK, *words))
    assert result.steps > 2
    assert mammal.load(result.bundle).predict(["CCO"], task="toy_regression")["prediction"].notna().all()
    if words == ["debug=profile"]:
        assert "training_step" in (tmp_path / "run" / "fit-profile.txt").read_text()


def test_the_figure_that_is_monitored_picks_the_weights(toy, tmp_path):
    words = ["task=toy_classification", "trainer.max_epochs=8", "optim.lr=0.01", "test=false"]
    result = train(toy(*words, "monitor=valid/toy_classification/accuracy", "callbacks=early_stopping"))
    table = pd.read_csv(tmp_path / "run/metrics.csv").dropna(subset=["valid/loss"])
    best = table.loc[table["valid/toy_classification/accuracy"].idxmax()]
    assert result.best_loss == pytest.approx(best["valid/loss"])
    assert result.steps < 8  # accuracy over three rows soon stands still


@pytest.mark.parametrize("extra", ["tensorboard", "wandb"])
def test_loggers_beside_the_table(toy, tmp_path, extra):
    from importlib.util import find_spec

    config = toy("task=toy_regression", *QUICK, "test=false", f"logger={extra}", *WANDB_OFFLINE.get(extra, ()))
    if find_spec(extra) is None:
        with pytest.raises(ConfigError, match=rf'logger.{extra}: .*not installed.*pip install "mammal\[{extra}\]"'):
            train(config)
        return
    train(config)
    assert (tmp_path / "run/metrics.csv").is_file() and any((tmp_path / "run" / extra).rglob("*"))


WANDB_OFFLINE = {"wandb": ("logger.wandb.offline=true",)}


def test_a_disk_that_is_full_leaves_the_checkpoint_before(toy, tmp_path, monkeypatch):
    words = ["task=toy_regression", "test=false"]
    train(toy(*words, "trainer.max_epochs=1"))
    last = tmp_path / "run/checkpoints/last.ckpt"
    before = last.read_bytes()
    allowed = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, allowed[1]))  # as a full disk: writing fails in the middle
    try:
        with pytest.raises(
            TrainingError, match=r"last\.ckpt: the checkpoint can't be written: File too large"
        ) as reported:
            train(toy(*words, "trainer.max_epochs=2", "callbacks.best=null", "resume=auto"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, allowed)
    assert "resume=auto" in reported.value.hint and reported.value.exit_code == 1
    assert last.read_bytes() == before and {f.name for f in last.parent.iterdir()} == {"best.ckpt", "last.ckpt"}
    assert train(toy(*words, "trainer.max_epochs=2", "resume=auto")).steps == 2


@pytest.mark.parametrize("words", [["data.tokens_per_batch=1"], ["data.tokens_per_batch=100000"]])
def test_batches_of_one_row_and_of_all_rows(toy, words):
    result = train(toy("task=toy_regression", "trainer.max_epochs=1", "test=false", *words))
    assert result.steps == (24 if words == ["data.tokens_per_batch=1"] else 1)


def test_accumulated_batches_take_fewer_steps(toy):
    every = train(toy("task=toy_regression", *QUICK, "test=false")).steps
    assert train(toy("task=toy_regression", *QUICK, "test=false", "trainer.accumulate_grad_batches=2")).steps < every


def test_the_loss_of_a_step_is_the_mean_of_its_batches(toy, tmp_path):
    still = ["optim.lr=1e-12", "model.dropout_rate=0", "trainer.max_epochs=1", "data.tokens_per_batch=40", "test=false"]

    def losses(several: int) -> list[float]:
        folder = tmp_path / str(several)
        words = [f"trainer.accumulate_grad_batches={several}", "trainer.log_every_n_steps=1", f"output={folder}"]
        train(toy("task=toy_regression", *still, *words))
        return pd.read_csv(folder / "metrics.csv")["train/loss"].dropna().tolist()

    one_by_one, by_four = losses(1), losses(4)
    expected = [sum(four) / len(four) for four in (one_by_one[i : i + 4] for i in range(0, len(one_by_one), 4))]
    assert by_four == pytest.approx(expected, rel=1e-5) and len(set(one_by_one)) > 4


def test_a_run_ends_when_its_time_is_over(toy):
    result = train(toy("task=toy_regression", "trainer.max_epochs=-1", "trainer.max_time=2", "test=false"))
    assert result.steps > 1 and result.best_loss is not None


def test_denoising_trains_without_labels_and_varies(toy, monkeypatch):
    from mammal.evaluation.task_data import TaskData

    seen = []
    examples = TaskData.examples

    def recorded(self, part):
        seen.append((part, self.task.epoch, [example.input.ids_L.tolist() for example in examples(self, part)]))
        return examples(self, part)

    monkeypatch.setattr(TaskData, "examples", recorded)
    spans = ["task.denoising.density=0.5", "task.denoising.mean_span=1"]
    assert train(toy("task=toy_denoising", *QUICK, *spans)).steps > 2
    inputs = {epoch: ids for part, epoch, ids in seen if part == "train"}
    assert set(inputs) == {0, 1} and inputs[0] != inputs[1]


def test_validation_may_count_batches_over_epochs(toy, tmp_path):
    words = ["trainer.val_check_interval=3", "trainer.check_val_every_n_epoch=null", "trainer.max_epochs=4"]
    result = train(toy("task=toy_regression", *words, "data.tokens_per_batch=200", "test=false"))
    judged = pd.read_csv(tmp_path / "run" / "metrics.csv").dropna(subset=["valid/loss"])["step"]
    assert judged.tolist() == list(range(2, result.steps, 3)) and result.best_loss is not None
    once = train(
        toy("task=toy_regression", *words, "trainer.max_steps=2", "test=false", f"output={tmp_path / 'short'}")
    )
    assert once.steps == 2 and once.bundle.is_dir()
