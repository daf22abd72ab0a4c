"""Loads a causal language model with transformers: in full precision, 8 or 4 bits."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from rag.errors import MissingDependency, ModelError
from rag.generation.engine_errors import AGAIN, cannot_load, missing
from rag.generation.prompt import LLAMA2_CHAT, LLAMA2_VOCABULARY
from rag.generation.transformers.errors import (
    explained,
    is_out_of_memory,
    let_go,
    out_of_memory,
)
from rag.generation.transformers.weights import (
    CPU,
    Quantization,
    SavedWeights,
    attention,
    bitsandbytes_config,
    check_kept_quantization,
    devices,
    dtype_of,
)
from rag.text.messages import Text
from rag.types.hardware import Placement

Device = Literal["auto", "cpu", "cuda"]

logger = logging.getLogger(__name__)

TURN_ENDS = ("<|im_end|>", "<|eot_id|>", "<|end|>", "<end_of_turn>")
"""Tokens with which templates close a turn; some checkpoints name only another as their end."""

_LOCAL = {"local_files_only": True, "trust_remote_code": False}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model ready to answer."""

    model: Any
    tokenizer: Any
    template: str | None  # ours; None where the checkpoint brings its own
    window: int  # tokens


def load_model(
    path: Path,
    *,
    quantization: Quantization,
    device: Device,
    placement: Placement | None = None,
) -> Loaded:
    """Load the weights in a folder.

    A ``placement`` that spreads weights over several devices wins over ``device``. Only
    safetensors are read, and no code of the checkpoint is run.

    Raises:
        ModelMissing: there is no such folder.
        MissingDependency: the precision needs a package that is not installed.
        OutOfMemory: the device is too small.
        ModelError: there is no such device; or the checkpoint is damaged, incomplete, of an
            unknown kind, or not made for conversations.
    """
    if not path.is_dir():
        raise missing(path, kind=Text("folder", "文件夹"))
    place = _place(device, name=path.name)
    transformers_logging.disable_progress_bar()  # nor is advice for developers for the terminal
    transformers_logging.set_verbosity_error()
    try:
        with explained(path, "weights"):
            return _load(path, quantization=quantization, place=place, placement=placement)
    except ImportError as error:
        raise _needs_package(path, error) from error
    except (RuntimeError, MemoryError) as error:  # memory ran out
        failure = out_of_memory(
            Text(f"loading {path.name}", f"加载 {path.name}"), device=place, hint=_SMALLER
        )
        let_go(error)
    raise failure  # out here, where nothing refers to the half-loaded weights any more


def _load(
    path: Path,
    *,
    quantization: Quantization,
    place: torch.device,
    placement: Placement | None,
) -> Loaded:
    with explained(path, "config"):
        config = AutoConfig.from_pretrained(path, **_LOCAL)
        kept = check_kept_quantization(path, config)
        window = int(config.get_text_config(decoder=True).max_position_embeddings)
    with explained(path, "tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(path, **_LOCAL)
    template = _template(path, config, tokenizer)
    dtype = dtype_of(quantization, place)
    where = devices(placement, place, config)
    options = {"dtype": dtype, "attn_implementation": attention(place, dtype), **where}
    saved, model = None, None
    folder = placement.saved_in if placement else None
    on_one_device = list(where["device_map"]) == [""]
    if folder is not None and quantization == "nf4" and on_one_device and not kept:
        saved = SavedWeights(path, folder=folder, compute=dtype)
        model = _read_saved(saved, options)
    if model is None:
        waits = CPU in where["device_map"].values()
        quantizer = None if kept else bitsandbytes_config(quantization, dtype, spread=waits)
        model = _weights(path, config=config, quantization_config=quantizer, **options)
        if saved:
            saved.write(model)
    return Loaded(model.eval(), tokenizer, template, window)


def _read_saved(saved: SavedWeights, options: dict[str, Any]) -> Any | None:
    """Return the model from kept weights; ``None`` if there are none that can be read."""
    if not saved.ready():
        return None
    bitsandbytes_config("nf4", options["dtype"], spread=False)  # says if the package is missing
    try:
        return _weights(saved.path, **options)
    except ImportError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        logger.warning("kept weights cannot be read: %s", error)
        saved.set_aside()
    return None


def _weights(path: Path, **options: Any) -> Any:
    model, report = AutoModelForCausalLM.from_pretrained(
        path, use_safetensors=True, output_loading_info=True, **options, **_LOCAL
    )
    if absent := sorted(report["missing_keys"]):  # they would be random numbers
        raise cannot_load(
            path,
            Text(f"{len(absent)} of its weights are missing.", f"缺少 {len(absent)} 个权重。"),
            hint=AGAIN,
        )
    return model


def _place(device: Device, *, name: str) -> torch.device:
    present = torch.cuda.is_available()
    if device == "cuda" and not present:
        raise ModelError(
            Text(
                f"{name} cannot be loaded: there is no CUDA GPU here that PyTorch can use.",
                f"无法加载 {name}：没有 PyTorch 可用的 CUDA 显卡。",
            ),
            hint=Text(
                "Install the NVIDIA driver and a PyTorch built for CUDA, or set "
                'generator.device = "cpu".',
                '请安装 CUDA 版 PyTorch 和 NVIDIA 驱动，或设置 generator.device = "cpu"。',
            ),
        )
    return torch.device("cuda", 0) if present and device != "cpu" else torch.device("cpu")


def _template(path: Path, config: Any, tokenizer: Any) -> str | None:
    if tokenizer.chat_template is not None:
        return None
    if config.model_type == "llama" and config.vocab_size == LLAMA2_VOCABULARY:
        return LLAMA2_CHAT
    raise cannot_load(
        path,
        Text("it has no chat template.", "它没有对话模板。"),
        hint=Text(
            "Choose a model made for conversations; its name often ends in Chat or Instruct.",
            "请选择用于对话的模型，其名称多以 Chat 或 Instruct 结尾。",
        ),
    )


def ends_of(loaded: Loaded) -> frozenset[int]:
    """Return the ids that close an answer, by the checkpoint and by its template."""
    tokenizer = loaded.tokenizer
    named = loaded.model.generation_config.eos_token_id
    ends = set(named if isinstance(named, list) else [named]) | {tokenizer.eos_token_id}
    known = tokenizer.get_vocab()
    used = loaded.template or str(tokenizer.chat_template)
    ends |= {known[end] for end in TURN_ENDS if end in used and end in known}
    return frozenset(ends - {None})


def batch_dependent(model: Any) -> bool:
    """Return whether a token's numbers depend on the others of its pass.

    LLM.int8() computes in 16 bits the columns in which any token of a pass stands out, so a
    guessed token would change the arithmetic of its neighbours.
    """
    return bool(getattr(model, "is_loaded_in_8bit", False))


_SMALLER = Text(
    'Set generator.quantization = "nf4", choose a smaller model, or close other programs.',
    '请设置 generator.quantization = "nf4"、选择更小的模型，或关闭其他程序。',
)


def _needs_package(path: Path, error: ImportError) -> MissingDependency:
    detail = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
    advised = re.search(r"pip install ([\w-]+)", detail)  # transformers checks before importing
    if package := error.name.partition(".")[0] if error.name else advised and advised[1]:
        what = Text(
            f"the package {package}, which is not installed.", f"软件包 {package}，但尚未安装。"
        )
        remedy = Text(f"Run `pip install {package}`", f"请运行 `pip install {package}`")
    else:
        what = Text(f"a package that is not installed: {detail}", f"一个未安装的软件包：{detail}")
        remedy = Text("Install it", "请安装该软件包")
    return MissingDependency(
        Text(f"{path.name} in its precision needs {what.en}", f"{path.name} 的精度需要{what.zh}"),
        hint=Text(
            f"{remedy.en}, or choose another generator.quantization or model.",
            f"{remedy.zh}，或更换 generator.quantization 或模型。",
        ),
    )
