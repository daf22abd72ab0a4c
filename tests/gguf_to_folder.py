"""Turns a GGUF file into a folder that transformers loads, quantises and shares.

transformers reads a GGUF by dequantising it, but neither saves such a model nor combines it
with bitsandbytes. A clean copy can do both.
"""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer


def gguf_to_folder(gguf: Path, folder: Path, *, dtype: torch.dtype = torch.float32) -> None:
    """Write the weights of ``gguf`` as safetensors, with tokenizer and configuration.

    ``folder`` is made. Needs memory for two copies of the dequantised weights. ``float32``
    keeps every value; ``bfloat16`` is half the size.

    Raises:
        ValueError: transformers knows no way to read this architecture from a GGUF.
    """
    source, name = str(gguf.parent), gguf.name
    tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=name, local_files_only=True)
    config = AutoConfig.from_pretrained(source, gguf_file=name, local_files_only=True)
    loaded = AutoModelForCausalLM.from_pretrained(
        source, gguf_file=name, dtype=dtype, local_files_only=True
    )
    if hasattr(config, "quantization_config"):
        del config.quantization_config  # what it says of the file is no longer true of the copy
    clean = AutoModelForCausalLM.from_config(config, dtype=dtype)
    clean.load_state_dict(loaded.state_dict())
    clean.generation_config = loaded.generation_config
    tokenizer.model_max_length = config.max_position_embeddings
    folder.mkdir(parents=True, exist_ok=True)
    clean.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    for weights in folder.glob("*.safetensors"):
        weights.chmod(0o644)  # safetensors makes them readable for their owner alone
