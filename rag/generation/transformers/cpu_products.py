"""Products of float32 weights on a CPU: oneDNN's, where they are faster than those torch takes.

For float32 torch asks MKL, which was slow on the AMD processor where this was measured: a pass
over two to eight tokens, as guesses from the prompt need it, took 1.6 to 2.9 times as long as one
over a single token, and with oneDNN, itself half as long at most, 1.3 to 1.6 times:
docs/decisions.md, "Answers of the transformers engine".
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import lru_cache
from time import perf_counter

import torch
from torch import Tensor, nn

logger = logging.getLogger(__name__)

_LAYER = (1024, 2816)  # features in and out
_TOKENS = (1, 4)  # of a plain step, and of one with guesses
_ROUNDS = 5
_PAYS = 0.8  # of torch's own time, over both
_SAME = 1e-3  # how far sums in another order may lie apart, as a share of the largest


class OneDnnLinear(nn.Linear):
    """A linear layer whose product oneDNN computes, with the weights where they are."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch calls it so
        """Return ``input @ weight.T + bias``."""
        return _product(input, self.weight, self.bias)


def quicken(model: nn.Module) -> bool:
    """Let oneDNN compute a model's float32 layers on the CPU, if it is the faster; say if it does.

    A few milliseconds are spent on finding out, once: two models of one process compute alike.
    """
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Linear) and _suits(layer)]
    if not layers or not _pays():
        return False
    for layer in layers:
        layer.__class__ = OneDnnLinear
    logger.info("oneDNN computes %d layers", len(layers))
    return True


def _suits(layer: nn.Linear) -> bool:
    """Say whether a module is a plain linear layer in float32 on the CPU; no subclass of one."""
    if type(layer) is not nn.Linear or layer.weight.dtype != torch.float32:
        return False
    return layer.weight.device.type == "cpu" and not hasattr(layer, "_hf_hook")


def _product(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return oneDNN's product; the operator is the one that torch's own compiler writes."""
    found: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")  # noqa: SLF001
    return found


@lru_cache(maxsize=1)
def _pays() -> bool:
    """Measure both on a layer as small models have them. The same numbers must come out."""
    inside, outside = _LAYER
    with torch.inference_mode():
        weight = torch.linspace(-1, 1, outside * inside).reshape(outside, inside)
        bias = torch.linspace(-1, 1, outside)
        inputs = [torch.linspace(-1, 1, n * inside).reshape(n, inside) for n in _TOKENS]
        try:
            for x in inputs:
                found, wanted = _product(x, weight, bias), nn.functional.linear(x, weight, bias)
                if (found - wanted).abs().max() > _SAME * wanted.abs().max():
                    logger.warning("oneDNN comes to other numbers here; it is not used")
                    return False
        except (AttributeError, NotImplementedError, RuntimeError) as error:
            logger.info("oneDNN cannot be used: %s", error)
            return False
        ours = sum(_fastest(_product, x, weight, bias) for x in inputs)
        torchs = sum(_fastest(nn.functional.linear, x, weight, bias) for x in inputs)
    return ours < _PAYS * torchs


def _fastest(product: Callable[..., Tensor], *arguments: Tensor | None) -> float:
    """Return the seconds of the fastest of some calls: other work can only make them longer."""
    taken = []
    for _ in range(_ROUNDS):
        began = perf_counter()
        product(*arguments)
        taken.append(perf_counter() - began)
    return min(taken)
