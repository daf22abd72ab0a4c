"""Answers about the library, from the ledger's list of documents."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from rag.answering.direct.draft import Draft
from rag.retrieval.query.named_places import named_documents
from rag.text.messages import Language, Text
from rag.text.reasons import reason_text
from rag.text.sizes import file_size

if TYPE_CHECKING:
    from rag.retrieval.query.question_kind import AboutLibrary, Period
    from rag.storage.listing import ListedDocument
    from rag.types.answers import Answer, Passage

_SHOWN = 20  # documents written out; the list beside the chat has all of them
_LANGUAGES: Mapping[str, Text] = {
    "en": Text("English", "英文"), "zh": Text("Chinese", "中文"),
}  # fmt: skip
_ASKED_LANGUAGES = {"english": "en", "英文": "en", "英语": "en", "chinese": "zh", "中文": "zh",
                    "汉语": "zh"}  # fmt: skip
_PERIOD_WORDS: Mapping[str, Text] = {
    "": Text("so far", "至今"), "today": Text("today", "今天"),
    "yesterday": Text("yesterday", "昨天"), "week": Text("this week", "本周"),
    "last_week": Text("last week", "上周"), "month": Text("in the last 30 days", "最近 30 天"),
    "last_month": Text("last month", "上个月"), "year": Text("this year", "今年"),
}  # fmt: skip
_LENGTH: Mapping[str, Text] = {
    "longest": Text("The longest document is ", "最长的文档是"),
    "shortest": Text("The shortest document is ", "最短的文档是"),
    "newest": Text("The document added last is ", "最近添加的文档是"),
    "oldest": Text("The document added first is ", "最早添加的文档是"),
}
_NONE = Text(
    "There are no documents yet. Drop PDFs onto the screen or into the knowledge folder.",
    "还没有文档。请把 PDF 拖到页面上，或放进 knowledge 文件夹。",
)

Beginnings = Callable[[Sequence[str]], Mapping[str, "Passage"]]
"""Gives the first passage of documents, by id."""
About = Callable[[str], Sequence["Passage"]]
"""Gives the best passage of each document that is about something, the likeliest first."""


class LibraryAnswers:
    """Answers one question about the list of documents; ``None`` if it is none after all."""

    def __init__(
        self,
        documents: Callable[[], Sequence[ListedDocument]],
        *,
        beginnings: Beginnings,
        about: About,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._documents = documents
        self._beginnings = beginnings
        self._about = about
        self._now = now

    def answer(
        self, question: str, asked: AboutLibrary, scope: Collection[str] | None
    ) -> Answer | None:
        """Return the answer; ``scope`` are the documents that the person picked."""
        known = [one for one in self._documents() if scope is None or one.id in scope]
        draft = Draft(question, "library")
        if not known:
            return draft.say(_NONE).answer()
        if asked.document and (meant := self._meant(asked.document, known)) is None:
            return None
        known = meant if asked.document and meant else known
        kinds: Mapping[str, Callable[[Draft, AboutLibrary, list[ListedDocument]], bool]] = {
            "count": self._count, "list": self._list, "topic": self._topic, "pages": self._pages,
            "unread": self._unread, "added": self._added, "extreme": self._extreme,
            "language": self._language, "size": self._size,
        }  # fmt: skip
        return draft.answer() if kinds[asked.about](draft, asked, known) else None

    def _meant(self, written: str, known: Sequence[ListedDocument]) -> list[ListedDocument] | None:
        """Return the documents that a name means, all for "my documents", ``None`` for no name."""
        if written in _ALL:
            return list(known)
        by_id = {one.id or one.path: one for one in known}
        names = {identity: (one.name, one.title) for identity, one in by_id.items()}
        found = [by_id[i] for i in named_documents(written, names).ids]
        if not found:
            words = {word for word in written.split() if word not in _SMALL}
            found = [
                one for one in known if words and words <= set(_words(f"{one.name} {one.title}"))
            ]
        return found or None

    # -- one method a question ---------------------------------------------------------------

    def _count(self, draft: Draft, _: AboutLibrary, known: list[ListedDocument]) -> bool:
        read = [one for one in known if one.reason is None]
        pages = sum(one.pages for one in read)
        draft.say(
            Text(
                f"You have {_n(len(known), 'document')} with {_n(pages, 'page')}.",
                f"你有 {len(known):,} 份文档，共 {pages:,} 页。",
            )
        )
        self._gaps(draft, known)
        return True

    def _list(self, draft: Draft, _: AboutLibrary, known: list[ListedDocument]) -> bool:
        draft.say(Text(f"You have {_n(len(known), 'document')}:", f"你有 {len(known):,} 份文档："))
        self._rows(draft, known)
        return True

    def _topic(self, draft: Draft, asked: AboutLibrary, known: list[ListedDocument]) -> bool:
        ids = {one.id: one for one in known}
        found = [p for p in self._about(asked.topic) if p.chunk.document_id in ids]
        if not found:
            return False  # other words may say it: that is for the search
        draft.say(
            Text(
                f"{_n(len(found), 'document')} mention “{asked.topic}”, the likeliest first:",
                f"提到“{asked.topic}”的文档有 {len(found):,} 份，最相关的在前：",
            )
        )
        for passage in found[:_SHOWN]:
            draft.add("\n- ").link(ids[passage.chunk.document_id].shown, passage)
        self._more(draft, len(found))
        return True

    def _pages(self, draft: Draft, asked: AboutLibrary, known: list[ListedDocument]) -> bool:
        if not asked.document or len(known) > 1:
            pages = sum(one.pages for one in known)
            draft.say(
                Text(
                    f"Together {_n(pages, 'page')} in {_n(len(known), 'document')}.",
                    f"{len(known):,} 份文档共 {pages:,} 页。",
                )
            )
            if len(known) <= _SHOWN and asked.document:
                self._rows(draft, known)
            return True
        (one,) = known
        begin = self._beginnings([one.id]).get(one.id)
        draft.link(one.shown, begin).say(
            Text(f" has {_n(one.pages, 'page')}.", f" 共 {one.pages:,} 页。")
        )
        return True

    def _unread(self, draft: Draft, asked: AboutLibrary, known: list[ListedDocument]) -> bool:
        gaps = [one for one in known if one.reason or one.unread]
        if not gaps and asked.document:
            return False  # "what is missing in the lease?" asks what it says
        if not gaps:
            draft.say(
                Text(
                    f"Everything was read: {_n(len(known), 'document')}, every page with text can "
                    "be searched.",
                    f"全部读取成功：{len(known):,} 份文档，所有有文字的页面都可以检索。",
                )
            )
            return True
        draft.say(
            Text(
                f"{_n(len(gaps), 'document')} could not be read whole:",
                f"有 {len(gaps):,} 份文档没有完整读取：",
            )
        )
        begins = self._beginnings([one.id for one in gaps[:_SHOWN] if one.id])
        for one in gaps[:_SHOWN]:
            draft.add("\n- ").link(one.shown, begins.get(one.id)).say(Text(": ", "："))
            draft.add(" ".join(_why(one, draft.language)))
        self._more(draft, len(gaps))
        return True

    def _added(self, draft: Draft, asked: AboutLibrary, known: list[ListedDocument]) -> bool:
        since, until = _span(asked.period, self._now())
        fitting = [one for one in known if since <= one.added_at < until]
        fitting.sort(key=lambda one: -one.added_at)
        if asked.document and not fitting:
            return False
        when = _PERIOD_WORDS[asked.period]
        if not fitting:
            draft.say(Text(f"Nothing was added {when.en}.", f"{when.zh}没有添加文档。"))
            return True
        if not asked.document:
            draft.say(
                Text(
                    f"Added {when.en}: {_n(len(fitting), 'document')}, the newest first.",
                    f"{when.zh}添加了 {len(fitting):,} 份文档，最新的在前：",
                )
            )
        self._rows(draft, fitting, dates=True)
        return True

    def _extreme(self, draft: Draft, asked: AboutLibrary, known: list[ListedDocument]) -> bool:
        read = [one for one in known if one.reason is None]
        if not read:
            return False
        by_length = asked.extreme in {"longest", "shortest"}
        most = asked.extreme in {"longest", "newest"}
        best = (max if most else min)(
            read, key=lambda one: one.pages if by_length else one.added_at
        )
        begin = self._beginnings([best.id]).get(best.id)
        draft.say(_LENGTH[asked.extreme]).link(best.shown, begin)
        date = _date(best.added_at)
        if by_length:
            draft.say(Text(f", with {_n(best.pages, 'page')}.", f"，共 {best.pages:,} 页。"))
        else:
            draft.say(Text(f", added on {date}.", f"，添加于 {date}。"))
        return True

    def _language(self, draft: Draft, asked: AboutLibrary, known: list[ListedDocument]) -> bool:
        wanted = _ASKED_LANGUAGES.get(asked.topic)
        if asked.topic and wanted is None:
            return False  # only these two are told apart
        if wanted:
            known = [one for one in known if one.language == wanted]
            name = _LANGUAGES[wanted]
            draft.say(
                Text(
                    f"{_n(len(known), 'document')} in {name.en}{':' if known else '.'}",
                    f"{name.zh}文档有 {len(known):,} 份{'：' if known else '。'}",
                )
            )
            self._rows(draft, known)
            return True
        counts = Counter(one.language for one in known if one.language in _LANGUAGES)
        en = ", ".join(f"{_n(n, 'document')} in {_LANGUAGES[x].en}" for x, n in counts.items())
        zh = "，".join(f"{_LANGUAGES[x].zh} {n:,} 份" for x, n in counts.items())
        draft.say(Text(f"By their text: {en}.", f"按正文判断：{zh}。"))
        return bool(counts)

    def _size(self, draft: Draft, _: AboutLibrary, known: list[ListedDocument]) -> bool:
        total = file_size(sum(one.size for one in known))
        draft.say(
            Text(
                f"The files of {_n(len(known), 'document')} take {total}.",
                f"{len(known):,} 份文档的文件共占 {total}。",
            )
        )
        return True

    # -- parts of answers --------------------------------------------------------------------

    def _rows(self, draft: Draft, shown: Sequence[ListedDocument], *, dates: bool = False) -> None:
        begins = self._beginnings([one.id for one in shown[:_SHOWN] if one.id])
        for one in shown[:_SHOWN]:
            draft.add("\n- ").link(one.shown, begins.get(one.id))
            if one.reason:
                draft.say(Text(" (could not be read)", "（未能读取）"))
            elif dates:
                draft.say(Text(f" ({_date(one.added_at)})", f"（{_date(one.added_at)}）"))
            else:
                draft.say(Text(f" ({_n(one.pages, 'page')})", f"（{one.pages:,} 页）"))
        self._more(draft, len(shown))

    def _more(self, draft: Draft, count: int) -> None:
        if count > _SHOWN:
            draft.say(
                Text(
                    f"\n\nAnd {count - _SHOWN:,} more; the list of documents has them all.",
                    f"\n\n另有 {count - _SHOWN:,} 份，见文档列表。",
                )
            )

    def _gaps(self, draft: Draft, known: Sequence[ListedDocument]) -> None:
        gaps = sum(1 for one in known if one.reason or one.unread)
        if gaps:
            draft.say(
                Text(
                    f" {_n(gaps, 'document')} could not be read whole; ask “what could not be "
                    "read and why?”.",
                    f"其中 {gaps:,} 份没有完整读取，可以问“哪些文件读不了，为什么？”。",
                )
            )


_ALL = frozenset(
    {"my documents", "all documents", "all my documents", "my files", "my pdfs", "everything"}
    | {"all my pdfs", "all my files", "all of them", "they", "the library", "the whole library"}
    | {"all", "", "所有文档", "全部文档", "所有文件", "我的文档", "这些文档", "文档", "资料库"}
)
_SMALL = frozenset(
    {"the", "a", "an", "my", "of", "in", "is", "does", "do", "document", "file", "pdf", "report"}
)


def _words(text: str) -> list[str]:
    return "".join(char if char.isalnum() else " " for char in text.casefold()).split()


def _n(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _date(at: float) -> str:
    return time.strftime("%Y-%m-%d", time.localtime(at))


def _why(one: ListedDocument, language: Language) -> list[str]:
    """Return the reasons in words, each with its remedy and how many pages it concerns."""
    if one.reason:
        return [reason_text(one.reason, language)]
    return [
        Text(
            f"{_n(count, 'page')}: {reason_text(reason, 'en')}",
            f"{count:,} 页：{reason_text(reason, 'zh')}",
        ).say(language)
        for reason, count in one.unread
    ]


def _span(period: Period, now: float) -> tuple[float, float]:
    """Return when a period began and ended, in seconds since 1970; weeks begin on Monday."""
    midnight = (
        datetime.fromtimestamp(now).astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
    )
    monday = midnight - timedelta(days=midnight.weekday())
    first = midnight.replace(day=1)
    spans: dict[str, tuple[datetime, datetime | None]] = {
        "today": (midnight, None),
        "yesterday": (midnight - timedelta(days=1), midnight),
        "week": (monday, None),
        "last_week": (monday - timedelta(days=7), monday),
        "month": (midnight - timedelta(days=30), None),
        "last_month": ((first - timedelta(days=1)).replace(day=1), first),
        "year": (midnight.replace(month=1, day=1), None),
    }
    if period not in spans:
        return 0.0, now + 1
    since, until = spans[period]
    return since.timestamp(), until.timestamp() if until else now + 1
