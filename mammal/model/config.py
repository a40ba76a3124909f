"""The sizes and heads of a model: the content of `config.json` as a type that refuses unknown keys.

The published layout of `config.json` has the T5 part under `t5_config` and the heads at the top level. Settings that
only this package has (positions in attention to the encoder, scalars from the decoder, external embeddings) are under
`mammal.model`, so that the published code can load a file without that block.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any

from mammal.errors import BundleError, ConfigError, did_you_mean

ACTIVATIONS = ("gelu_new", "relu", "silu")

_T5_DEFAULTS: dict[str, Any] = {  # defaults of `transformers.T5Config`, with which the published code reads the file
    "vocab_size": 32128,
    "d_model": 512,
    "d_kv": 64,
    "d_ff": 2048,
    "num_layers": 6,
    "num_heads": 8,
    "feed_forward_proj": "relu",
    "dropout_rate": 0.1,
    "layer_norm_epsilon": 1e-6,
    "relative_attention_num_buckets": 32,
    "relative_attention_max_distance": 128,
    "tie_word_embeddings": True,
    "decoder_start_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 0,
}
_HEAD_KEYS = ("encoder_head_layers", "encoder_head_dropout", "scalars_prediction_head", "support_input_scalars")
_PUBLISHED_LORA_ALPHA = 8.0
_IGNORED_KEYS = ("auxiliary_encoder_heads", "random_weights", "transformers_version", "mammal")


@dataclass(frozen=True)
class ScalarHeadConfig:
    """An MLP that predicts numbers from a hidden state.

    Attributes:
        layers: widths of the hidden layers.
        dropout: dropout rate before each layer except the first, in training.
        num_classes: number of outputs at each position; only the first one is used as the value.
        predict_error: also predict an error estimate for each output.
    """

    layers: tuple[int, ...] = ()
    dropout: float = 0.0
    num_classes: int = 1
    predict_error: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(int(width) for width in self.layers))

    @property
    def outputs(self) -> int:
        return self.num_classes * (2 if self.predict_error else 1)


@dataclass(frozen=True)
class ModelConfig:
    """Sizes and heads of a `MammalModel`. Field names are those of the published `config.json`.

    Attributes:
        vocab_size: number of rows of the embedding, one more than the highest token id.
        d_model: width of the residual stream.
        d_ff: width of the feed-forward layer.
        d_kv: width of one attention head.
        feed_forward_proj: "gated-gelu", "gated-silu" or "relu".
        tie_word_embeddings: the token head of the decoder uses the weights of the embedding.
        scale_decoder_outputs: the input of the token head is multiplied by d_model**-0.5; None: only if the head is
            tied. transformers 5 writes this flag in addition to `tie_word_embeddings`, and a model that was created as
            tied can be saved there as untied and scaled.
        encoder_head_layers: hidden widths of the token head of the encoder; None: no such head.
        scalars_prediction_head: the scalar head of the encoder; None: no such head.
        support_input_scalars: tokens can carry values, which are projected and added to their embeddings.
        cross_attention_num_buckets: number of buckets for the distance between decoder token and encoder token, each
            with a bias in attention to the encoder; 0: no such biases, as in T5.
        position_slope_scale: how steeply position biases fall with distance in the initial weights
            (`mammal.model.initial`); not used otherwise.
        decoder_scalars: the decoder also has a scalar head, with the layers of `scalars_prediction_head` (or one linear
            layer).
        external_embeddings: width of each external embedding, by name. These embeddings are projected to d_model;
            others must have the width d_model.
        vector_heads: width of each vector that the model predicts from encoder states, by name of its head.
        lora_alpha: low-rank adapters are scaled by alpha / rank; in the published code alpha is always 8.
        t5_extra: keys of `t5_config` that don't affect the model; they are kept for saving.
    """

    vocab_size: int
    d_model: int = 768
    d_ff: int = 2048
    d_kv: int = 64
    num_layers: int = 12
    num_decoder_layers: int = 12
    num_heads: int = 12
    feed_forward_proj: str = "gated-gelu"
    dropout_rate: float = 0.1
    layer_norm_epsilon: float = 1e-6
    relative_attention_num_buckets: int = 32
    relative_attention_max_distance: int = 128
    tie_word_embeddings: bool = False
    scale_decoder_outputs: bool | None = None
    decoder_start_token_id: int = 16
    eos_token_id: int = 5
    pad_token_id: int = 1
    encoder_head_layers: tuple[int, ...] | None = None
    encoder_head_dropout: float = 0.0
    scalars_prediction_head: ScalarHeadConfig | None = None
    support_input_scalars: bool = False
    cross_attention_num_buckets: int = 0
    position_slope_scale: float = 1.0
    decoder_scalars: bool = False
    external_embeddings: Mapping[str, int] = field(default_factory=dict)
    vector_heads: Mapping[str, int] = field(default_factory=dict)
    lora_alpha: float = _PUBLISHED_LORA_ALPHA
    t5_extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.encoder_head_layers is not None:
            object.__setattr__(self, "encoder_head_layers", tuple(int(width) for width in self.encoder_head_layers))
        if isinstance(self.scalars_prediction_head, Mapping):
            head = _known_fields(ScalarHeadConfig, self.scalars_prediction_head, "scalars_prediction_head")
            object.__setattr__(self, "scalars_prediction_head", head)
        if self.activation not in ACTIVATIONS:
            hint = did_you_mean(self.feed_forward_proj, ["relu", "gated-gelu", "gated-silu"])
            raise ConfigError(f"feed_forward_proj {self.feed_forward_proj!r} does not exist", hint=hint)
        for name in ("vocab_size", "d_model", "d_ff", "d_kv", "num_layers", "num_decoder_layers", "num_heads"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not isinstance(self.vector_heads, Mapping):
            raise ConfigError(f"vector_heads is {self.vector_heads!r}", hint="vector_heads: {NAME: WIDTH}")
        for name, width in self.vector_heads.items():
            if isinstance(width, bool) or not isinstance(width, int) or width < 1:
                hint = "vector_heads: {NAME: number of entries of the vector}"
                raise ConfigError(f"the width of the vector head {name!r} is {width!r}", hint=hint)

    @property
    def gated(self) -> bool:
        """Whether the feed-forward layer multiplies two projections (T5 v1.1) or has one (T5 v1.0)."""
        return self.feed_forward_proj.startswith("gated-")

    @property
    def activation(self) -> str:
        """Name of the non-linearity; "gated-gelu" means the tanh approximation, as in transformers."""
        name = self.feed_forward_proj.removeprefix("gated-")
        return "gelu_new" if name == "gelu" and self.gated else name

    @property
    def scales_decoder_outputs(self) -> bool:
        """Whether the input of the token head is multiplied by d_model**-0.5."""
        return self.tie_word_embeddings if self.scale_decoder_outputs is None else self.scale_decoder_outputs

    @property
    def decoder_scalars_head(self) -> ScalarHeadConfig | None:
        return (self.scalars_prediction_head or ScalarHeadConfig()) if self.decoder_scalars else None

    @classmethod
    def from_published(cls, config: Mapping[str, Any], *, allow_extra: bool = False) -> ModelConfig:
        """Reads the content of a `config.json`.

        Args:
            config: the parsed file.
            allow_extra: ignore unknown keys at the top level instead of refusing them.

        Raises:
            BundleError: `t5_config` is missing, a key is unknown, or a value has the wrong type.
        """
        if not isinstance(config, Mapping) or not isinstance(config.get("t5_config"), Mapping):
            raise BundleError("config.json has no t5_config block, so it is not a MAMMAL model's")
        known = {"t5_config", "use_lora", *_HEAD_KEYS, *_IGNORED_KEYS}
        if (unknown := sorted(set(config) - known)) and not allow_extra:
            hint = did_you_mean(unknown[0], known, noun="key")
            raise BundleError(f"config.json has unknown keys: {', '.join(unknown)}", hint=hint)
        t5 = {**_T5_DEFAULTS, **config["t5_config"]}
        t5["num_decoder_layers"] = t5.get("num_decoder_layers") or t5["num_layers"]
        shape = {name: t5.pop(name) for name in _T5_KEYS}
        shape = {name: _T5_DEFAULTS[name] if value is None else value for name, value in shape.items()}
        shape["scale_decoder_outputs"] = t5.pop("scale_decoder_outputs", None)
        heads = {name: config[name] for name in _HEAD_KEYS if config.get(name) is not None}
        own = (config.get("mammal") or {}).get("model") or {}
        try:
            return _known_fields(cls, {**shape, **heads, **own, "t5_extra": t5}, "config.json")
        except TypeError as error:
            raise BundleError(f"config.json contains a value of the wrong type: {error}") from error

    def to_published(self) -> dict[str, Any]:
        """Returns the content of `config.json`, without the parts about tasks and tokenizers."""
        values = asdict(self)
        derived = {
            "model_type": "t5",
            "is_encoder_decoder": True,
            "is_gated_act": self.gated,
            "dense_act_fn": self.activation,
        }
        config: dict[str, Any] = {name: values[name] for name in _HEAD_KEYS}
        if self.scalars_prediction_head is not None:
            config["scalars_prediction_head"]["layers"] = list(self.scalars_prediction_head.layers)
        if self.encoder_head_layers is not None:
            config["encoder_head_layers"] = list(self.encoder_head_layers)
        config["t5_config"] = {**derived, **self.t5_extra, **{name: values[name] for name in _T5_KEYS}}
        if self.scale_decoder_outputs is not None:
            config["t5_config"]["scale_decoder_outputs"] = self.scale_decoder_outputs
        config |= {"auxiliary_encoder_heads": None, "random_weights": False, "use_lora": False}
        defaults = {f.name: f.default for f in fields(self)} | {"external_embeddings": {}, "vector_heads": {}}
        if own := {name: values[name] for name in _OWN_KEYS if values[name] != defaults[name]}:
            config["mammal"] = {"model": own}
        return config


_T5_KEYS = (*_T5_DEFAULTS, "num_decoder_layers")
_OWN_KEYS = tuple(
    sorted({f.name for f in fields(ModelConfig)} - {*_T5_KEYS, *_HEAD_KEYS, "scale_decoder_outputs", "t5_extra"})
)
"""Settings that the published code does not have."""


def _known_fields(kind: type[Any], values: Mapping[str, Any], where: str) -> Any:
    names = {f.name for f in fields(kind)}
    if unknown := sorted(set(values) - names):
        hint = did_you_mean(unknown[0], names, noun="key")
        raise BundleError(f"unknown keys: {', '.join(unknown)}", where=where, hint=hint)
    required = {f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING}
    if missing := sorted(required - set(values)):
        raise BundleError(f"missing keys: {', '.join(missing)}", where=where)
    return kind(**values)
