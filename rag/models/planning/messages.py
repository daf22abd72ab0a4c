"""Why a plan is as it is, in sentences."""

from __future__ import annotations

from rag.models.planning.layout import Layout, MemoryUse, Part, Subject, offloaded_bytes
from rag.models.shape import Precision
from rag.text.messages import Text
from rag.text.sizes import memory_size

PRECISIONS: dict[Precision | None, Text] = {
    "none": Text("16 bit", "16 位"),
    "int8": Text("int8", "int8"),
    "nf4": Text("NF4 (4 bit)", "NF4（4 位）"),
    None: Text("the file's own precision", "文件自身的精度"),
}
PARTS: dict[Part, Text] = {
    "weights": Text("weights", "权重"),
    "kv": Text("keys and values", "键值缓存"),
    "working": Text("room to compute", "计算空间"),
    "cuda": Text("CUDA", "CUDA"),
    "embedder": Text("embedder", "嵌入模型"),
    "reranker": Text("reranker", "重排模型"),
    "ocr": Text("text recognition", "文字识别"),
}
_RAM = Text("main memory", "内存")
FULL_KV_BITS = 16


def place_words(shelf: MemoryUse) -> Text:
    """Return the name of a memory."""
    return Text(shelf.name, shelf.name) if shelf.name else _RAM


def misfit(subject: Subject, layout: Layout, found: tuple[MemoryUse, ...], wanted: int) -> Text:
    """Say what did not fit."""
    worst = max(found, key=lambda shelf: shelf.bytes - shelf.limit_bytes)
    what, need, there = (
        _arrangement(subject, layout, wanted),
        memory_size(worst.bytes),
        worst.limit_bytes,
    )
    return Text(
        f"{what.en}: no, {need} needed, {memory_size(there)} there.",
        f"{what.zh}：不行，需要 {need}，可用 {memory_size(there)}。",
    )


def nothing_fits(
    subject: Subject, layout: Layout, found: tuple[MemoryUse, ...], wanted: int
) -> Text:
    """Say that nothing was found, and what is missing at the least."""
    short = sum(max(0, shelf.bytes - shelf.limit_bytes) for shelf in found)
    what = _arrangement(subject, layout, wanted)
    return Text(
        f"{subject.name} does not fit: even {what.en} lacks {memory_size(short)}.",
        f"{subject.name} 放不下：即使采用{what.zh}，仍缺 {memory_size(short)}。",
    )


def chosen_words(
    subject: Subject, layout: Layout, found: tuple[MemoryUse, ...], wanted: int, cards: int
) -> list[Text]:
    """Say what was chosen, and what each memory then holds."""
    what = _arrangement(subject, layout, wanted)
    words = [Text(f"{what.en}: yes.", f"{what.zh}：可以。")]
    words += [_held(shelf) for shelf in found if shelf.bytes]
    if layout.context_tokens < wanted:
        words.append(
            Text(
                f"The window is {layout.context_tokens:,} tokens instead of {wanted:,}:"
                " more keys and values do not fit.",
                f"上下文为 {layout.context_tokens:,} 个 token，而不是 {wanted:,} 个："
                "放不下更多键值缓存。",
            )
        )
    left = subject.shape.layers - sum(layout.layers)
    if layout.layers and left:
        words.append(_slow(subject, layout, left))
    elif cards and layout.helpers_card is None:
        words.append(
            Text(
                "The embedder works on the processor; questions take a little longer.",
                "嵌入模型在处理器上运行；提问时稍慢。",
            )
        )
    return words


def speed_words(tokens_per_second: float) -> Text:
    """Say what the memory's bandwidth allows at most."""
    return Text(
        f"Memory bandwidth allows at most {tokens_per_second:.0f} tokens/s.",
        f"受显存带宽限制，最多 {tokens_per_second:.0f} token/秒。",
    )


def _arrangement(subject: Subject, layout: Layout, wanted: int) -> Text:
    precision = PRECISIONS[layout.precision]
    on_cards, total = sum(layout.layers), subject.shape.layers
    used = [count for count in layout.layers if count]
    if not used:
        where = Text("on the processor", "在处理器上")
    elif on_cards < total:
        where = Text(
            f"{on_cards} of {total} layers on the GPU", f"{total} 层中有 {on_cards} 层在显卡上"
        )
    elif len(used) > 1:
        split = " + ".join(map(str, used))
        where = Text(
            f"on {len(used)} GPUs ({split} layers)", f"分到 {len(used)} 块显卡（{split} 层）"
        )
    else:
        where = Text("on one GPU", "在一块显卡上")
    kept = (
        Text(", 8-bit keys and values", "，8 位键值缓存")
        if layout.kv_bits < FULL_KV_BITS
        else Text("", "")
    )
    beside = (
        Text(", embedder on the GPU", "，嵌入模型在显卡上")
        if layout.helpers_card is not None
        else Text("", "")
    )
    less, tokens = layout.context_tokens < wanted, f"{layout.context_tokens:,}"
    window = Text(f", {tokens} tokens", f"，{tokens} 个 token") if less else Text("", "")
    return Text(
        f"{precision.en} {where.en}{kept.en}{beside.en}{window.en}",
        f"{precision.zh}{where.zh}{kept.zh}{beside.zh}{window.zh}",
    )


def _held(shelf: MemoryUse) -> Text:
    place = place_words(shelf)
    en = " + ".join(f"{PARTS[part].en} {memory_size(size)}" for part, size in shelf.parts)
    zh = " + ".join(f"{PARTS[part].zh} {memory_size(size)}" for part, size in shelf.parts)
    total = memory_size(shelf.bytes)
    return Text(
        f"{place.en}: {en} = {total} of {memory_size(shelf.limit_bytes)}.",
        f"{place.zh}：{zh} = {total}，可用 {memory_size(shelf.limit_bytes)}。",
    )


def _slow(subject: Subject, layout: Layout, left: int) -> Text:
    moved = memory_size(offloaded_bytes(subject, layout))
    if subject.engine == "llamacpp":
        return Text(
            f"{left} layers are computed by the processor, which is several times slower.",
            f"{left} 层由处理器计算，速度会慢数倍。",
        )
    return Text(
        f"{left} layers wait in main memory in 16 bits: {moved} cross the bus for every token,"
        " so answers are very slow. A smaller model, or a GGUF file, is the better choice.",
        f"{left} 层以 16 位放在内存中：每个 token 都要经总线传输 {moved}，回答会非常慢。"
        "更好的选择是较小的模型或 GGUF 文件。",
    )
