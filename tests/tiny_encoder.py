"""A BERT encoder of a few kilobytes with random weights, in a sentence-transformers folder."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from transformers import BertConfig, BertForSequenceClassification, BertModel

from tests.tiny_models import byte_tokenizer


def write_tiny_encoder(folder: Path, *, seed: int = 7, **config: object) -> BertModel:
    """Write weights, tokenizer and settings; return the model that was written."""
    torch.manual_seed(seed)
    shape = {
        "vocab_size": 261,
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 128,
        "max_position_embeddings": 96,
        "initializer_range": 0.2,  # far from zero, so that a wrong graph shows
        **config,
    }
    model = BertModel(BertConfig(**shape), add_pooling_layer=False).eval()
    model.save_pretrained(folder)
    byte_tokenizer(template=None).save_pretrained(folder)
    types = {"0": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
    modules = [
        {"idx": i, "name": str(i), "path": path if i else "", "type": f"models.{kind}"}
        for i, (path, kind) in enumerate(types.items())
    ]
    (folder / "modules.json").write_text(json.dumps(modules), "utf-8")
    (folder / "1_Pooling").mkdir()
    pooling = {"word_embedding_dimension": 64, "pooling_mode_mean_tokens": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling), "utf-8")
    return model


def write_tiny_reranker(folder: Path, *, labels: int = 1) -> BertForSequenceClassification:
    """Write a cross-encoder of the same kind, with a tokenizer; return the model."""
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=261,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=600,
        initializer_range=0.5,  # scores that differ
        num_labels=labels,
        pad_token_id=2,
    )
    model = BertForSequenceClassification(config).eval()
    model.save_pretrained(folder)
    tokenizer = byte_tokenizer(template=None)
    tokenizer.pad_token = "</s>"
    tokenizer.save_pretrained(folder)
    return model
