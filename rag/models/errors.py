"""What can go wrong with weights, in words, with what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rag.errors import ConfigError, DownloadFailed, ModelMissing, WrongChecksum
from rag.models.catalogue import Entry
from rag.models.download import SourceName, SourceUnavailable, size
from rag.text.messages import Text

SOURCE_WORDS: dict[SourceName, Text] = {
    "folder": Text("models folder", "模型文件夹"),
    "hub": Text("model hub", "模型库"),
    "wheels": Text("package index", "软件包索引"),
}


def source_says(source: SourceName, reason: Text) -> Text:
    """Return what a source answered, with its name before it."""
    word = SOURCE_WORDS[source]
    return Text(f"{word.en}: {reason.en}", f"{word.zh}：{reason.zh}")


def nothing_delivered(
    entry: Entry, tried: Sequence[tuple[SourceName, SourceUnavailable]], folder: Path
) -> DownloadFailed:
    """Return the failure of all sources: each with its reason, and the best hint of them."""
    reasons = [source_says(source, error.reason) for source, error in tried]
    en = "; ".join(reason.en for reason in reasons) or "no source is allowed"
    zh = "；".join(reason.zh for reason in reasons) or "没有启用任何来源"
    hints = [error.hint for _, error in tried if error.hint]
    files = ", ".join(file.path for file in entry.files) if len(entry.files) == 1 else ""
    what = files or "the files"
    by_hand = Text(
        f"Check the network and pull again, or copy {what} ({size(entry.bytes)}) from another"
        f" computer into {folder / entry.name}.",
        f"请检查网络后重试，或从另一台电脑把 {files or '模型文件'}（{size(entry.bytes)}）复制到"
        f" {folder / entry.name}。",
    )
    return DownloadFailed(
        Text(f"{entry.name} could not be fetched. {en}.", f"无法获取 {entry.name}。{zh}。"),
        hint=hints[0] if hints else by_hand,
    )


def wrong_checksum(name: str, path: Path, *, expected: str, found: str) -> WrongChecksum:
    """Return the failure for bytes that are not the publisher's; ``path`` is where they are."""
    return WrongChecksum(
        Text(
            f"{path.name} of {name} has the wrong content: sha256 should be {expected} but is"
            f" {found}. It was set aside and is not used.",
            f"{name} 的文件 {path.name} 内容不对：sha256 应为 {expected}，实际为 {found}。"
            "该文件已移到一旁，不会使用。",
        ),
        hint=Text(
            f"Pull again; it is fetched anew. You may delete {path}. If it happens again, the"
            " source is not to be trusted: change models.sources.",
            f"请重新下载。{path} 可以删除。如果再次发生，说明该来源不可信：请修改 models.sources。",
        ),
    )


def missing(entry: Entry, folder: Path) -> ModelMissing:
    """Return the failure for a model that is known but not on this machine."""
    return ModelMissing(
        Text(
            f"{entry.name} is not on this computer yet (looked in {folder}).",
            f"本机还没有 {entry.name}（已查看 {folder}）。",
        ),
        hint=Text(
            f"Run `rag models pull {entry.name}` ({size(entry.download_bytes)}).",
            f"请运行 `rag models pull {entry.name}`（{size(entry.download_bytes)}）。",
        ),
    )


def unusable(path: Path) -> ConfigError:
    """Return the failure for a path that holds no model."""
    return ConfigError(
        Text(f"{path} holds no model that can be used.", f"{path} 中没有可用的模型。"),
        hint=Text(
            "Name a .gguf file, or a folder with config.json and *.safetensors. Other formats"
            " (.bin, .pt) can run code when they are opened and are not read.",
            "请指定 .gguf 文件，或含有 config.json 和 *.safetensors 的文件夹。"
            "其他格式（.bin、.pt）打开时可能执行代码，因此不读取。",
        ),
    )


def unwritable(folder: Path, error: OSError) -> DownloadFailed:
    """Return the failure of the disk itself."""
    return DownloadFailed(
        Text(f"{folder} cannot be written: {error}.", f"无法写入 {folder}：{error}。"),
        hint=Text(
            "Check the folder's permissions and the disk, or set models.folder to another place.",
            "请检查文件夹权限和磁盘，或把 models.folder 设到其他位置。",
        ),
    )


def unlike_reference(entry: Entry, cosine: float) -> WrongChecksum:
    """Return the failure of a model that was built here and gives other vectors than it must."""
    return WrongChecksum(
        Text(
            f"{entry.name} was unpacked but gives wrong vectors (cosine {cosine:.3f}, at least"
            " 0.99 expected). It is not used.",
            f"{entry.name} 已解包，但向量不正确（余弦 {cosine:.3f}，应不低于 0.99），不会使用。",
        ),
        hint=Text(
            "This is a fault of the program or of an installed library's version: report it,"
            " and choose another embedder meanwhile (`rag models list`).",
            "这是程序或所装库版本的问题：请反馈，并暂时换用其他嵌入模型（`rag models list`）。",
        ),
    )
