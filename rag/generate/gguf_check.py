"""Says why a GGUF file cannot be loaded. llama.cpp itself only says that it cannot."""

from __future__ import annotations

from pathlib import Path

from rag.errors import ModelMissing
from rag.generate.failures import cannot_load
from rag.text.messages import Text
from rag.types.gguf import DamagedGguf, read_gguf

_MAGIC = b"GGUF"


def check_gguf(path: Path) -> None:
    """Look at the first bytes, before llama.cpp does.

    Raises:
        ModelMissing: there is no such file.
        ModelError: it cannot be read, or is no GGUF file.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(len(_MAGIC))
    except FileNotFoundError as error:
        raise ModelMissing(
            Text(f"There is no file {path}.", f"文件 {path} 不存在。"),
            hint=Text(
                "Run `rag models pull` to download the model.",
                "请运行 `rag models pull` 下载模型。",
            ),
        ) from error
    except OSError as error:
        raise cannot_load(path, Text(f"{error}.", f"{error}。")) from error
    if magic != _MAGIC:
        raise cannot_load(
            path,
            Text("it is not a GGUF file.", "它不是 GGUF 文件。"),
            hint=Text(
                "Choose a file whose name ends in .gguf, or a model from `rag models list`.",
                "请选择以 .gguf 结尾的文件，或 `rag models list` 中的模型。",
            ),
        )


def why_not_loaded(path: Path) -> tuple[Text, Text]:
    """Return why llama.cpp may have refused a file that begins like a GGUF, and a remedy."""
    try:
        architecture = read_gguf(path).architecture or "?"
    except (OSError, DamagedGguf):
        return (
            Text("the file is damaged or incomplete.", "文件已损坏或不完整。"),
            Text(
                "Delete it and download it again, with `rag models pull` if it is in the list.",
                "请删除后重新下载；列表中的模型可用 `rag models pull` 下载。",
            ),
        )
    return (
        Text(
            f"there is too little memory for it, or llama.cpp does not know models of the kind "
            f"'{architecture}' or this chat template.",
            f"内存不足，或 llama.cpp 不支持“{architecture}”类模型或其对话模板。",
        ),
        Text(
            "Close other programs, lower generator.context_tokens, choose a smaller model, or "
            "run `pip install --upgrade xllamacpp`.",
            "请关闭其他程序、调低 generator.context_tokens、选择更小的模型，"
            "或运行 `pip install --upgrade xllamacpp`。",
        ),
    )
