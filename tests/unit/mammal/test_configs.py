"""Every YAML of the tree composes, says what it is, and builds what it describes."""

from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from mammal.commands.compose import compose, parse
from mammal.errors import ConfigError

ROOT = Path(str(files("mammal.configs")))
GROUPS = sorted(folder.name for folder in ROOT.iterdir() if folder.is_dir() and any(folder.glob("*.yaml")))
OPTIONS = [
    (group, file.stem) for group in GROUPS for file in sorted((ROOT / group).glob("*.yaml")) if file.stem[0] != "_"
]
NEEDS = {
    ("launcher", "joblib"): "hydra_plugins.hydra_joblib_launcher",
    ("launcher", "slurm"): "hydra_plugins.hydra_submitit_launcher",
}
VERBS = sorted(file.stem for file in ROOT.glob("*.yaml") if file.stem != "job")


def installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


@pytest.fixture(autouse=True)
def no_other_configs(monkeypatch):
    monkeypatch.setenv("MAMMAL_CONFIGS", "")


def composed(verb: str, *words: str):
    return compose(verb, parse(verb, words))


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_composes(verb):
    OmegaConf.to_container(composed(verb), resolve=False)


@pytest.mark.parametrize(("group", "option"), OPTIONS)
def test_every_option_composes_and_resolves(group, option):
    module = NEEDS.get((group, option))
    if module and not installed(module):
        with pytest.raises(ConfigError, match="there is no hydra/launcher"):
            composed("train", f"{group}={option}")
        return
    config = composed("train", f"{group}={option}")
    plain = OmegaConf.to_container(config, resolve=True)
    assert group in ("launcher", "sweep", "debug", "experiment", "logger") or plain[group]


@pytest.mark.parametrize("file", [*sorted(ROOT.rglob("*.yaml"))], ids=lambda file: file.relative_to(ROOT).as_posix())
def test_every_file_opens_with_what_it_is(file):
    first = next(line for line in file.read_text(encoding="utf-8").splitlines() if line != "# @package _global_")
    assert first.startswith("# ") and len(first) > 20


def test_experiments_open_with_their_command():
    for file in (ROOT / "experiment").glob("*.yaml"):
        assert f"# mammal train experiment={file.stem}" in file.read_text(encoding="utf-8")


@pytest.mark.parametrize("option", [option for group, option in OPTIONS if group == "schedule"])
def test_schedules_are_what_their_file_says(option):
    from hydra.utils import instantiate

    schedule = instantiate(composed("train", f"schedule={option}").schedule)
    factors = [schedule(step, step / 200_000) for step in range(0, 200_000, 500)]
    assert max(factors) == pytest.approx(1.0, abs=1e-3) and min(factors) >= 0


@pytest.mark.parametrize("option", [option for group, option in OPTIONS if group == "model"])
def test_models_have_the_size_that_they_are_for(option):
    import torch

    from mammal.model.model import MammalModel
    from mammal.tokenization import Tokenizer
    from mammal.training.build import model_config

    section = composed("train", f"model={option}").model
    with torch.device("meta"):
        model = MammalModel(model_config(section, Tokenizer.load(None)), init=False)
    millions = sum(weight.numel() for weight in model.parameters()) / 1e6
    low, high = {"debug": (0, 1), "tiny": (5, 15), "small": (40, 70), "base": (200, 220)}[option]
    assert low < millions < high


def test_base_is_the_published_shape():
    import torch

    from mammal.model.model import MammalModel
    from mammal.tokenization import Tokenizer
    from mammal.training.build import model_config

    config = model_config(composed("train", "model=base", "+model.vocab_size=100001").model, Tokenizer.load(None))
    with torch.device("meta"):
        model = MammalModel(config, init=False)
    assert sum(weight.numel() for weight in model.parameters()) == 458_007_202


@pytest.mark.parametrize("option", [option for group, option in OPTIONS if group == "trainer" and option != "fsdp"])
def test_trainer_arguments_are_lightnings(option, tmp_path):
    import inspect

    import lightning.pytorch as lightning

    arguments = composed("train", f"trainer={option}").trainer
    assert set(arguments) <= set(inspect.signature(lightning.Trainer).parameters)


@pytest.mark.parametrize(
    ("word", "what"),
    [
        ("trainer.max_time=soon", "trainer.max_time is 'soon'"),
        ("trainer.precision=bf17", "trainer"),
        ("+trainer.max_epoch=3", "no key 'trainer.max_epoch'"),
        ("callbacks.best.monitr=x", "no key 'callbacks.best.monitr'"),
        ("+callbacks.mine={_target_: no.such.Callback}", "callbacks.mine"),
    ],
)
def test_a_trainer_that_cannot_be_built_says_why(word, what, tmp_path):
    from mammal.training.trainer import build_trainer

    with pytest.raises(ConfigError) as error:
        build_trainer(composed("train", f"output={tmp_path}", word), 10)
    assert what in str(error.value)


def test_users_add_configs_of_every_group(tmp_path):
    (tmp_path / "optim").mkdir()
    (tmp_path / "optim" / "mine.yaml").write_text("# mine\ndefaults: [adamw, _self_]\nlr: 0.125\n")
    config = composed("train", "optim=mine", "--config-dir", str(tmp_path))
    assert config.optim.lr == 0.125 and config.optim.weight_decay == 0.01


def test_paths_follow_the_environment(monkeypatch):
    monkeypatch.setenv("MAMMAL_DATA", "/somewhere")
    assert composed("train").paths.data == "/somewhere"


def test_names_of_runs():
    assert composed("train", "task=bbbp").name == "bbbp"
    assert composed("train", "mixture=demo").name == "demo"
    assert composed("train", "task=bbbp", "name=mine").output.startswith("runs/mine/")
