"""The model: computes token scores and numbers from prompts, in encoder or encoder-decoder mode.

Everything is computed on packed tokens (`packing`), and heads only at the positions in `Batch.read_DR`.

Shapes: B encoder rows, D decoder rows, L encoder tokens, T decoder tokens, R reads of a row, V scored ids, W width;
N packed encoder tokens, M packed reads.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from mammal.errors import ConfigError
from mammal.model.attention import PackedAttention
from mammal.model.chain import chained_numbers
from mammal.model.config import ModelConfig, ScalarHeadConfig
from mammal.model.heads import MLPHead
from mammal.model.initial import initialise, initialise_head, initialise_projection
from mammal.model.int8 import require_int8
from mammal.model.layers import Linear
from mammal.model.lora import LowRank
from mammal.model.masks import RowMasks, decoder_keys
from mammal.model.packing import Packing
from mammal.model.products import Product
from mammal.model.states import Memory, Reads
from mammal.model.t5 import T5
from mammal.model.vector_heads import added_head, empty_heads, pooled_states, read_tokens, read_vectors
from mammal.tasks.batches.batch import Batch, ModelOutput

OF_MEMBERS = frozenset(("logits", "values"))
"""Outputs that the members of an ensemble give."""


class MammalModel(nn.Module):
    """The network. Parameters are named as in the published checkpoints (`t5_model`, `encoder_head`, …).

    Args:
        config: sizes and heads.
        init: initialise the weights; False: they are uninitialised memory, for callers that set them.

    Attributes:
        adapters: low-rank adapters that were merged into the weights, by name of the weight; kept for saving.
        members: members of an ensemble of fine-tuned models (`mammal.model.members`). They share the weights of this
            model except their `own`, and give token scores and numbers in place of its heads. Other outputs are those
            of this model.
        own: of a member: names of the weights that it does not share, and of those to which it adds an adapter.
    """

    def __init__(self, config: ModelConfig, *, init: bool = True):
        super().__init__()
        self.config = config
        self.adapters: dict[str, LowRank] = {}
        self.members: tuple[MammalModel, ...] = ()
        self.own: frozenset[str] = frozenset()
        self.t5_model = T5(config)
        self.encoder_head: MLPHead | None = None
        self.scalars_prediction_head: MLPHead | None = None
        self.decoder_scalars_head: MLPHead | None = None
        if config.support_input_scalars:
            self.project_input_scalars = Linear(1, config.d_model)
        if config.encoder_head_layers is not None:
            self.encoder_head = MLPHead(
                config.d_model, config.encoder_head_layers, config.vocab_size, config.encoder_head_dropout
            )
        if config.scalars_prediction_head is not None:
            self.scalars_prediction_head = _scalar_head(config.d_model, config.scalars_prediction_head)
        if config.decoder_scalars_head is not None:
            self.decoder_scalars_head = _scalar_head(config.d_model, config.decoder_scalars_head)
        self.project_external_embeddings = nn.ModuleDict(
            {name: Linear(width, config.d_model) for name, width in sorted(config.external_embeddings.items())}
        )
        self.vector_heads = empty_heads(config.d_model, config.vector_heads)
        if init:
            initialise(self, tied=config.tie_word_embeddings)

    @property
    def device(self) -> torch.device:
        return self.t5_model.shared.weight.device

    @property
    def dtype(self) -> torch.dtype:
        return self.t5_model.shared.weight.dtype

    @property
    def number_format(self) -> str:
        """Number format in which the decoder computes: `float32`, `bfloat16`, `float16` or `int8`."""
        return "int8" if self.t5_model.int8 else str(self.dtype).removeprefix("torch.")

    def use_int8(self) -> None:
        """Decoder and token head compute with 8-bit copies of their weights from now on, except for gradients.

        Raises:
            ConfigError: the model is not on a CPU, or torch has no kernels for this CPU.
        """
        require_int8(self.device)
        self.t5_model.use_int8()

    def in_float32(self) -> MammalModel:
        """Returns a model with the same weights that computes in float32: this one if it does so, else a copy."""
        if self.number_format == "float32":
            return self
        copy = deepcopy(self).float()
        copy.t5_model.use_int8(False)
        return copy

    def add_external_embeddings(self, widths: Mapping[str, int]) -> None:
        """Adds new weights for external embeddings that the model could not read so far.

        Args:
            widths: width of each external embedding, by name.

        Raises:
            ConfigError: the model already reads one of them with another width.
        """
        for name, width in widths.items():
            known = self.config.external_embeddings.get(name)
            if known is None:
                projection = Linear(width, self.config.d_model).to(self.device, self.dtype)
                initialise_projection(projection, tied=self.config.tie_word_embeddings)
                self.project_external_embeddings[name] = projection
            elif known != width:
                raise ConfigError(f"this model reads {name!r} embeddings of width {known}, not {width}")
        self.config = replace(self.config, external_embeddings={**self.config.external_embeddings, **widths})

    def add_vector_heads(self, widths: Mapping[str, int]) -> None:
        """Adds new heads for vectors that the model could not predict so far.

        Args:
            widths: number of entries of each vector, by name.

        Raises:
            ConfigError: the model already predicts one of them with another width, or a width is not a positive whole
                number.
        """
        for name, width in widths.items():
            known = self.config.vector_heads.get(name, width)
            if known != width:
                raise ConfigError(f"this model predicts {name!r} vectors of width {known}, not {width}")
        config = replace(self.config, vector_heads={**self.config.vector_heads, **widths})
        for name in sorted(widths.keys() - self.config.vector_heads.keys()):
            self.vector_heads[name] = added_head(config.d_model, widths[name], self.t5_model.shared.weight)
        self.config = config

    def keep_vector_heads(self, names: Collection[str]) -> None:
        """Removes the vector heads that are not needed any more.

        Args:
            names: heads that stay; names that the model lacks are ignored.
        """
        kept = {name: width for name, width in self.config.vector_heads.items() if name in names}
        for name in self.config.vector_heads.keys() - kept.keys():
            del self.vector_heads[name]
        self.config = replace(self.config, vector_heads=kept)

    def add_decoder_scalars(self) -> None:
        """Adds new weights for numbers from the decoder, and for numbers as input, if the model has none."""
        gives = self.config.decoder_scalars
        self.config = replace(self.config, decoder_scalars=True)
        if not gives:
            shape = self.config.decoder_scalars_head or ScalarHeadConfig()
            self.decoder_scalars_head = self._new_head(_scalar_head(self.config.d_model, shape))
        self.add_input_scalars()

    def add_input_scalars(self) -> None:
        """Adds new weights for numbers as input, if the model has none."""
        if self.config.support_input_scalars:
            return
        self.config = replace(self.config, support_input_scalars=True)
        self.project_input_scalars = Linear(1, self.config.d_model).to(self.device, self.dtype)
        initialise_projection(self.project_input_scalars, tied=self.config.tie_word_embeddings)

    def add_encoder_scalars(self, shape: ScalarHeadConfig | None = None) -> None:
        """Adds a new head for numbers from the encoder, if the model has none.

        Args:
            shape: layers of the head. Default: one linear layer.
        """
        if self.scalars_prediction_head is None:
            shape = shape or ScalarHeadConfig()
            self.config = replace(self.config, scalars_prediction_head=shape)
            self.scalars_prediction_head = self._new_head(_scalar_head(self.config.d_model, shape))

    def add_encoder_head(self, layers: Sequence[int] = (), dropout: float = 0.0) -> None:
        """Adds a new token head of the encoder, if the model has none.

        Args:
            layers: widths of its hidden layers. Default: one linear layer.
            dropout: dropout rate before each layer except the first, in training.
        """
        if self.encoder_head is None:
            self.config = replace(self.config, encoder_head_layers=tuple(layers), encoder_head_dropout=dropout)
            head = MLPHead(self.config.d_model, layers, self.config.vocab_size, dropout)
            self.encoder_head = self._new_head(head, gives_logits=True)

    def _new_head(self, head: MLPHead, *, gives_logits: bool = False) -> MLPHead:
        initialise_head(head, gives_logits=gives_logits)
        return head.to(self.device, self.dtype)

    def forget_copies(self) -> None:
        """Deletes the copies of weights that inference made (`products`). Call it after changing weights by `.data`."""
        for module in self.modules():
            for product in vars(module).values():
                if isinstance(product, Product):
                    product.forget()
        for member in self.members:
            member.forget_copies()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> MammalModel:
        """Moves or converts the weights, and those that members don't share; they are not among the parameters."""
        super()._apply(fn, recurse)
        for member in self.members:
            member._apply(fn, recurse)
        return self

    def forward(self, batch: Batch, inputs_BLW: Tensor | None = None) -> ModelOutput:
        """Computes the outputs that `batch.wants` requests, at the positions `batch.read_DR`.

        Args:
            batch: encoded prompts, on the device of the model.
            inputs_BLW: as for `encode`.

        Returns:
            The requested outputs; the others are None.

        Raises:
            ConfigError: the model lacks a head that the batch needs.
        """
        if self.members and not OF_MEMBERS.isdisjoint(batch.wants):
            return self._with_members(batch, None, inputs_BLW)
        return self.outputs(batch, self.encode(batch, inputs_BLW))

    def outputs(self, batch: Batch, memory: Memory) -> ModelOutput:
        """Computes the outputs of `forward` from states of the encoder. Batches with equal inputs can share the states.

        Args:
            batch: as for `forward`.
            memory: result of `encode` for this batch, or for one with the same tokens, values and embeddings.

        Returns:
            As for `forward`.

        Raises:
            ConfigError: as for `forward`.
        """
        if self.members and not OF_MEMBERS.isdisjoint(batch.wants):
            return self._with_members(batch, memory)
        return self._outputs(batch, memory)

    def _outputs(self, batch: Batch, memory: Memory, reads: Reads | None = None) -> ModelOutput:
        """The outputs of this model without its members. If `reads` is None, it is computed."""
        wants = set(batch.wants)
        hidden_BLW = memory.hidden(batch.ids_BL.shape[1]) if "hidden" in wants else None
        if not wants & {"logits", "values", "vectors", "token_labels", "pooled"}:
            return ModelOutput(hidden_BLW=hidden_BLW)
        reads = self.reads(batch, memory) if reads is None else reads
        vectors = read_vectors(self.vector_heads, batch.vectors, batch, memory, reads) if "vectors" in wants else {}
        pooled_BSW = pooled_states(batch, memory, reads) if "pooled" in wants else None
        logits_DRV = values_DR = spreads_DR = None
        if "logits" in wants:
            logits_DRV = reads.scatter(self.token_logits(reads.states_MW, batch.mode, batch.candidates_V))
        if "token_labels" in wants:
            logits_DRV = read_tokens(self.vector_heads, batch, reads)
        if "values" in wants:
            numbers_DRC = self._numbers(batch, memory, reads)
            head = self.config.scalars_prediction_head or ScalarHeadConfig()
            values_DR = numbers_DRC[..., 0]
            gives_error = head.predict_error and not batch.vectors
            spreads_DR = numbers_DRC[..., head.num_classes] if gives_error else None
        return ModelOutput(logits_DRV, values_DR, spreads_DR, hidden_BLW, vectors, pooled_BSW)

    def _with_members(self, batch: Batch, memory: Memory | None, inputs_BLW: Tensor | None = None) -> ModelOutput:
        """Token scores and numbers of every member, and the other outputs of this model.

        Members with the same encoder and decoder share one pass.
        """
        theirs = replace(batch, wants=tuple(name for name in batch.wants if name in OF_MEMBERS))
        rest = replace(batch, wants=tuple(name for name in batch.wants if name not in OF_MEMBERS))
        if memory is None and (rest.wants or not all(member._encodes_alone(batch) for member in self.members)):
            memory = self.encode(batch, inputs_BLW)
        states = {} if memory is None else memory.of_members
        reads: Reads | None = None
        found = []
        for place, member in enumerate(self.members):
            if member._encodes_alone(batch):
                if place not in states:
                    states[place] = member.encode(batch, inputs_BLW)
                found.append(member._outputs(theirs, states[place]))
                continue
            assert memory is not None, "states that members share"
            if member._decodes_alone(batch):
                found.append(member._outputs(theirs, memory))
                continue
            reads = self.reads(batch, memory) if reads is None else reads
            found.append(member._outputs(theirs, memory, reads))
        own = ModelOutput() if memory is None else self._outputs(rest, memory)
        return replace(own, members=tuple(found))

    def _encodes_alone(self, batch: Batch) -> bool:
        """Whether the encoder of this member has other states of a batch than that of the model."""
        starts = ["t5_model.encoder."]
        starts += [] if batch.values_BL is None else ["project_input_scalars."]
        starts += ["project_external_embeddings."] if batch.embeddings else []
        return any(name.startswith(tuple(starts)) for name in self.own)

    def _decodes_alone(self, batch: Batch) -> bool:
        """Whether the decoder of this member has other states of a batch, with equal states of the encoder."""
        if batch.mode == "encoder":
            return False
        starts = ["t5_model.decoder."]
        starts += [] if batch.decoder_values_DT is None else ["project_input_scalars."]
        return batch.feeds_back or any(name.startswith(tuple(starts)) for name in self.own)

    def _numbers(self, batch: Batch, memory: Memory, reads: Reads) -> Tensor:
        """Outputs of the scalar head, or of the head that the batch names, float32 [D, R, C]."""
        if batch.vectors:
            return read_tokens(self.vector_heads, batch, reads)
        if batch.feeds_back:
            return chained_numbers(batch, partial(self.reads, memory=memory), self.scalar_head(batch.mode))
        return reads.scatter(self.scalar_head(batch.mode)(reads.states_MW).float())

    def encode(self, batch: Batch, inputs_BLW: Tensor | None = None) -> Memory:
        """Runs the encoder; returns its states of every real token.

        Args:
            batch: encoded prompts, on the device of the model.
            inputs_BLW: embeddings that are read in place of those of the batch's tokens and values, float [B, L, W].
        """
        packing = Packing.of_mask(batch.mask_BL)
        x_NW = self._input_embeddings(batch, packing) if inputs_BLW is None else packing.pack(inputs_BLW)
        masks = None if batch.dropout_keys_B is None else RowMasks(batch.dropout_keys_B, packing)
        return Memory(self.t5_model.encoder(x_NW, packing, masks=masks), packing)

    def input_embeddings(self, batch: Batch) -> Tensor:
        """Computes what the encoder reads: embeddings of tokens, values and external embeddings, float [B, L, W].

        Args:
            batch: encoded prompts, on the device of the model.
        """
        packing = Packing.of_mask(batch.mask_BL)
        padded_BLW = packing.pad(self._input_embeddings(batch, packing))
        return nn.functional.pad(padded_BLW, (0, 0, 0, batch.ids_BL.shape[1] - packing.length))

    def _input_embeddings(self, batch: Batch, packing: Packing) -> Tensor:
        x_NW = self.embed(batch.ids_BL, packing, batch.values_BL, batch.has_value_BL)
        return self._add_external(x_NW, packing, batch)

    def decode(self, batch: Batch, memory: Memory) -> tuple[Tensor, Packing]:
        """Runs the decoder over given decoder inputs (teacher forcing).

        Args:
            batch: a batch in decoder mode.
            memory: result of `encode` for the same batch.

        Returns:
            The packed states of the decoder, and their packing.

        Raises:
            ConfigError: the batch has no decoder inputs.
        """
        if batch.decoder_ids_DT is None:
            raise ConfigError("a batch in decoder mode needs decoder inputs")
        mask_DT = batch.decoder_mask_DT
        mask_DT = torch.ones_like(batch.decoder_ids_DT, dtype=torch.bool) if mask_DT is None else mask_DT
        packing = Packing.of_mask(mask_DT)
        x_NW = self.embed(batch.decoder_ids_DT, packing, batch.decoder_values_DT, batch.decoder_has_value_DT)
        cross = self._cross_attention(packing, batch.decoder_rows_D, memory)
        keys_B, masks = batch.dropout_keys_B, None
        if keys_B is not None:
            masks = RowMasks(decoder_keys(keys_B, batch.decoder_rows_D), packing)
        return self.t5_model.decoder(x_NW, packing, memory.states_NW, cross, masks), packing

    def _cross_attention(self, packing: Packing, rows_D: Tensor | None, memory: Memory) -> PackedAttention:
        """Attention of packed decoder tokens to the encoder row that each of them reads."""
        keys = memory.packing
        bias_HTK = self.t5_model.decoder.cross_bias(packing.length, keys.length, memory.states_NW.dtype)
        if rows_D is None:
            return PackedAttention(packing, keys, self.config.num_heads, bias_HTK)
        queries = _by_encoder_row(packing, rows_D, memory)
        if bias_HTK is None:
            return PackedAttention(queries, keys, self.config.num_heads)
        steps_N = packing.index_N % packing.length
        steps_BQ = queries.pad(steps_N.unsqueeze(1)).squeeze(2)
        return PackedAttention(queries, keys, self.config.num_heads, bias_HTK, steps_BQ)

    def reads(self, batch: Batch, memory: Memory) -> Reads:
        """The states at the positions `batch.read_DR`: of the encoder, or of the decoder over its given inputs."""
        if batch.mode == "encoder":
            states_NW, packing = memory.states_NW, memory.packing
        else:
            states_NW, packing = self.decode(batch, memory)
        read_DR = batch.read_DR
        shape = (read_DR.shape[0], read_DR.shape[1])
        wanted_DR = read_DR >= 0
        slots_M = None if bool(wanted_DR.all()) else wanted_DR.reshape(-1).nonzero().squeeze(1)
        tokens_DR = packing.tokens_BL.gather(1, read_DR.clamp(min=0))
        tokens_M = tokens_DR.reshape(-1)
        if slots_M is not None:
            tokens_M = tokens_M.index_select(0, slots_M)
        return Reads(states_NW.index_select(0, tokens_M), slots_M, shape)

    def embed(
        self, ids_BL: Tensor, packing: Packing, values_BL: Tensor | None = None, has_value_BL: Tensor | None = None
    ) -> Tensor:
        """Computes packed embeddings. If a token carries a value, the projection of the value is added.

        Args:
            ids_BL: token ids, int64 [B, L].
            packing: packing of these tokens.
            values_BL: values of tokens, float32 [B, L]; None: no values.
            has_value_BL: which tokens carry a value, bool [B, L].

        Returns:
            Packed embeddings, [N, W].
        """
        x_NW = self.t5_model.shared(packing.pack(ids_BL))
        if values_BL is None or has_value_BL is None:
            return x_NW
        return self.add_values(x_NW, packing.pack(values_BL), packing.pack(has_value_BL))

    def add_values(self, x_NW: Tensor, values_N: Tensor, has_value_N: Tensor) -> Tensor:
        """Adds the projection of each value to its token. A model without such a projection ignores values."""
        if not self.config.support_input_scalars:
            return x_NW
        projected_NW = self.project_input_scalars(values_N.unsqueeze(1).to(x_NW.dtype))
        return x_NW + projected_NW.masked_fill(~has_value_N.unsqueeze(1), 0.0)

    def _add_external(self, x_NW: Tensor, packing: Packing, batch: Batch) -> Tensor:
        if not batch.embeddings:
            return x_NW
        for name in dict.fromkeys(name for _, _, name, _ in batch.embeddings):
            named = [(row, start, vectors_XW) for row, start, n, vectors_XW in batch.embeddings if n == name]
            places = [packing.tokens_BL[row, start : start + len(vectors_XW)] for row, start, vectors_XW in named]
            vectors_XW = self._projected(name, torch.cat([vectors_XW for _, _, vectors_XW in named]).to(x_NW))
            x_NW = x_NW.index_add(0, torch.cat(places), vectors_XW.to(x_NW.dtype))  # autocast projects in bfloat16
        return x_NW

    def _projected(self, name: str, vectors_XW: Tensor) -> Tensor:
        """External embeddings as wide as the model: projected if the model has weights of that name."""
        known = name in self.project_external_embeddings
        wanted = self.config.external_embeddings[name] if known else self.config.d_model
        if vectors_XW.shape[1] != wanted:
            raise ConfigError(
                f"embeddings of {name!r} have width {vectors_XW.shape[1]}, this model reads {wanted}",
                hint=None if known else f"external_embeddings={{{name}: {vectors_XW.shape[1]}}} in its config",
            )
        return self.project_external_embeddings[name](vectors_XW) if known else vectors_XW

    def token_logits(self, states_MW: Tensor, mode: str, candidates_V: Tensor | None = None) -> Tensor:
        """Scores [M, V] of `candidates_V`, or of the whole vocabulary."""
        if mode == "decoder":
            return self.t5_model.token_logits(states_MW, candidates_V)
        if self.encoder_head is None:
            raise ConfigError("this model has no token head on its encoder", hint=f"encoder_head_layers {_ADDED}")
        return self.encoder_head(states_MW, candidates_V)

    def scalar_head(self, mode: str) -> MLPHead:
        head = self.scalars_prediction_head if mode == "encoder" else self.decoder_scalars_head
        if head is None:
            key = "scalars_prediction_head" if mode == "encoder" else "decoder_scalars"
            raise ConfigError(f"this model has no scalar head on its {mode}", hint=f"{key} {_ADDED}")
        return head


_ADDED = "in its config; training a task that needs it, with this model as init=, adds it"


def _scalar_head(width: int, config: ScalarHeadConfig) -> MLPHead:
    return MLPHead(width, config.layers, config.outputs, config.dropout)


def _by_encoder_row(packing: Packing, rows_D: Tensor, memory: Memory) -> Packing:
    """Packs decoder tokens by the encoder row that they read, so that the keys of a row are not copied.

    All decoder rows that read the same encoder row form one row of queries. If attention to the encoder has position
    biases, the position of a token must be given separately, because it differs from its place in that row.
    """
    rows_N = packing.pack(rows_D.unsqueeze(1).expand(-1, packing.length))
    return Packing.by_row(rows_N, memory.packing.rows)
