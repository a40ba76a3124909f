"""Initial weights of a model that is trained from scratch.

Position biases fall with distance, with a different slope in each head: the slopes of ALiBi (Press et al., "Train
Short, Test Long", 2022) times `position_slope_scale`. In training, biases change by at most the learning rate in each
step. So tables that start at zero take thousands of steps to distinguish near tokens from distant ones. On drug-like
molecules (2 + 4 layers of width 256, AdamW at 4e-4) the loss was 0.96 after 400 steps when starting at zero, and 0.84
when starting at ALiBi's slopes. On reactions it was 1.27 after 140 steps with ALiBi's slopes, and 1.13 with slopes four
times as steep. For a tiny model that memorizes its rows, ALiBi's own slopes are better.

The rest was chosen with short runs (molecule generation, 3 + 2 layers of width 128, AdamW at 1e-3, 140 steps). With an
untied token head, the best settings were embeddings of standard deviation 0.3, a head with logits of standard deviation
1, and residual branches scaled by 1/sqrt(their number), as in Radford et al., "Language Models are Unsupervised
Multitask Learners" (2019). They reached a loss of 1.32; T5's own scheme reached 1.52. The input of a tied head is
scaled by d_model**-0.5, so embeddings need standard deviation 1 for logits of that size, and branches are not scaled
down, so that they contribute enough compared with the embeddings (loss 1.38; with small embeddings 1.7 to 2.2). Query
weights keep T5's factor d_kv**-0.5, which replaces the scaling of the attention scores that T5 omits.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mammal.model.attention import Attention, relative_buckets
from mammal.model.config import ModelConfig
from mammal.model.heads import MLPHead
from mammal.model.t5 import T5, FeedForward, RMSNorm, Stack

_UNTIED_EMBEDDING_STD = 0.3


@torch.no_grad()
def initialise(model: nn.Module, *, tied: bool) -> None:
    """Initialises every parameter of a `MammalModel` in place, with torch's global random generator.

    Args:
        model: the model.
        tied: whether the token head uses the weights of the embedding.
    """
    embedding_std = _embedding_std(tied)
    for name, module in model.named_children():
        if isinstance(module, T5):
            _initialise_t5(module, embedding_std)
        elif isinstance(module, MLPHead):
            initialise_head(module, gives_logits=name == "encoder_head")
        elif isinstance(module, nn.Linear):
            initialise_projection(module, tied=tied)
        elif name == "vector_heads":
            for head in module.children():
                assert isinstance(head, nn.Linear)
                initialise_numbers(head)
        elif isinstance(module, nn.ModuleDict):
            for projection in module.values():
                assert isinstance(projection, nn.Linear)
                initialise_projection(projection, tied=tied)
        else:
            assert not list(module.parameters()), f"no initial weights are known for {name}"


def _embedding_std(tied: bool) -> float:
    return 1.0 if tied else _UNTIED_EMBEDDING_STD


@torch.no_grad()
def initialise_projection(linear: nn.Linear, *, tied: bool) -> None:
    """Initialises the projection of values or of external embeddings.

    The projections of standardised numbers are as large as embeddings. The bias of external embeddings distinguishes
    features, because they share one token.

    Args:
        linear: the projection; it is changed in place.
        tied: whether the token head uses the weights of the embedding.
    """
    embedding_std = _embedding_std(tied)
    _normal(linear.weight, embedding_std * linear.in_features**-0.5)
    if linear.in_features > 1:
        _normal(linear.bias, embedding_std)
    else:  # values of tokens need no bias, because the token identifies what they are
        linear.bias.zero_()


def _initialise_t5(t5: T5, embedding_std: float) -> None:
    tied = t5.config.tie_word_embeddings
    _normal(t5.shared.weight, embedding_std)
    if not tied:
        _normal(t5.lm_head.weight, t5.config.d_model**-0.5)
    for stack in (t5.encoder, t5.decoder):
        branches = sum(len(block.layer) for block in stack.blocks)
        _initialise_stack(stack, 1.0 if tied else branches**-0.5)


def _initialise_stack(stack: Stack, branch_scale: float) -> None:
    width, head_width = stack.config.d_model, stack.config.d_kv
    for table, bidirectional in stack.position_tables:
        _favour_near(table, stack.config, bidirectional=bidirectional)
    for module in stack.modules():
        if isinstance(module, Attention):
            _normal(module.q.weight, (width * head_width) ** -0.5)
            _normal(module.k.weight, width**-0.5)
            _normal(module.v.weight, width**-0.5)
            _normal(module.o.weight, branch_scale * module.o.in_features**-0.5)
        elif isinstance(module, FeedForward):
            for linear in module.children():
                if isinstance(linear, nn.Linear):
                    _normal(linear.weight, linear.in_features**-0.5)
            _normal(module.wo.weight, branch_scale * module.wo.in_features**-0.5)
        elif isinstance(module, RMSNorm):
            module.weight.fill_(1.0)


def _favour_near(table: Tensor, config: ModelConfig, *, bidirectional: bool) -> None:
    """Sets each bias [buckets, H] to minus the smallest distance of its bucket times the slope of its head."""
    (buckets, heads), max_distance = table.shape, config.relative_attention_max_distance
    bucket_QK = relative_buckets(
        max_distance + 1, max_distance + 1, bidirectional=bidirectional, buckets=buckets, max_distance=max_distance
    )
    places = torch.arange(max_distance + 1)
    distance_QK = (places.unsqueeze(0) - places.unsqueeze(1)).abs()
    if not bidirectional:
        bucket_QK, distance_QK = bucket_QK.tril(), distance_QK.tril()  # later keys share the bucket of distance 0
    nearest = torch.full((buckets,), float(max_distance))
    nearest.scatter_reduce_(0, bucket_QK.flatten(), distance_QK.flatten().float(), "amin")
    slopes_H = config.position_slope_scale * 2.0 ** (-8 * torch.arange(1, heads + 1) / heads)
    table.copy_(-nearest.unsqueeze(1) * slopes_H)


@torch.no_grad()
def initialise_head(head: MLPHead, *, gives_logits: bool) -> None:
    """Initialises a head.

    Logits have a standard deviation near 1; numbers are near 0, the mean of standardised targets.

    Args:
        head: is changed in place.
        gives_logits: True: a token head; False: a scalar head.
    """
    for layer in head.classifier:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
            layer.bias.zero_()
    if gives_logits:
        _normal(head.last.weight, head.last.in_features**-0.5)
    else:
        initialise_numbers(head.last)


@torch.no_grad()
def initialise_numbers(layer: nn.Linear) -> None:
    """Initialises a layer whose outputs are numbers near 0, the mean of standardised targets.

    Args:
        layer: is changed in place.
    """
    _normal(layer.weight, 1 / layer.in_features)
    layer.bias.zero_()


def _normal(weight: Tensor, std: float) -> None:
    weight.normal_(0.0, std)
