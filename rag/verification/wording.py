"""What of a sentence is compared with its evidence: names, negations, figures; what is a refusal.

List marks, citation marks, emphasis, "according to the documents", and the page it names.

Told by their spelling alone, so an ordinary word in a title is taken for a name at times;
whoever asks for a name should ask whether its words stand in the text in any spelling.

That figure may well stand elsewhere in the passage: a report names five years on a page. Where the
words around it are those of the evidence, what the evidence has in its place is what counts.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from rag.text.language import is_cjk
from rag.text.quantities import Place, Quantity, gaps, quantities

_SOURCE = r"(?:document|passage|context|text|excerpt|source|material|information)s?"
_SILENT = (
    r"(?:(?:do|does|did)(?: not|n[o']t)|cannot|can't|is not|are not|isn't|aren't|never|fails? to)"
)
_SAYS = (
    r"(?:contain|mention|provide|includ|specif|state|stated|give|hold|say|address|discuss|"
    r"indicat|answer|have|list|cover|found|available|enough|sufficient|explicit)"
)
_ENGLISH_REFUSAL = re.compile(
    rf"\b{_SOURCE}\b[^.]{{0,60}}\b{_SILENT}\b[^.]{{0,40}}\b{_SAYS}"
    rf"|\b(?:not|nor|neither) (?:\w+ )?{_SAYS}\w* (?:\w+ ){{0,2}}in (?:the|your|any|these|this)"
    rf" (?:\w+ )?{_SOURCE}\b"
    r"|\b(?:no|not any) (?:\w+ )?(?:information|details?|data) "
    r"(?:about|on|regarding|concerning|available|provided|given|is|are|was|in the)\b"
    r"|\bno (?:\w+ )?(?:mention|reference|answer) (?:of|to|in)\b"
    rf"|\bno (?:\w+ )?{_SOURCE} (?:\w+ )?{_SAYS}"
    rf"|\b(?:cannot|can't|could not|unable to|not possible to)(?: be)? "
    rf"(?:answer|determine|find|found|provide)",
    re.IGNORECASE,
)
_CHINESE_REFUSAL = re.compile(
    "(?:文档|段落|资料|文中|文本|上下文|材料|原文|内容|文件|信息)[^。！？]{0,40}"
    "(?:没有|未|不包含|不含|无法|找不到|不存在)[^。！？]{0,30}"
    "(?:答案|提及|提到|提供|说明|包含|信息|给出|回答|找到|涉及|描述|记载|内容|指出|列出|关于|确定|得知|判断|得出|知道)"
    "|(?:没有|未|无|找不到)(?:任何|直接|明确|具体)?(?:提到|提及|找到|关于|相关)[^。！？]{0,30}"
    "(?:信息|内容|答案|数据|资料|说明|段落)"
    "|(?:文档|段落|资料|文中|材料|原文)[^。！？]{0,12}(?:没有|未)(?:找到|提到|提及|说明|涉及)"
    "|无法(?:从|根据|基于|在|通过)[^。！？]{0,40}(?:回答|确定|得知|得出|判断|找到|获取|提供)"
    "|无法(?:回答|确定)(?:这个|该|此|你的)?问题"
)


def is_refusal(sentence: str) -> bool:
    """Say whether a sentence says that the documents, not the world, lack something.

    >>> is_refusal("The passages do not mention the price."), is_refusal("文档中没有答案。")
    (True, True)
    >>> is_refusal("The agreement does not contain a cap."), is_refusal("它没有风扇。")
    (False, False)
    """
    return bool(_ENGLISH_REFUSAL.search(sentence) or _CHINESE_REFUSAL.search(sentence))


_ASKS_FOR = re.compile(
    r"^\W*(?:(?:and|so|ok|then|please|hi|hello|but)\b\W*)*(?:in |at |on |by |for |to |from |of )?"
    r"(?:who|whom|whose|what|which|when|where|why|how)\b"
    r"|谁|什么|哪|多少|几(?!乎)|何时|为何|怎么|怎样|如何|啥",
    re.IGNORECASE,
)
_LEAVES_A_CHOICE = re.compile(r"\bor\b|\bwhether\b|还是|或|吗|是否|是不是|有没有", re.IGNORECASE)
_DENIES = re.compile(
    r"\b(?:no|not|never|none|nobody|nothing|without)\b|n['’]t\b|不|没|无|未|非", re.IGNORECASE
)
_NO_ANSWER = (
    "the a an of in on at to for from by with and or as is are was were be been it its this that "
    "these those there they he she his her their has have had do does did not who what which "
    "when where how why named called author writer person people someone somebody document text "
    "report paper file pdf passage written wrote made stated said mentioned described given "
    "provided following follows listed found"
)
"""Words that name nothing an answer could be: "it was written by the author of the paper"."""
_NO_ANSWER_ZH = frozenset(
    "的是由在了和与为有于该这那其被个所及之中里上下到他它她们人作者写著文档件资料论报告内容如以"
)


def only_repeats(question: str, sentence: str, terms: Callable[[str], list[str]]) -> bool:
    """Say whether a sentence tells nothing that the question did not say.

    Only where something is asked for: "The lease allows pets." answers "Does it allow pets?".

    >>> words = lambda text: text.lower().strip(".?").split()
    >>> only_repeats("Who wrote the kelp paper?", "It was written by the author.", words)
    True
    >>> only_repeats("Who wrote the kelp paper?", "The kelp paper was written by Ada.", words)
    False
    """
    if not _ASKS_FOR.search(question) or _LEAVES_A_CHOICE.search(question):
        return False
    if _DENIES.search(sentence) and not _DENIES.search(question):
        return False
    said = {char for char in sentence if is_cjk(char)}
    if said:
        rest = said - set(question) - _NO_ANSWER_ZH
        return not rest and not _LATIN.search(_without(sentence, question))
    known = {*terms(question), *terms(_NO_ANSWER)}
    return all(term in known or term.removesuffix(".pdf") in known for term in terms(sentence))


_LATIN = re.compile(r"[A-Za-z0-9]")


def _without(sentence: str, question: str) -> str:
    """Return a sentence without the Latin words and numbers that the question has."""
    asked = set(re.findall(r"[A-Za-z0-9.]+", question))
    return re.sub(r"[A-Za-z0-9.]+", lambda m: "" if m[0] in asked else m[0], sentence)


_LEAD = re.compile(
    r"^\s*(?:(?:according to|based on|as (?:stated|mentioned) in) (?:the|these|your) (?:\w+ )?"
    r"(?:document|passage|text|context|information|excerpt)s?[^,]{0,40},\s+"
    r"|根据(?:上述|以上|所给|提供的|给定的)?(?:文件|文档|资料|段落|内容|信息|原文|文中)[^，,]{0,8}[，,])",
    re.IGNORECASE,
)
_ON_PAGE = re.compile(
    r"(?<!\s)\s*(?:\b(?:on|from|at|in|of)\s+)?(?:the\s+)?\b(?:PDF\s+)?page\s+(\d{1,4})\b"
    r"|(?:在|于)?(?:文件|文档|PDF)?第\s?(\d{1,4})\s?页[上中的]?",
    re.IGNORECASE,
)
_TIMES = r"(?!(?:(?<=[\d)）%])|(?<=[\d)）%] ))\* ?[\d(（$€£¥])"  # 135,987 * 100 is no markup
_MARKUP = re.compile(rf"^\s*(?:[-*+•]|\(?\d{{1,2}}[.)、])\s+|\[\d{{1,3}}\]|{_TIMES}[*_`#|]+")


def bare(sentence: str) -> str:
    """Return a sentence without marks and without the words that lead to it.

    >>> bare("- **The fee** is 1,577 [2]."), bare("According to the document, it is 3 * 4 = 12.")
    ('  The fee  is 1,577  .', 'it is 3 * 4 = 12.')
    """
    return _LEAD.sub("", _MARKUP.sub(" ", sentence))


def without_pages(sentence: str, known: Collection[str]) -> str:
    """Return a sentence without "on page 14" where 14 is among the ``known``.

    >>> without_pages("The fax on page 14 is 555, and on page 15 it is 556.", {"14"})
    'The fax is 555, and on page 15 it is 556.'
    """
    return _ON_PAGE.sub(lambda page: "" if (page[1] or page[2]) in known else page[0], sentence)


_QUOTED = re.compile(
    r"“([^“”\n]{2,160})”|\"([^\"\n]{2,160})\"|「([^「」\n]{2,160})」|『([^『』\n]{2,160})』"
    r"|《([^《》\n]{1,80})》|«([^«»\n]{2,160})»"
)
_WORD = re.compile(r"[A-Za-z\u00c0-\u024f][\w\u00c0-\u024f]*(?:[-.&'’/+][A-Za-z0-9]+)*\+*")
_CJK = re.compile(r"[\u3400-\u9fff]")
# Capitalised for other reasons than being a name, or left out of one at will.
_NOT_NAMES = (
    "a an the this that these those i we you he she it they its their our your his her my in "
    "on at by of to for from with as and or but not no yes if when while where which who what "
    "how why there here is are was were be been has have had do does did will would can could "
    "may might should must shall all any both each some most more according based however "
    "therefore thus also overall additionally furthermore finally first second third fourth "
    "note answer inc corp corporation co company ltd limited llc plc lp group holdings mr mrs "
    "ms dr prof january february march april may june july august september october november "
    "december jan feb mar apr jun jul aug sep sept oct nov dec monday tuesday wednesday "
    "thursday friday saturday sunday q1 q2 q3 q4 h1 h2 fy usd rmb eur gbp ok pdf"
)
_COMMON = frozenset(_NOT_NAMES.split())


def without_possessive(word: str) -> str:
    """Return Colorado for Colorado's."""
    return re.sub(r"['’]s?\Z", "", word)


def is_common(word: str) -> bool:
    """Say whether a capitalised word is one for other reasons than being a name: The, Note."""
    return word.casefold() in _COMMON


def plain_marks(text: str) -> str:
    """Return a text with straight apostrophes and quotation marks."""
    return text.translate(_STRAIGHT)


_STRAIGHT = str.maketrans("’‘“”", "''\"\"")


@dataclass(frozen=True, slots=True)
class Name:
    """One name at ``text[start:end]``; ``words`` are those that must be found."""

    start: int
    end: int
    words: tuple[str, ...]
    quoted: bool = False


def names(text: str) -> tuple[Name, ...]:
    """Return the names of a sentence, in order.

    >>> [name.words for name in names("The A100 was shown by Jensen Huang in “Taipei 101”.")]
    [('A100',), ('Jensen', 'Huang'), ('Taipei 101',)]
    """
    found = [
        Name(match.start(), match.end(), (next(filter(None, match.groups())).strip(),), quoted=True)
        for match in _QUOTED.finditer(text)
    ]
    inside = [(name.start, name.end) for name in found]
    found += [
        name
        for name in _capitalised(text)
        if not any(start <= name.start < end for start, end in inside)
    ]
    return tuple(sorted(found, key=lambda name: name.start))


def squeezed(text: str) -> str:
    """Return the letters and digits of a text, in one case and width: how quotes are compared."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(char for char in folded if char.isalnum())


def _capitalised(text: str) -> Iterator[Name]:
    """Yield runs of capitalised words and codes; a sentence's first word counts if it is odd."""
    words = list(_WORD.finditer(text))
    if not words:
        return
    plain = (word[0] for word in words if word[0].islower())
    titled = all(word in _COMMON for word in plain) and not _CJK.search(text)
    run: list[re.Match[str]] = []
    for index, word in enumerate(words):
        if run and not _joined(text, run[-1], word):
            yield _name(run)
            run = []
        first = _begins(text, word, index) and not _leads(text, words, index)
        if _is_name(word[0], first=first, titled=titled):
            run.append(word)
        elif run:
            yield _name(run)
            run = []
    if run:
        yield _name(run)


def _name(run: list[re.Match[str]]) -> Name:
    return Name(run[0].start(), run[-1].end(), tuple(word[0] for word in run))


def _joined(text: str, one: re.Match[str], two: re.Match[str]) -> bool:
    return text[one.end() : two.start()] in {" ", "-", " & ", "."}


def _begins(text: str, word: re.Match[str], index: int) -> bool:
    """Say whether the word begins the sentence, or what follows a colon or a quotation mark."""
    before = text[: word.start()].rstrip(' *_#-"“‘([')
    return index == 0 or not before or before[-1] in ":;.!?\n|"


def _leads(text: str, words: list[re.Match[str]], index: int) -> bool:
    """Say whether a capitalised word follows at once: a first name, not a sentence's first word."""
    following = words[index + 1 : index + 2]
    return any(_joined(text, words[index], word) and word[0][0].isupper() for word in following)


def _is_name(word: str, *, first: bool, titled: bool) -> bool:
    if word.casefold().rstrip(".") in _COMMON:
        return False
    odd = any(char.isdigit() or char.isupper() for char in word[1:])
    if odd:
        return len(word) > 1
    return word[0].isupper() and not first and not titled and len(word) > 1


_ENGLISH = re.compile(
    r"\b(?:not|no|never|none|nor|neither|without|cannot|nothing|nobody|unable|(?:\w+n['’]t))\b",
    re.IGNORECASE,
)
_ENGLISH_POSITIVE = re.compile(
    r"\bwithout (?:regard|prejudice|limit|limitation)\b|\bbut not limited to\b|\bnot only\b"
    r"|\bno\.(?= ?\d)",
    re.IGNORECASE,
)
# Words that hold such a character and deny nothing; 不得不 says yes.
_CHINESE_POSITIVE = re.compile(
    "不得不|不仅|不但|不断|不同|不少|不过|不久|不管|不论|不妨|不禁|不愧|不止|不只|不一|不等|不锈钢|不动产|"
    "不丹|无论|无线|无锡|无非|无数|无疑|无机|无人机|未来|未必不|非常|非洲|除非|并非不|否则|是否|能否|可否|"
    "与否|差别|区别|分别|特别|级别|类别|性别|个别|别名|别称|别墅|别的|别人|没收|淹没|埋没|莫非|莫斯科|要不|"
    "前所未有|史无前例|无与伦比|独一无二|必不可少|不可或缺|毫无疑问|"
    "对不起|了不起|来不及|忍不住|差不多|说不定|不得已|不可思议|不约而同|不了了之"
)
_CHINESE = re.compile("不|没|无|未|非|否|勿|别|莫|毫无")
_BROKEN = re.compile(r"(?<=[\u4e00-\u9fff])\s+(?=[\u4e00-\u9fff])")  # 分 | 别, at a line's end
_OPPOSITES = tuple(
    (re.compile(rf"\b(?:{one})\w*", re.IGNORECASE), re.compile(rf"\b(?:{other})\w*", re.IGNORECASE))
    for one, other in (
        ("increas|grew|grow|rose|ris(?:e|ing)", "decreas|declin|fell|fall|drop|reduc"),
        ("higher|greater|more than|above", "lower|less than|fewer|below"),
        ("profit|gain|net income", "loss|net loss"),
        ("maximum|at most|largest|highest", "minimum|at least|smallest|lowest"),
        ("before|prior to", "after|following"),
        ("include", "exclude"),
        ("allow|permit", "forbid|prohibit"),
    )
) + tuple(
    (re.compile(one), re.compile(other))
    for one, other in (
        ("增长|增加|上升|上涨|提高|升高", "下降|减少|下跌|降低|下滑"),
        ("高于|多于|超过|大于", "低于|少于|不足|小于"),
        ("盈利|利润", "亏损"),
        ("最大|最高|最多|至多", "最小|最低|最少|至少"),
        ("之前|以前", "之后|以后"),
        ("包括|包含", "不包括|不含|除外"),
        ("允许", "禁止"),
    )
)


def negations(text: str) -> int:
    """Return how often a text denies something.

    >>> negations("It is not new and doesn't run."), negations("它不是新的，非常不同。")
    (2, 1)
    """
    text = _BROKEN.sub("", text)
    text = _ENGLISH_POSITIVE.sub("", text)
    return len(_ENGLISH.findall(text)) + len(_CHINESE.findall(_CHINESE_POSITIVE.sub("", text)))


def opposites(claim: str, place: str) -> Iterator[str]:
    """Yield the words of a claim whose opposite stands at a place where they do not.

    >>> list(opposites("Sales increased by 5%.", "Sales declined by 5%."))
    ['increased']
    """
    for pair in _OPPOSITES:
        for one, other in (pair, pair[::-1]):
            said = one.search(claim)
            if said and not other.search(claim) and other.search(place) and not one.search(place):
                yield said[0]


ALIKE = 0.75
"""Share of the sentence's words that the evidence has in the same order."""
_FEWEST = 6  # words; shorter sentences are alike by chance
_LONGEST = 3  # words that stand in one another's place
_TOKEN = re.compile(r"[A-Za-z]+|\d[\d.,]*\d|\d|[\u4e00-\u9fff]")


def exchanged(claim: str, found: Sequence[Quantity], evidence: str) -> Iterator[Quantity]:
    """Yield those of the claim's quantities in whose place the evidence has another.

    Other spellings of a quantity are the same: 3.2亿 and 320 million, 5 March and March 5.

    >>> says = "In all its markets net sales rose, as expected, to 1.2 billion in 2016."
    >>> there = "In all its markets net sales rose, as expected, to 1,200 million in 2015."
    >>> [says[q.start : q.end] for q in exchanged(says, quantities(says), there)]
    ['2016']
    """
    said = [(m[0].casefold(), m.start(), m.end()) for m in _TOKEN.finditer(claim)]
    there = [(m[0].casefold(), m.start(), m.end()) for m in _TOKEN.finditer(evidence)]
    if len(said) < _FEWEST:
        return
    matcher = SequenceMatcher(
        None, [token for token, *_ in said], [token for token, *_ in there], autojunk=False
    )
    operations = matcher.get_opcodes()
    same = sum(b - a for kind, a, b, _, _ in operations if kind == "equal")
    if same < ALIKE * len(said):
        return
    known = quantities(evidence)
    for kind, a, b, c, d in operations:
        if kind != "replace" or max(b - a, d - c) > _LONGEST:
            continue
        mine = [q for q in found if q.start < said[b - 1][2] and said[a][1] < q.end]
        theirs = [q for q in known if q.start < there[d - 1][2] and there[c][1] < q.end]
        for quantity in mine:
            if theirs and not any(_agree(quantity, one, evidence) for one in theirs):
                yield quantity


def exchanged_names(claim: str, found: Sequence[Name], evidence: str) -> Iterator[str]:
    """Yield terms in Latin letters of a Chinese claim where the evidence has others instead.

    Among Chinese such words are names; a place that leaves one out and has one that the claim
    leaves out speaks of another thing.

    >>> says = "xelatex 命令结合的是 pdfTeX 引擎和 LaTeX 格式。"
    >>> there = "xelatex 命令是结合 XeTeX 引擎和 LaTeX 格式的编译命令。"
    >>> list(exchanged_names(says, names(says), there))
    ['pdfTeX']
    """
    if not _CJK.search(claim) or not _CJK.search(evidence):
        return
    said, there = squeezed(claim), squeezed(evidence)
    more = [m[0] for m in _WORD.finditer(evidence) if squeezed(m[0]) not in said]
    for name in found:
        words = claim[name.start : name.end]
        if more and _LATIN.search(words) and squeezed(words) not in there:
            yield words


def _agree(said: Quantity, there: Quantity, evidence: str) -> bool:
    """Say whether the evidence states there what was said."""
    if said.date or there.date:
        mine = [date for date in (said.date, said.other) if date]
        theirs = [date for date in (there.date, there.other) if date]
        return any(one.holds(date) or date.holds(one) for date in mine for one in theirs)
    return not gaps([said], Place(evidence[there.start : there.end], around=evidence))
