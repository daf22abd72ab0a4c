"""The transformers engine on tiny models: what fails arrives in words, and nothing is left over."""

from __future__ import annotations

import gc
import shutil
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, LlamaConfig

from rag.errors import MissingDependency, ModelError, ModelMissing, OutOfMemory
from rag.generation.prompt import LLAMA2_CHAT
from rag.generation.transformers.engine import TransformersGenerator
from rag.generation.transformers.errors import is_out_of_memory, out_of_memory
from rag.generation.transformers.loading import Loaded, load_model
from rag.generation.transformers.weights import (
    attention,
    check_kept_quantization,
    compute_dtype,
    devices,
)
from rag.text.messages import Text
from rag.types.answers import Delta, Message
from rag.types.hardware import Placement
from tests.tiny_models import byte_tokenizer, llama_folder, tiny_llama

ASKED = [Message("user", "Why is the sky blue?")]
CPU = torch.device("cpu")


def never() -> bool:
    return False


def tiny(**options: Any) -> TransformersGenerator:
    loaded = Loaded(tiny_llama(**options), byte_tokenizer(), None, 512)
    return TransformersGenerator(loaded, name="tiny", context_tokens=512)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return llama_folder(tmp_path_factory.mktemp("saved"))


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    """A checkpoint that a test may spoil."""
    return Path(shutil.copytree(saved, tmp_path / "Tiny-Chat"))


def load(source: Path, **options: Any) -> TransformersGenerator:
    values = {"quantization": "none", "device": "cpu", "context_tokens": 512, **options}
    return TransformersGenerator.load(source, name="tiny", **values)


def ask(
    generator: TransformersGenerator,
    messages: list[Message] = ASKED,
    *,
    max_tokens: int = 5,
    cancelled: Callable[[], bool] = never,
) -> list[Delta]:
    return list(
        generator.stream(messages, max_tokens=max_tokens, temperature=0, cancelled=cancelled)
    )


# -- running ---------------------------------------------------------------------------------


class Hook:
    """Calls something before each pass through the model."""

    def __init__(self, generator: TransformersGenerator, call: Callable[[int], None]) -> None:
        self.passes = 0
        self._call = call
        self._handle = generator._model.register_forward_pre_hook(self._count)

    def _count(self, module: object, inputs: object) -> None:
        self.passes += 1
        self._call(self.passes)

    def remove(self) -> None:
        self._handle.remove()


def test_running_out_of_memory_arrives_with_numbers_and_the_next_question_works() -> None:
    generator = tiny()

    def run_out(passes: int) -> None:
        if passes == 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.2 GiB.")

    hook = Hook(generator, run_out)
    seen: list[Delta] = []
    with pytest.raises(OutOfMemory) as caught:
        seen.extend(generator.stream(ASKED, max_tokens=9, temperature=0, cancelled=never))
    assert str(generator.count_tokens(ASKED)) in caught.value.message.en
    assert "GiB" in caught.value.message.zh
    assert "retrieve.k" in caught.value.hint.en
    hook.remove()
    assert len(ask(generator)) == 6


@pytest.mark.slow
def test_an_out_of_memory_error_holds_no_tensors() -> None:
    generator = tiny()
    held: list[weakref.ref[torch.Tensor]] = []

    def run_out(passes: int) -> None:
        if passes == 2:
            large = torch.zeros(1000)
            held.append(weakref.ref(large))
            raise torch.OutOfMemoryError(f"tried to keep {len(large)} numbers")

    Hook(generator, run_out)
    with pytest.raises(OutOfMemory) as caught:
        ask(generator)
    gc.collect()
    assert held[0]() is None
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


def test_any_other_error_of_the_model_arrives_as_it_is() -> None:
    generator = tiny()

    def fail(passes: int) -> None:
        if passes == 2:
            raise RuntimeError("device-side assert triggered")

    hook = Hook(generator, fail)
    with pytest.raises(RuntimeError, match="device-side assert"):
        ask(generator)
    hook.remove()
    assert ask(generator)[-1].finish == "length"


def test_what_pytorch_says_when_the_computer_has_no_memory_left_is_recognised() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
    assert not is_out_of_memory(RuntimeError("shape mismatch"))
    failure = out_of_memory(Text("trying", "尝试"), device=CPU, hint=Text("Buy more.", "加内存。"))
    assert "while trying" in failure.message.en
    assert failure.message.zh.startswith("尝试时")


def test_a_cancel_inside_a_prompt_leaves_it_before_the_last_layer() -> None:
    generator = tiny(layers=8)
    layers: list[int] = []
    for number, layer in enumerate(generator._model.model.layers):
        layer.register_forward_pre_hook(lambda *_, number=number: layers.append(number))
    deltas = ask(generator, cancelled=lambda: len(layers) > 3)
    assert deltas == [Delta("", 0, "cancelled")]
    assert max(layers) < 7


def test_the_cache_of_an_answer_is_freed_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    caches: list[weakref.ref[Any]] = []
    generator = tiny()
    forward = generator._model.model.forward

    def look(*args: Any, **kwargs: Any) -> Any:
        caches.append(weakref.ref(kwargs["past_key_values"]))
        return forward(*args, **kwargs)

    monkeypatch.setattr(generator._model.model, "forward", look)
    ask(generator)
    gc.collect()
    assert caches
    assert all(cache() is None for cache in caches)


def test_unloading_ends_the_running_answer_and_refuses_the_next() -> None:
    generator = tiny()
    stream = generator.stream(ASKED, max_tokens=400, temperature=0, cancelled=never)
    next(stream)
    closer = threading.Thread(target=generator.close)
    closer.start()
    rest = list(stream)
    closer.join()
    assert rest[-1].finish == "cancelled"
    with pytest.raises(ModelError, match="unloaded"):
        ask(generator)
    assert generator.memory_bytes() is None


@pytest.mark.slow
def test_unloading_frees_the_weights() -> None:
    generator = tiny()
    model = weakref.ref(generator._model)
    ask(generator)
    generator.close()
    generator.close()
    gc.collect()
    assert model() is None


def test_an_order_of_roles_that_the_template_refuses_is_said_in_words() -> None:
    loaded = Loaded(tiny_llama(), byte_tokenizer(), LLAMA2_CHAT, 512)
    generator = TransformersGenerator(loaded, name="tiny", context_tokens=512)
    with pytest.raises(ModelError, match="take turns"):
        ask(generator, [Message("assistant", "I begin.")])
    with pytest.raises(ModelError, match="take turns"):
        generator.count_tokens([Message("user", "One."), Message("user", "Two.")])


def test_a_token_that_closes_a_turn_ends_the_answer(folder: Path) -> None:
    generator = load(folder)
    tokenizer = byte_tokenizer()
    ends = [tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<|im_end|>")]
    assert generator._ends == set(ends)
    generator._model.lm_head.register_forward_hook(  # the end of the turn, likeliest of all
        lambda module, inputs, output: output.index_fill_(-1, torch.tensor(ends[1]), 99.0)
    )
    deltas = ask(generator)
    assert deltas == [Delta("", 1), Delta("", 0, "stop")]


# -- loading ---------------------------------------------------------------------------------


def test_a_model_s_own_sampling_habits_are_left_out(folder: Path) -> None:
    plain = ask(load(folder), max_tokens=60)
    (folder / "generation_config.json").write_text(
        '{"repetition_penalty": 1.3, "do_sample": true, "temperature": 0.6, "eos_token_id": 2}'
    )
    assert ask(load(folder), max_tokens=60) == plain


def test_the_window_is_at_most_the_model_s_own(folder: Path) -> None:
    assert load(folder, context_tokens=100_000).context_tokens == 512
    assert load(folder, context_tokens=100).context_tokens == 100


def test_a_llama_2_without_template_gets_ours(tmp_path: Path) -> None:
    folder = llama_folder(tmp_path / "Llama-2", template=None, vocabulary=32_000)
    loaded = load_model(folder, quantization="none", device="cpu")
    assert loaded.template == LLAMA2_CHAT
    generator = load(folder)
    tokenizer = byte_tokenizer()
    ids = generator._encode([Message("system", "Rules."), Message("user", "Why?")])
    assert ids.count(tokenizer.bos_token_id) == 1
    assert tokenizer.decode(ids) == "<s>[INST] <<SYS>>\nRules.\n<</SYS>>\n\nWhy? [/INST]"
    assert ask(generator)[-1].finish == "length"


def test_a_model_that_is_no_llama_2_needs_a_template_of_its_own(tmp_path: Path) -> None:
    folder = llama_folder(tmp_path / "Base", template=None)
    with pytest.raises(ModelError, match="no chat template") as caught:
        load(folder)
    assert "Instruct" in caught.value.hint.zh


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="nowhere") as caught:
        load(tmp_path / "nowhere")
    assert "rag models pull" in caught.value.hint.en


def spoil_nothing_left(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()


def spoil_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def spoil_kind(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "perceptron-1958"}')


def spoil_weights_gone(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def spoil_weights_pickled(folder: Path) -> None:
    weights = folder / "model.safetensors"
    torch.save({"x": torch.zeros(1)}, folder / "pytorch_model.bin")
    weights.unlink()


def spoil_weights_cut(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-5000])


def spoil_weights_garbled(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\xff" * 4000)


def spoil_weights_incomplete(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    weights.pop("model.layers.1.mlp.up_proj.weight")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def spoil_weights_shape(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"] = torch.ones(3)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def spoil_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("not json")


@pytest.mark.parametrize(
    "spoil",
    [
        spoil_nothing_left,
        spoil_config,
        spoil_kind,
        spoil_weights_gone,
        spoil_weights_pickled,
        spoil_weights_cut,
        spoil_weights_garbled,
        spoil_weights_incomplete,
        spoil_weights_shape,
        spoil_tokenizer,
    ],
)
def test_a_spoilt_checkpoint_is_named_with_a_remedy(
    spoil: Callable[[Path], None], folder: Path
) -> None:
    spoil(folder)
    with pytest.raises(ModelError, match="Tiny-Chat") as caught:
        load(folder)
    assert "rag models" in caught.value.hint.en
    assert "\n" not in caught.value.message.en
    assert len(caught.value.message.en) < 400


def test_code_in_a_checkpoint_is_never_run(folder: Path) -> None:
    trap = folder.parent / "trap"
    (folder / "modeling_trap.py").write_text(f"open({str(trap)!r}, 'w')\nclass Trap: ...\n")
    config = folder / "config.json"
    config.write_text(
        config.read_text().replace(
            "{", '{"auto_map": {"AutoModelForCausalLM": "modeling_trap.Trap"},', 1
        )
    )
    assert ask(load(folder))[-1].finish == "length"  # the library's own Llama
    config.write_text(config.read_text().replace('"llama"', '"trap"'))
    with pytest.raises(ModelError):
        load(folder)
    assert not trap.exists()


def test_a_device_too_small_for_the_weights_is_said_with_numbers_and_a_remedy(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_out(*args: object, **kwargs: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 270.00 MiB.")

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", run_out)
    with pytest.raises(OutOfMemory, match="loading Tiny-Chat") as caught:
        load(folder)
    assert "GiB" in caught.value.message.en
    assert "nf4" in caught.value.hint.zh
    assert caught.value.__context__ is None


@pytest.mark.parametrize("quantization", ["int8", "nf4"])
def test_a_missing_bitsandbytes_is_named(
    quantization: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(MissingDependency, match="bitsandbytes") as caught:
        load(folder, quantization=quantization)
    assert "pip install bitsandbytes" in caught.value.hint.en


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_said_in_words(folder: Path) -> None:
    with pytest.raises(ModelError, match="CUDA") as caught:
        load(folder, device="cuda")
    assert "generator.device" in caught.value.hint.en


@pytest.mark.parametrize(
    ("able", "dtype"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, torch.bfloat16),
        ({"avx512_bf16": False, "amx_bf16": True}, torch.bfloat16),
        ({"avx512_bf16": False, "amx_bf16": False}, torch.float32),
        ({}, torch.float32),
    ],
)
def test_a_cpu_computes_in_bfloat16_only_where_it_has_the_units(
    able: dict[str, bool], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able, raising=False)
    assert compute_dtype(CPU) is dtype


@pytest.mark.parametrize(("native", "dtype"), [(True, torch.bfloat16), (False, torch.float16)])
def test_a_gpu_computes_in_bfloat16_if_it_can_without_emulation(
    native: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *, including_emulation: native)
    assert compute_dtype(torch.device("cuda", 0)) is dtype


def test_four_bit_weights_are_nf4_with_double_quantization(folder: Path) -> None:
    model = load(folder, quantization="nf4")._model
    used = model.config.quantization_config
    assert used.bnb_4bit_quant_type == "nf4"
    assert used.bnb_4bit_use_double_quant
    assert used.bnb_4bit_compute_dtype is compute_dtype(CPU)
    assert model.model.layers[0].mlp.up_proj.weight.dtype is torch.uint8


@pytest.mark.slow
def test_nothing_is_written_to_the_terminal(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for quantization in ("none", "int8", "nf4"):
        generator = load(folder, quantization=quantization)
        ask(generator)
        generator.close()
    assert capfd.readouterr() == ("", "")


@pytest.mark.gpu
def test_on_a_gpu_the_memory_of_the_weights_is_counted_and_freed(folder: Path) -> None:
    generator = load(folder, device="cuda")
    held = generator.memory_bytes()
    assert held
    assert ask(generator)[-1].finish == "length"
    generator.close()
    assert torch.cuda.memory_allocated() < held


@pytest.fixture(autouse=True)
def _collect() -> Iterator[None]:
    yield
    gc.collect()


@pytest.mark.parametrize(
    ("quantization", "dtype"),
    [("fp32", torch.float32), ("fp16", torch.float16), ("bf16", torch.bfloat16)],
)
def test_a_precision_that_is_named_is_the_one_that_is_loaded(
    quantization: str, dtype: torch.dtype, folder: Path
) -> None:
    assert load(folder, quantization=quantization)._model.dtype is dtype


@pytest.mark.parametrize("method", ["gptq", "awq"])
def test_weights_that_need_gptqmodel_are_named_with_a_remedy(method: str, folder: Path) -> None:
    config = folder / "config.json"
    kept = f'{{"quantization_config": {{"quant_method": "{method}", "bits": 4}},'
    config.write_text(config.read_text().replace("{", kept, 1))
    with pytest.raises(MissingDependency, match=method.upper()) as caught:
        load(folder)
    assert "pip install gptqmodel" in caught.value.hint.zh
    assert "nf4" in caught.value.hint.en


def test_other_kept_quantization_is_left_to_the_library() -> None:
    assert not check_kept_quantization(Path("m"), SimpleNamespace())
    kept = SimpleNamespace(quantization_config={"quant_method": "bitsandbytes"})
    assert check_kept_quantization(Path("m"), kept)


def test_a_plan_says_which_layers_go_where() -> None:
    card, config = torch.device("cuda", 0), LlamaConfig(num_hidden_layers=3)
    assert devices(None, card, config) == {"device_map": {"": card}}
    assert devices(Placement("nf4", 4096), CPU, config) == {"device_map": {"": CPU}}
    assert devices(Placement("nf4", 4096, (0, 3)), card, config) == {"device_map": {"": 1}}
    spread = devices(Placement("nf4", 4096, (1, 1)), card, config)["device_map"]
    assert [spread[f"model.layers.{number}"] for number in range(3)] == [0, 1, "cpu"]


def test_weights_in_main_memory_by_a_plan_answer_like_others(folder: Path) -> None:
    plan = Placement("auto", 512, kv_bits=8)
    planned = load(folder, quantization="fp32", placement=plan)
    assert planned._kept._kv_bits == 8
    logits = [
        g._model(input_ids=torch.tensor([[5, 6, 7]])).logits
        for g in (planned, load(folder, quantization="fp32"))
    ]
    assert torch.equal(*logits)


def test_flash_attention_is_used_where_it_is_installed_and_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    card = torch.device("cuda", 0)
    assert attention(card, torch.bfloat16) == "sdpa"
    monkeypatch.setattr(
        "rag.generation.transformers.weights.is_flash_attn_2_available", lambda: True
    )
    assert attention(card, torch.bfloat16) == "flash_attention_2"
    assert attention(card, torch.float32) == attention(CPU, torch.bfloat16) == "sdpa"
