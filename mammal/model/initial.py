"""First weights of a model that is trained from scratch.

Position biases fall with distance, by another slope in each head: those of ALiBi (Press et al., "Train Short, Test
Long", 2022) times `position_slope_scale`. Trained, they move by no more than the learning rate a step, so that tables
which start at zero take thousands of steps to tell near tokens from far ones. On drug-like molecules (2 + 4 layers of
width 256, AdamW at 4e-4) the loss was 0.96 after 400 steps from zero, and 0.84 from ALiBi's slopes; on reactions, 1.27
after 140 steps from those, and 1.13 from four times as steep ones. A tiny model that learns rows by heart likes
ALiBi's own better.

The rest was chosen by short runs (molecule generation, 3 + 2 layers of width 128, AdamW at 1e-3, 140 steps). With an
untied token head, embeddings of standard deviation 0.3, a head that gives logits of standard deviation 1, and residual
branches scaled by 1/sqrt(their number), as in Radford et al., "Language Models are Unsupervised Multitask Learners"
(2019), reached a loss of 1.32 where T5's own scheme reached 1.52. With a tied head, whose input is scaled by
d_model**-0.5, embeddings need standard deviation 1 for logits of that size, and branches their full size to be heard
beside them (1.38; with small embeddings 1.7 to 2.2). Query weights keep T5's factor d_kv**-0.5, which stands for the
missing scale of the attention scores.
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
    """Draws every parameter of a `MammalModel` in place, from torch's global generator.

    Args:
        tied: the token head is the embedding.
    """
    embedding_std = _embedding_std(tied)
    for name, module in model.named_children():
        if isinstance(module, T5):
            _initialise_t5(module, embedding_std)
        elif isinstance(module, MLPHead):
            initialise_head(module, gives_logits=name == "encoder_head")
        elif isinstance(module, nn.Linear):
            initialise_projection(module, tied=tied)
        elif isinstance(module, nn.ModuleDict):
            for projection in module.values():
                assert isinstance(projection, nn.Linear)
                initialise_projection(projection, tied=tied)


def _embedding_std(tied: bool) -> float:
    return 1.0 if tied else _UNTIED_EMBEDDING_STD


@torch.no_grad()
def initialise_projection(linear: nn.Linear, *, tied: bool) -> None:
    """Of values and external embeddings: standardised numbers come out as large as embeddings are. The bias tells
    features apart, which share one token."""
    embedding_std = _embedding_std(tied)
    _normal(linear.weight, embedding_std * linear.in_features**-0.5)
    if linear.in_features > 1:
        _normal(linear.bias, embedding_std)
    else:  # numbers that tokens carry: the token tells what they are
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
    """Fills [buckets, H] biases with minus the nearest distance of a bucket, times the slope of a head."""
    (buckets, heads), max_distance = table.shape, config.relative_attention_max_distance
    bucket_QK = relative_buckets(
        max_distance + 1, max_distance + 1, bidirectional=bidirectional, buckets=buckets, max_distance=max_distance
    )
    places = torch.arange(max_distance + 1)
    distance_QK = (places.unsqueeze(0) - places.unsqueeze(1)).abs()
    if not bidirectional:
        bucket_QK, distance_QK = bucket_QK.tril(), distance_QK.tril()  # what is to come shares the bucket of what is
    nearest = torch.full((buckets,), float(max_distance))
    nearest.scatter_reduce_(0, bucket_QK.flatten(), distance_QK.flatten().float(), "amin")
    slopes_H = config.position_slope_scale * 2.0 ** (-8 * torch.arange(1, heads + 1) / heads)
    table.copy_(-nearest.unsqueeze(1) * slopes_H)


@torch.no_grad()
def initialise_head(head: MLPHead, *, gives_logits: bool) -> None:
    """Logits start with standard deviation near 1; numbers near 0, the mean of standardised targets."""
    for layer in head.classifier:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
            layer.bias.zero_()
    inputs = head.last.in_features
    _normal(head.last.weight, inputs**-0.5 if gives_logits else 1 / inputs)


def _normal(weight: Tensor, std: float) -> None:
    weight.normal_(0.0, std)
