"""Products of float32 weights: the same numbers, by whichever library is the faster."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from rag.generation.transformers import cpu_products
from rag.generation.transformers.cpu_products import OneDnnLinear, quicken


class Special(nn.Linear):
    """As a quantized layer is: it has a forward of its own."""


def model(dtype: torch.dtype = torch.float32) -> nn.Sequential:
    torch.manual_seed(1)
    layers = nn.Linear(48, 96), nn.GELU(), nn.Linear(96, 32, bias=False), Special(32, 8)
    return nn.Sequential(*layers).to(dtype).eval()


@pytest.fixture(autouse=True)
def undecided() -> Iterator[None]:
    """Let each test find out for itself, and leave nothing decided."""
    cpu_products._pays.cache_clear()
    yield
    cpu_products._pays.cache_clear()


@pytest.fixture
def faster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let oneDNN win every race."""
    monkeypatch.setattr(
        cpu_products,
        "_fastest",
        lambda product, *_: 1.0 if product is cpu_products._product else 2.0,
    )


def test_the_same_numbers_come_out(faster: None) -> None:
    ours, plain = model(), model()
    assert quicken(ours)
    assert [type(layer) for layer in ours] == [OneDnnLinear, nn.GELU, OneDnnLinear, Special]
    with torch.inference_mode():
        for tokens in (1, 3, 17):
            x = torch.randn(2, tokens, 48)
            torch.testing.assert_close(ours(x), plain(x))


def test_weights_stay_where_they_are_and_under_their_names(faster: None) -> None:
    ours = model()
    before = {name: weight.data_ptr() for name, weight in ours.named_parameters()}
    quicken(ours)
    assert {name: weight.data_ptr() for name, weight in ours.named_parameters()} == before


def test_where_torch_is_as_fast_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_products, "_fastest", lambda *_: 1.0)
    ours = model()
    assert not quicken(ours)
    assert type(ours[0]) is nn.Linear


def test_other_formats_are_left_alone(faster: None) -> None:
    ours = model(torch.bfloat16)
    assert not quicken(ours)
    assert type(ours[0]) is nn.Linear


@pytest.mark.parametrize("error", [AttributeError, NotImplementedError, RuntimeError])
def test_a_torch_without_the_operator_computes_by_itself(
    error: type[Exception], faster: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> torch.Tensor:
        raise error("no such operator")

    monkeypatch.setattr(cpu_products, "_product", missing)
    assert not quicken(model())


def test_other_numbers_are_not_used(faster: None, monkeypatch: pytest.MonkeyPatch) -> None:
    product = cpu_products._product
    monkeypatch.setattr(cpu_products, "_product", lambda *given: product(*given) * 1.01)
    assert not quicken(model())


def test_two_models_of_one_process_compute_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = model(), model()
    times = iter([1.0, 9.0, 1.0, 9.0])  # ours by far, then the luck turns
    monkeypatch.setattr(cpu_products, "_fastest", lambda *_: next(times, 5.0))
    assert quicken(first) == quicken(second)
    with torch.inference_mode():
        x = torch.randn(1, 3, 48)
        assert torch.equal(first(x), second(x))


def test_the_race_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([0.0, 5.0, 0.0, 2.0, 0.0, 9.0, 0.0, 3.0, 0.0, 4.0])
    monkeypatch.setattr(cpu_products, "perf_counter", lambda: next(seconds))
    calls: list[int] = []
    layer = nn.Linear(48, 96)

    def product(x: torch.Tensor, *_: object) -> torch.Tensor:
        calls.append(1)
        return x

    assert cpu_products._fastest(product, torch.ones(1, 48), layer.weight, layer.bias) == 2.0
    assert len(calls) == 5
