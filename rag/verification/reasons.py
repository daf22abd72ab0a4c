"""Why a sentence of an answer is not called supported, in both languages.

Kept as ``key:detail``, such as ``number:45 GB``, and turned into words only when shown.
"""

from __future__ import annotations

from rag.text.messages import Language, Text

REASONS: dict[str, Text] = {
    "number": Text("{0} does not stand there.", "文中没有 {0}。"),
    "date": Text("The date {0} does not stand there.", "文中没有日期 {0}。"),
    "unit": Text("It stands there with another unit than {0}.", "文中的单位与 {0} 不同。"),
    "scale": Text(
        "The digits of {0} stand there, its scale (thousand, million …) does not.",
        "文中有 {0} 的数字，但数量级（千、百万等）不同或未写明。",
    ),
    "elsewhere": Text(
        "{0} stands in the passages, but not in this place.", "{0} 在所示段落中，但不在此处。"
    ),
    "name": Text("The name {0} does not stand there.", "文中没有“{0}”这一名称。"),
    "quote": Text("The words “{0}” do not stand there.", "文中没有“{0}”这句话。"),
    "negation": Text("One of the two says “not”, the other does not.", "一处是否定，另一处不是。"),
    "opposite": Text("The place says the opposite of “{0}”.", "文中说法与“{0}”相反。"),
    "column": Text(
        "{0} stands there in the column of another year or name.",
        "{0} 在文中属于另一列（另一年份或名称）。",
    ),
    "subject": Text(
        "It stands there, but perhaps about something else than you asked.",
        "文中有这句话，但说的可能不是你问的内容。",
    ),
    "about": Text(
        "It stands there about something else: “{0}” does not stand in that document.",
        "文中说的是别的内容：该文档中没有“{0}”。",
    ),
    "answered": Text(
        "This place is about it; read there whether it is yes or no.",
        "此处与问题有关；是或否请以原文为准。",
    ),
    "wording": Text("Only some of its words stand there.", "文中只有其中一部分词语。"),
    "computed": Text(
        "Computed: its numbers stand in the passages, and the sum is right ({0}).",
        "计算得出：所用数字在所示段落中，算式也正确（{0}）。",
    ),
    "arithmetic": Text("The sum is wrong: it comes to {0}.", "算式有误：结果应为 {0}。"),
    "echo": Text("It says no more than the question.", "它只是重复了问题。"),
    "unchecked": Text("It could not be checked.", "无法核对这句话。"),
    "nowhere": Text("No passage says anything like it.", "所示段落中没有类似的内容。"),
}
"""What each key means; ``{0}`` is the detail."""


def reason_words(reason: str, language: Language) -> str:
    """Return a doubt in words; an unknown one is shown as it is rather than hidden.

    >>> reason_words("number:45 GB", "en"), reason_words("", "zh")
    ('45 GB does not stand there.', '')
    """
    key, _, detail = reason.partition(":")
    known = REASONS.get(key)
    return known.say(language).replace("{0}", detail) if known else reason
