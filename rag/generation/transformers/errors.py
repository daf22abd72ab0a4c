"""Says why a folder cannot be loaded, or that memory ran out, and frees what was held."""

from __future__ import annotations

import gc
import json
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import psutil
import torch
from safetensors import SafetensorError
from tokenizers import Tokenizer
from transformers import CONFIG_MAPPING

from rag.errors import OutOfMemory, RagError
from rag.generation.engine_errors import AGAIN, cannot_load
from rag.text.messages import Text
from rag.text.sizes import gib

_CPU_SIGNS = ("not enough memory", "can't allocate memory")  # PyTorch's allocator for the CPU


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that memory ran out; on the CPU PyTorch has no type for it."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _CPU_SIGNS)


def out_of_memory(doing: Text, *, device: torch.device, hint: Text) -> OutOfMemory:
    """Return the failure for what was being done, with what the device has and what is in use.

    To be called before ``let_go``, while the numbers still tell what happened.
    """
    used, total = _usage(device)
    where = Text("The GPU", "显卡") if device.type == "cuda" else Text("The computer", "电脑")
    full = f"{gib(used)} of {gib(total)} GiB"
    return OutOfMemory(
        Text(
            f"{where.en} ran out of memory while {doing.en}: {full} are in use.",
            f"{doing.zh}时{where.zh}内存不足：已用 {full.replace('of', '/')}。",
        ),
        hint=hint,
    )


def let_go(error: BaseException) -> None:
    """Free the tensors that the frames of a failed call still hold."""
    traceback.clear_frames(error.__traceback__)
    error.__traceback__ = None
    empty_caches()


def empty_caches() -> None:
    """Give unused memory back to the device."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def bytes_on_cards(tensors: Iterable[torch.Tensor]) -> int:
    """Return what tensors take on GPUs."""
    return sum(tensor.nbytes for tensor in tensors if tensor.is_cuda)


def _usage(device: torch.device) -> tuple[int, int]:
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return total - free, total
    ram = psutil.virtual_memory()
    return ram.total - ram.available, ram.total


_TOKENIZERS = ("tokenizer.json", "tokenizer.model")
_NO_FAST_ATTENTION = "attention implementation"
Part = Literal["config", "tokenizer", "weights"]


@contextmanager
def explained(path: Path, part: Part) -> Iterator[None]:
    """Have what a library raises say which file of a checkpoint cannot be used, and why.

    Files from elsewhere end in any error at all: a list where the library expects an object is
    an ``AttributeError``, a nonsensical number a ``ZeroDivisionError``, a tokenizer of another
    version a bare ``Exception``.

    Raises:
        ModelError: from anything but a missing package and a lack of memory.
    """
    try:
        yield
    except (RagError, ImportError):
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        why, hint = _why_not_loaded(path, error, part)
        raise cannot_load(path, why, hint=hint) from error


def _why_not_loaded(path: Path, error: Exception, part: Part) -> tuple[Text, Text]:
    """Return why a folder could not be loaded, and a remedy."""
    config = _json(path / "config.json")
    if not isinstance(config, dict) or "model_type" not in config:
        return _damaged("config.json")
    kind = str(config["model_type"])
    if kind not in CONFIG_MAPPING or _NO_FAST_ATTENTION in str(error):
        return _unsupported(kind)
    if isinstance(error, SafetensorError):
        why = Text("a file of weights is damaged or incomplete.", "权重文件已损坏或不完整。")
        return why, AGAIN
    present = [name for name in _TOKENIZERS if (path / name).is_file()]
    if not present:
        return Text("its tokenizer.json is missing.", "缺少 tokenizer.json。"), AGAIN
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        if (path / name).is_file() and not isinstance(_json(path / name), dict):
            return _damaged(name)
    return _unusable(_file_at_fault(path, error, part), error)


def _file_at_fault(path: Path, error: Exception, part: Part) -> str:
    """Return the file that a library stumbled over, as far as can be told."""
    if part == "tokenizer":
        return "tokenizer_config.json" if _is_tokenizer(path / _TOKENIZERS[0]) else _TOKENIZERS[0]
    # of the weights themselves the libraries complain in these; anything else comes from
    # building the model by what its configuration says
    if part == "weights" and isinstance(error, OSError | RuntimeError):
        return "weights"
    return "config.json"


def _is_tokenizer(path: Path) -> bool:
    try:
        Tokenizer.from_file(str(path))
    except Exception:  # noqa: BLE001 - the library raises nothing narrower
        return not path.is_file()
    return True


def _unusable(file: str, error: Exception) -> tuple[Text, Text]:
    detail = next(iter(str(error).strip().splitlines()), "").strip(" .:")
    if isinstance(error, LookupError):  # it says no more than the key
        en, zh = f"{detail} is missing or not known", f"{detail} 缺失或无法识别"
    else:
        en, zh = detail, ""  # developers' English
    return (
        Text(
            f"its {file} cannot be used{en and f' ({en})'}.",
            f"它的 {file} 无法使用{zh and f'（{zh}）'}。",
        ),
        AGAIN,
    )


def _json(path: Path) -> Any:
    """Return what a file holds; ``None`` if it is missing or no JSON."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


def _damaged(name: str) -> tuple[Text, Text]:
    return Text(f"its {name} is missing or damaged.", f"它的 {name} 缺失或已损坏。"), AGAIN


def _unsupported(kind: str) -> tuple[Text, Text]:
    return (
        Text(
            f"models of the kind '{kind}' are not supported with the installed transformers.",
            f"已安装的 transformers 不支持“{kind}”类模型。",
        ),
        Text(
            "Choose another model from `rag models list`, a GGUF file of this one, or run"
            " `pip install --upgrade transformers`.",
            "请从 `rag models list` 中选择其他模型，或改用该模型的 GGUF 文件，"
            "或运行 `pip install --upgrade transformers`。",
        ),
    )
