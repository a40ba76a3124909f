"""The shape of a model: what `config.json` says, in a type that refuses what it does not know.

The published layout of `config.json` keeps the T5 part under `t5_config` and the heads beside it. What only this
package has (positions in attention to the encoder, scalars out of the decoder, external embeddings) stands under
`mammal.model`, so that a file without that block loads in the published code too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any

from mammal.errors import BundleError, ConfigError, did_you_mean

ACTIVATIONS = ("gelu_new", "relu", "silu")

_T5_DEFAULTS: dict[str, Any] = {  # of `transformers.T5Config`, which the published code reads the file with
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
_OWN_KEYS = (
    *("cross_attention_num_buckets", "decoder_scalars", "external_embeddings", "lora_alpha", "position_slope_scale"),
)
_IGNORED_KEYS = ("auxiliary_encoder_heads", "random_weights", "transformers_version", "mammal")


@dataclass(frozen=True)
class ScalarHeadConfig:
    """An MLP from a hidden state to numbers.

    Attributes:
        layers: widths of the hidden layers.
        dropout: before each further layer, in training.
        num_classes: numbers given at each position; only the first is read as the value.
        predict_error: give as many error estimates beside the numbers.
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
        vocab_size: rows of the embedding, one more than the highest token id.
        d_model, d_ff, d_kv: widths of the residual stream, the feed-forward layer and one attention head.
        feed_forward_proj: "gated-gelu", "gated-silu" or "relu".
        tie_word_embeddings: the token head of the decoder is the embedding.
        scale_decoder_outputs: the token head's input is multiplied by d_model**-0.5; None: where the head is tied.
            transformers 5 writes this flag beside `tie_word_embeddings`, and a model that was made as tied can be
            saved there as untied and scaled.
        encoder_head_layers: hidden widths of the token head of the encoder; None: no such head.
        scalars_prediction_head: the scalar head of the encoder; None: no such head.
        support_input_scalars: tokens may carry values, projected and added to their embeddings.
        cross_attention_num_buckets: buckets of the distance between a decoder's token and the encoder's, each with a
            bias in attention to the encoder; 0: none, as in T5.
        position_slope_scale: how steeply position biases fall with distance in a model's first weights
            (`mammal.model.initial`); nothing else reads it.
        decoder_scalars: the decoder has a scalar head too, shaped as `scalars_prediction_head` (or one linear layer).
        external_embeddings: width of each external embedding by name; those named here are projected to d_model, any
            other must be d_model wide.
        lora_alpha: low-rank adapters count alpha / rank times; the published code fixes 8.
        t5_extra: keys of `t5_config` that do not shape the model; kept so that saving loses nothing.
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
            raise ConfigError(f"feed_forward_proj {self.feed_forward_proj!r} is not known", hint=hint)
        for name in ("vocab_size", "d_model", "d_ff", "d_kv", "num_layers", "num_decoder_layers", "num_heads"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}")

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
        """Whether the token head's input is multiplied by d_model**-0.5."""
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
            BundleError: no `t5_config`, an unknown key, or a value of the wrong kind.
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
            raise BundleError(f"config.json holds a value of the wrong kind: {error}") from error

    def to_published(self) -> dict[str, Any]:
        """The content of `config.json`, without anything about tasks or tokenizers."""
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
        defaults = {f.name: f.default for f in fields(self)} | {"external_embeddings": {}}
        if own := {name: values[name] for name in _OWN_KEYS if values[name] != defaults[name]}:
            config["mammal"] = {"model": own}
        return config


_T5_KEYS = (*_T5_DEFAULTS, "num_decoder_layers")


def _known_fields(kind: type[Any], values: Mapping[str, Any], where: str) -> Any:
    names = {f.name for f in fields(kind)}
    if unknown := sorted(set(values) - names):
        hint = did_you_mean(unknown[0], names, noun="key")
        raise BundleError(f"unknown keys: {', '.join(unknown)}", where=where, hint=hint)
    required = {f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING}
    if missing := sorted(required - set(values)):
        raise BundleError(f"missing keys: {', '.join(missing)}", where=where)
    return kind(**values)
