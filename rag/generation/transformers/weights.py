"""How weights are loaded: in which precision, onto which devices, with which attention.

Said module by module, since accelerate's own division keeps room for one more layer on the first
card, and transformers keeps a tenth of every card under bitsandbytes: layers that the plan has
placed would end up on the disk. Every decoder that the planner knows has these names; a test
builds each of them and looks.

4-bit weights are kept after they were made once: later starts read a quarter and skip the work.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import BitsAndBytesConfig
from transformers.utils import is_flash_attn_2_available

from rag.errors import MissingDependency
from rag.system.torch_cpu import cpu_dtype
from rag.text.messages import Text
from rag.text.sizes import memory_size
from rag.types.hardware import Placement

logger = logging.getLogger(__name__)

CPU = "cpu"
MANIFEST = "made_of.json"
_LIBRARIES = ("transformers", "bitsandbytes")
_SPARE = 1.1  # of the size of the weights in memory, free on the disk


def device_map(on_cards: Sequence[int], *, layers: int, tied: bool) -> dict[str, int | str]:
    """Return the map that transformers loads by: names of modules to cards by number.

    ``on_cards`` counts the layers of each card. What is left waits in main memory and is brought
    to a card when it is its turn. The table of words stands before the first layer, and the
    output behind the last one, unless both are one matrix (``tied``).
    """
    used = [place for place, count in enumerate(on_cards) if count]
    order: list[int | str] = [place for place in used for _ in range(on_cards[place])]
    if len(used) == 1 and len(order) == layers:
        return {"": used[0]}
    order += [CPU] * (layers - len(order))
    first, last = used[0], used[-1]
    placed: dict[str, int | str] = {"model.embed_tokens": first, "model.rotary_emb": first}
    placed |= {f"model.layers.{number}": place for number, place in enumerate(order)}
    return placed | {"model.norm": last, "lm_head": first if tied else last}


Quantization = Literal["none", "fp32", "fp16", "bf16", "int8", "nf4"]
"""``none`` is what the device computes best, without quantization."""

_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
_BY_GPTQMODEL = {"gptq": "GPTQ", "awq": "AWQ"}


def dtype_of(quantization: Quantization, place: torch.device) -> torch.dtype:
    """Return what is computed in; of quantized weights, too."""
    return _DTYPES.get(quantization) or compute_dtype(place)


def compute_dtype(place: torch.device) -> torch.dtype:
    """Return bfloat16 where the hardware multiplies it, else what the device is good at."""
    if place.type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if native else torch.float16
    return cpu_dtype()


def bitsandbytes_config(
    quantization: Quantization, dtype: torch.dtype, *, spread: bool
) -> BitsAndBytesConfig | None:
    """Return how weights are quantized while they are loaded; ``None``: they are not.

    ``spread`` lets layers in the memory of the CPU stay as they are, without quantization.
    """
    if quantization not in {"int8", "nf4"}:
        return None
    # its notes, several for each token, would go to stderr; and it has to be told before
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    importlib.import_module("bitsandbytes")
    if quantization == "int8":
        return BitsAndBytesConfig(load_in_8bit=True, llm_int8_enable_fp32_cpu_offload=spread)
    # NF4 and double quantization: QLoRA, Dettmers et al. 2023, section 3. transformers' own
    # defaults are FP4 and float32.
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_enable_fp32_cpu_offload=spread,
    )


def devices(placement: Placement | None, place: torch.device, config: Any) -> dict[str, Any]:
    """Return ``from_pretrained``'s argument for where each part goes."""
    if placement is None or not any(placement.layers):
        return {"device_map": {"": place}}
    text = config.get_text_config(decoder=True)
    tied = bool(text.tie_word_embeddings)
    return {"device_map": device_map(placement.layers, layers=text.num_hidden_layers, tied=tied)}


def attention(place: torch.device, dtype: torch.dtype) -> str:
    """Return FlashAttention-2 where it is installed and the card computes in 16 bits, else SDPA."""
    if place.type == "cuda" and dtype != torch.float32 and is_flash_attn_2_available():
        return "flash_attention_2"
    return "sdpa"


def check_kept_quantization(path: Path, config: Any) -> bool:
    """Return whether a checkpoint's weights are quantized already.

    Raises:
        MissingDependency: they are, and the package that reads them is not installed.
    """
    kept = getattr(config, "quantization_config", None)
    if kept is None:
        return False
    method = kept.get("quant_method") if isinstance(kept, Mapping) else kept.quant_method
    name = _BY_GPTQMODEL.get(str(getattr(method, "value", method)))
    if name is not None and find_spec("gptqmodel") is None:
        raise MissingDependency(
            Text(
                f"{path.name} holds {name} weights, which the package gptqmodel reads; it is not "
                "installed.",
                f"{path.name} 的权重为 {name} 格式，需要 gptqmodel 读取，但尚未安装。",
            ),
            hint=Text(
                "Run `pip install gptqmodel` (it needs a CUDA GPU), or choose the same model "
                'without quantization and set generator.quantization = "nf4".',
                "请运行 `pip install gptqmodel`（需要 CUDA 显卡），或选择该模型的未量化版本并设置 "
                'generator.quantization = "nf4"。',
            ),
        )
    return True


class SavedWeights:
    """The copy of one checkpoint in 4 bits.

    It is written beside and renamed, so that there is a whole one or none. It says what it was
    made of and by what; where that is no longer so it is made again. Every file is checked by
    its sha256 before it is used.
    """

    def __init__(self, source: Path, *, folder: Path, compute: torch.dtype) -> None:
        """``folder`` holds copies of many models; ``compute`` is the type that is computed in."""
        place = hashlib.sha256(str(source.resolve()).encode()).hexdigest()[:8]
        self.path = folder / f"{source.name}-nf4-{place}"
        weights = [(file.name, file.stat()) for file in sorted(source.glob("*.safetensors"))]
        self._made_of = {
            "source": source.name,
            "revision": source.resolve().name,  # in the hub's cache the folder is the commit
            "config": _sha256(source / "config.json"),
            # by name, size and time, as 26 GB are long
            "weights": [[name, stat.st_size, stat.st_mtime_ns] for name, stat in weights],
            "precision": "nf4",
            "compute": str(compute).removeprefix("torch."),
            "versions": {name: version(name) for name in _LIBRARIES},
        }

    def ready(self) -> bool:
        """Return whether there is a whole copy of these weights; put away any other."""
        if not self.path.is_dir():
            return False
        try:
            manifest = json.loads((self.path / MANIFEST).read_text("utf-8"))
            files = {str(name): str(digest) for name, digest in manifest["files"].items()}
            made_of = manifest["made_of"]
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            self.set_aside()
            return False
        if made_of != self._made_of:
            logger.info("%s was made of other weights or by other versions", self.path.name)
            shutil.rmtree(self.path, ignore_errors=True)
            return False
        if files != digests(self.path):
            self.set_aside()
            return False
        return True

    def set_aside(self) -> None:
        """Keep a damaged copy for whoever wants to look, and out of the way."""
        aside = self.path.with_name(f"{self.path.name}.damaged")
        logger.warning("%s is damaged and is made again; see %s", self.path.name, aside.name)
        shutil.rmtree(aside, ignore_errors=True)
        self.path.rename(aside)

    def write(self, model: Any) -> None:
        """Keep a model's weights, if there is room. Without them all works, only slower."""
        draft = self.path.with_name(f"{self.path.name}.draft-{os.getpid()}")
        try:
            draft.mkdir(parents=True, exist_ok=True)
            needed = model.get_memory_footprint() * _SPARE
            if shutil.disk_usage(draft).free < needed:
                logger.warning("no room for %s of 4-bit weights", memory_size(needed))
                return
            model.save_pretrained(draft)
            manifest = {"made_of": self._made_of, "files": digests(draft)}
            (draft / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", "utf-8")
            draft.rename(self.path)
        except OSError as error:
            logger.warning("the 4-bit weights cannot be kept: %s", error)
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def digests(folder: Path) -> dict[str, str]:
    """Return the sha256 of each file of a copy, but for its manifest."""
    return {file.name: _sha256(file) for file in sorted(folder.iterdir()) if file.name != MANIFEST}


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
