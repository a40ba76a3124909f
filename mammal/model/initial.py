"""First weights of a model that is trained from scratch.

T5's own initialisation (embedding of standard deviation 1, biases of attention drawn at random) learns slowly at the
sizes and token counts that one machine can afford. Here the embedding has standard deviation d_model**-0.5, attention
starts without position biases, residual branches start small (Radford et al., "Language Models are Unsupervised
Multitask Learners" (2019), §2.3: scaled by 1/sqrt(number of residual branches)), and heads start near zero, so that
the first predictions are nearly uniform. Query weights keep T5's extra factor d_kv**-0.5, which stands for the missing
scale of the attention scores.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mammal.model.attention import Attention
from mammal.model.heads import MLPHead
from mammal.model.t5 import T5, FeedForward, RMSNorm, Stack


@torch.no_grad()
def initialise(model: nn.Module) -> None:
    """Draws every parameter of a `MammalModel` in place, from torch's global generator."""
    for module in model.modules():
        if isinstance(module, T5):
            _initialise_t5(module)
        elif isinstance(module, MLPHead):
            _initialise_head(module)
    for name in ("project_input_scalars", "project_external_embeddings"):
        projection = getattr(model, name, None)
        if projection is not None:
            _normal(projection.weight, 0.1 * projection.out_features**-0.5)
            projection.bias.zero_()


def _initialise_t5(t5: T5) -> None:
    width = t5.shared.weight.shape[1]
    _normal(t5.shared.weight, width**-0.5)
    if t5.lm_head.weight is not t5.shared.weight:
        _normal(t5.lm_head.weight, 1 / width)
    for stack in (t5.encoder, t5.decoder):
        _initialise_stack(stack)


def _initialise_stack(stack: Stack) -> None:
    branches = sum(len(block.layer) for block in stack.blocks)
    width, head_width = stack.config.d_model, stack.config.d_kv
    for module in stack.modules():
        if isinstance(module, Attention):
            _normal(module.q.weight, (width * head_width) ** -0.5)
            _normal(module.k.weight, width**-0.5)
            _normal(module.v.weight, width**-0.5)
            _normal(module.o.weight, (module.o.in_features * branches) ** -0.5)
            if hasattr(module, "relative_attention_bias"):
                module.relative_attention_bias.weight.zero_()
        elif isinstance(module, FeedForward):
            for linear in module.children():
                if isinstance(linear, nn.Linear):
                    _normal(linear.weight, linear.in_features**-0.5)
            _normal(module.wo.weight, (module.wo.in_features * branches) ** -0.5)
        elif isinstance(module, RMSNorm):
            module.weight.fill_(1.0)


def _initialise_head(head: MLPHead) -> None:
    for layer in head.classifier:
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
            layer.bias.zero_()
    _normal(head.last.weight, 1 / head.last.in_features)


def _normal(weight: Tensor, std: float) -> None:
    weight.normal_(0.0, std)
