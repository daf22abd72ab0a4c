"""Language models of a few kilobytes with random weights: real engines, no download.

What they say is noise, but they load, count, stream, stop and fail like large ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf import GGUFWriter, TokenType
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SPECIALS = ("<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>")
_HIDDEN, _HEADS, _FEED_FORWARD = 64, 2, 128  # 4-bit blocks hold 64 weights
_SPELLED = 3 + 256  # tokens of the GGUF that are no characters


def byte_tokenizer(*, template: str | None = CHATML) -> PreTrainedTokenizerFast:
    """Return a tokenizer of the five specials and one token for each byte, ASCII's first."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate((*SPECIALS, *alphabet))}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in SPECIALS])
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        clean_up_tokenization_spaces=False,
    )
    wrapped.chat_template = template
    return wrapped


def tiny_llama(*, vocabulary: int = 261, window: int = 512, layers: int = 2) -> LlamaForCausalLM:
    """Return a Llama with random weights, the same ones each time; it speaks ASCII only."""
    torch.manual_seed(7)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=_HIDDEN,
        intermediate_size=_FEED_FORWARD,
        num_hidden_layers=layers,
        num_attention_heads=_HEADS,
        num_key_value_heads=1,
        max_position_embeddings=window,
        bos_token_id=1,
        eos_token_id=2,
        initializer_range=0.5,  # far from uniform, so that the likeliest token is a clear choice
    )
    model = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        model.lm_head.weight[: len(SPECIALS)] = 0
        model.lm_head.weight[len(SPECIALS) + 94 :] = 0  # the printable ASCII characters are 94
    return model


def weightless(kind: str, *, layers: int, **options: Any) -> PreTrainedModel:
    """Return a small model of a family: its tensors have names and shapes, and no numbers."""
    config = AutoConfig.for_model(
        kind,
        hidden_size=64,
        intermediate_size=160,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        vocab_size=300,
        max_position_embeddings=128,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        **options,
    )
    with torch.device("meta"):
        model: PreTrainedModel = AutoModelForCausalLM.from_config(config)
    return model


def llama_folder(
    folder: Path, *, template: str | None = CHATML, vocabulary: int = 261, window: int = 512
) -> Path:
    """Write a transformers folder with such a model."""
    tiny_llama(vocabulary=vocabulary, window=window).save_pretrained(folder)
    byte_tokenizer(template=template).save_pretrained(folder)
    return folder


def llama_gguf(
    path: Path,
    *,
    template: str | None = CHATML,
    vocabulary: int = 300,
    window: int = 512,
    tokenizer: str = "llama",
) -> Path:
    """Write a GGUF of a Llama with a SentencePiece vocabulary, as Llama 2 has it.

    With another ``tokenizer`` only its header is of use.
    """
    writer = GGUFWriter(path, "llama")
    writer.add_context_length(window)
    writer.add_embedding_length(_HIDDEN)
    writer.add_block_count(1)
    writer.add_feed_forward_length(_FEED_FORWARD)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(_HIDDEN // _HEADS)
    _add_vocabulary(writer, vocabulary, tokenizer)
    if template is not None:
        writer.add_chat_template(template)
    for name, shape in _tensors(vocabulary):
        values = 0.5 * np.random.default_rng(len(name)).standard_normal(shape)
        if name.endswith("norm.weight"):
            values = np.ones(shape)
        if name == "output.weight":
            values[:_SPELLED] = 0  # neither control tokens nor single bytes are ever said
        writer.add_tensor(name, values.astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_vocabulary(writer: GGUFWriter, size: int, tokenizer: str) -> None:
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), "▁"]
    kinds = [TokenType.UNKNOWN, TokenType.CONTROL, TokenType.CONTROL]
    kinds += [TokenType.BYTE] * 256
    tokens += [chr(0x4E00 + index) for index in range(size - len(tokens))]
    kinds += [TokenType.NORMAL] * (size - len(kinds))
    writer.add_tokenizer_model(tokenizer)
    writer.add_token_list(tokens)
    writer.add_token_scores([-float(index) for index in range(size)])
    writer.add_token_types(kinds)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(True)


def _tensors(vocabulary: int) -> list[tuple[str, tuple[int, ...]]]:
    head = _HIDDEN // _HEADS
    return [
        ("token_embd.weight", (vocabulary, _HIDDEN)),
        ("output_norm.weight", (_HIDDEN,)),
        ("output.weight", (vocabulary, _HIDDEN)),
        ("blk.0.attn_norm.weight", (_HIDDEN,)),
        ("blk.0.attn_q.weight", (_HIDDEN, _HIDDEN)),
        ("blk.0.attn_k.weight", (head, _HIDDEN)),
        ("blk.0.attn_v.weight", (head, _HIDDEN)),
        ("blk.0.attn_output.weight", (_HIDDEN, _HIDDEN)),
        ("blk.0.ffn_norm.weight", (_HIDDEN,)),
        ("blk.0.ffn_gate.weight", (_FEED_FORWARD, _HIDDEN)),
        ("blk.0.ffn_up.weight", (_FEED_FORWARD, _HIDDEN)),
        ("blk.0.ffn_down.weight", (_HIDDEN, _FEED_FORWARD)),
    ]
