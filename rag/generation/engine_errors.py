"""What an engine says when it cannot: one wording for all engines, each with a remedy."""

from __future__ import annotations

from pathlib import Path

from rag.errors import ModelError, ModelMissing, PromptTooLong
from rag.text.messages import Text

_SHORTER = Text(
    "Ask a shorter question, lower retrieve.k, or choose a model with a longer context.",
    "请缩短问题、调低 retrieve.k，或选择上下文更长的模型。",
)
_OTHER_MODEL = Text(
    "Run `rag models list` to see the models that work here.",
    "运行 `rag models list` 可查看可用的模型。",
)


AGAIN = Text(
    "Delete it and download it again, with `rag models pull` if it is in the list.",
    "请删除后重新下载；列表中的模型可用 `rag models pull` 下载。",
)


def prompt_too_long(tokens: int, context_tokens: int) -> PromptTooLong:
    """Say that a prompt leaves no room for an answer in the model's window."""
    return PromptTooLong(
        Text(
            f"The prompt has {tokens} tokens; the model can read {context_tokens} at most, "
            "its answer included.",
            f"提示共有 {tokens} 个 token；模型连同回答最多只能处理 {context_tokens} 个。",
        ),
        hint=_SHORTER,
    )


def unloaded(name: str) -> ModelError:
    """Say that a model was asked after it had been closed."""
    return ModelError(
        Text(f"The model {name} has been unloaded.", f"模型 {name} 已被卸载。"),
        hint=Text("Ask again in a moment.", "请稍后再问一次。"),
    )


def missing(path: Path, *, kind: Text) -> ModelMissing:
    """Say that a model's file or folder, its ``kind``, is not there."""
    return ModelMissing(
        Text(f"There is no {kind.en} {path}.", f"{kind.zh} {path} 不存在。"),
        hint=Text(
            "Run `rag models pull` to download the model.", "请运行 `rag models pull` 下载模型。"
        ),
    )


def cannot_load(path: Path, why: Text, *, hint: Text = _OTHER_MODEL) -> ModelError:
    """Say which file or folder could not be loaded, and why."""
    return ModelError(
        Text(f"{path.name} cannot be loaded: {why.en}", f"无法加载 {path.name}：{why.zh}"),
        hint=hint,
    )


def failed(name: str, detail: str) -> ModelError:
    """Say that a loaded model broke off, in the engine's own words."""
    return ModelError(
        Text(f"The model {name} broke off: {detail}", f"模型 {name} 中断：{detail}"),
        hint=Text(
            "Ask again; if it happens every time, start the program anew.",
            "请重试；如果每次都出现，请重新启动程序。",
        ),
    )


def only_thoughts(name: str) -> ModelError:
    """Say that an answer was used up by thoughts, which are not shown."""
    return ModelError(
        Text(
            f"{name} was still thinking when its answer had reached its full length.",
            f"{name} 在回答长度用完时仍在思考。",
        ),
        hint=Text(
            "Choose a model that answers without thinking (`rag models list`), switch thinking off"
            " at the server, or raise generator.max_tokens.",
            "请选择不经思考直接回答的模型（`rag models list`），在服务器上关闭思考，"
            "或调高 generator.max_tokens。",
        ),
    )
