"""Values as HTML, room by room."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from rag.app.app import AppState
from rag.ingestion.uploads import Added
from rag.storage.vectors.manager import PreviousIndex
from rag.text.messages import LANGUAGES, Language, Text
from rag.types.answers import (
    Answer,
    Coverage,
    Evidence,
    Offer,
    Passage,
    Ranks,
    ReadingProgress,
    Sentence,
    Usage,
    Verdict,
)
from rag.types.documents import Box, Chunk, DocumentStatus
from rag.types.hardware import MemoryReading
from rag.types.index_version import Stale
from rag.types.progress import Progress
from tests.fake_script import HOSTILE
from tests.fakes import GPU, NO_GPU
from ui.render import render
from ui.tabs import Problem, Screen, Turn
from ui.views.chat import live_html, talk_html, turn_html
from ui.views.evidence import evidence_values, places
from ui.views.library import (
    SHOWN,
    added_html,
    forgotten_html,
    kept_html,
    landing_html,
    library,
    sync_html,
)
from ui.views.machine import state_word, strip_html
from ui.words import page_words, progress_words

ID = "ab" * 32
READY = AppState("ready", "A model", None, None, None, None, 1, NO_GPU, None)


def passage(**values: object) -> Passage:
    chunk = Chunk(ID, 0, 4, 60, 60, "text", "Manual › Chapter 1", 3)
    made = Passage(1, chunk, "manual.pdf", "manuals/manual.pdf", "32", 0.834, Ranks(2, 1))
    return replace(made, **values)  # type: ignore[arg-type]


def evidence_html(turn: Turn, language: Language) -> str:
    return render("evidence", language, **evidence_values(turn, language))


def status(**values: object) -> DocumentStatus:
    made = DocumentStatus(ID, ("a/contract.pdf",), "Contract", "en", {"text": 3}, "ready", None)
    return replace(made, **values)  # type: ignore[arg-type]


def forgotten(path: str) -> DocumentStatus:
    return DocumentStatus("", (path,), "", "", {}, "failed", "forgotten")


class Tags(HTMLParser):
    """The tags and attribute names of some HTML."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def plain(html: str) -> str:
    return unescape(re.sub(r"<[^>]+>", " ", html))


def test_boxes_become_percent_of_their_page() -> None:
    boxes = [Box(60, 10, 40, 60, 50), Box(61, 0, 0, 100, 200), Box(60, 10, 60, 30, 70)]
    sizes = {(ID, 60): (100.0, 200.0), (ID, 61): (100.0, 200.0)}
    assert places(ID, 60, boxes, sizes) == [
        {"page": 60, "w": 100.0, "h": 200.0, "boxes": [[10, 20, 50, 5], [10, 30, 20, 5]]},
        {"page": 61, "w": 100.0, "h": 200.0, "boxes": [[0, 0, 100, 100]]},
    ]


def test_a_passage_is_opened_where_it_stands_and_not_where_its_first_line_does() -> None:
    def over(*boxes: Box) -> Passage:
        return passage(chunk=Chunk(ID, 0, 4, 60, 61, "text"), boxes=boxes)

    line, half, table = Box(60, 0, 780, 90, 790), Box(60, 0, 400, 90, 780), Box(61, 0, 0, 90, 500)
    assert over().main_page == over(half, table).main_page == over(line).main_page == 60
    assert over(line, table).main_page == 61
    assert over(Box(61, 0, 0, 1, 1)).main_page == 61
    turn = Turn("?", "done", passages=(over(line, table),), page_sizes={})
    found = re.search(r'data-places="([^"]*)"', evidence_html(turn, "en"))
    assert found is not None
    assert [place["page"] for place in json.loads(unescape(found[1]))] == [61, 60]


def test_without_boxes_or_without_a_size_the_page_is_shown_unmarked() -> None:
    assert places(ID, 7, [], {}) == [{"page": 7, "boxes": []}]
    assert places(ID, 7, [Box(7, 0, 0, 1, 1)], None) == [{"page": 7, "boxes": []}]
    assert places(ID, 7, [Box(7, 0, 0, 1, 1)], {(ID, 7): (0, 0)}) == [{"page": 7, "boxes": []}]


@pytest.mark.parametrize(
    ("label", "last", "words"),
    [
        ("32", 60, "p. 32 · PDF page 60"),
        ("60", 60, "PDF page 60"),
        ("", 60, "PDF page 60"),
        ("iv", 61, "p. iv · PDF pages 60–61"),
    ],
)
def test_a_page_is_named_as_printed_and_as_counted(label: str, last: int, words: str) -> None:
    shown = passage(label=label)
    shown = replace(shown, chunk=replace(shown.chunk, last_page=last))
    assert page_words(shown, "en") == words


def test_a_card_tells_document_page_heading_score_and_ranks() -> None:
    words = plain(evidence_html(Turn("?", passages=(passage(),)), "en"))
    for part in ("manual.pdf", "p. 32 · PDF page 60", "Manual › Chapter 1", "score 0.83"):
        assert part in words
    assert "words 1 · meaning 2" in words
    unfound = evidence_html(Turn("?", passages=(passage(ranks=Ranks(dense=4)),)), "en")
    assert "words – · meaning 4" in plain(unfound)


def test_a_card_shows_its_passage_from_the_cited_place_on() -> None:
    text = "A table stands first. " * 20 + "The rent is 950 euros. Pets are not allowed."
    at = text.index("The rent")
    chunk = replace(passage().chunk, start=1000, end=1000 + len(text), text=text)
    cited = Evidence(0, "manual.pdf", 60, "The rent", 1000 + at, 1000 + at + 22, 0.9)

    def excerpt(*evidence: Evidence) -> str:
        turn = finished(Sentence(0, 4, "supported", evidence))
        html = evidence_html(replace(turn, passages=(passage(chunk=chunk),)), "en")
        found = re.search(r"<blockquote[^>]*>(.*?)</blockquote>", html)
        assert found
        return unescape(found[1])

    assert excerpt().startswith("A table stands first.")
    assert excerpt(cited) == "… The rent is 950 euros. Pets are not allowed."
    earlier = replace(cited, start=1010, end=1020)
    assert excerpt(cited, earlier).startswith("A table stands first."), "it is near the beginning"


def test_passages_without_room_are_listed_apart() -> None:
    html = evidence_html(Turn("?", passages=(passage(),), dropped=(passage(), passage())), "en")
    assert "2 more found, but there was no room for them" in html


def test_a_card_holds_its_places_as_json_whatever_the_names_hold() -> None:
    hostile = passage(document=HOSTILE, boxes=(Box(60, 0, 0, 50, 50),))
    html = evidence_html(Turn("?", passages=(hostile,), page_sizes={(ID, 60): (100, 100)}), "en")
    found = re.search(r'data-places="([^"]*)"', html)
    assert found
    assert json.loads(unescape(found[1]))[0]["boxes"] == [[0, 0, 50, 50]]
    assert "<script" not in html
    assert "<img" not in html


def finished(*sentences: Sentence, text: str = "One. Two. Three.", **values: object) -> Turn:
    usage = Usage(812, 46, retrieve_s=0.018, first_token_s=0.4, total_s=2.418)
    answer = Answer("?", text, "en", "supported", (passage(),), (), sentences, usage)
    answer = replace(answer, **values)  # type: ignore[arg-type]
    return Turn("?", "done", text, (passage(),), answer=answer)


def proof(number: int = 0) -> tuple[Evidence, ...]:
    return (Evidence(number, "manual.pdf", 60, "One", 0, 3, 0.9),)


def test_sentences_are_marked_while_the_rest_is_being_written() -> None:
    done = finished(text="One. Tw")
    assert done.answer
    checked = (Sentence(0, 4, "supported", proof()),)
    live = replace(done, stage="writing", answer=None, checked=checked)
    html = live_html(Screen(live=live), "en")
    assert 'class="s supported" data-s="0"' in html
    assert 'data-n="1"' in html
    assert plain(html).index("One.") < plain(html).index("Tw")


@pytest.mark.parametrize("verdict", ["weak", "unsupported"])
def test_a_mark_says_why_a_sentence_is_not_supported(verdict: Verdict) -> None:
    turn = finished(Sentence(0, 4, verdict, proof(), "number:45 GB"))
    assert "45 GB does not stand there." in talk_html(Screen((turn,)), "en")
    assert "文中没有 45 GB。" in talk_html(Screen((turn,)), "zh")


def test_it_is_said_how_many_sentences_were_left_out() -> None:
    done = finished(text="One.")
    assert done.answer
    turn = replace(done, answer=replace(done.answer, left_out=2))
    assert "2 sentences without support were left out" in talk_html(Screen((turn,)), "en")


def test_the_foot_counts_sentences_and_tells_times() -> None:
    turn = finished(
        Sentence(0, 4, "supported", proof()),
        Sentence(5, 9, "weak", proof()),
        Sentence(10, 16, "unsupported"),
    )
    words = plain(talk_html(Screen((turn,)), "en"))
    assert "1 of 3 sentences supported" in words
    assert "1 weak" in words
    assert "1 unsupported" in words
    assert "first 0.4 s · 23 tokens/s · search 18 ms" in words


def test_evidence_that_points_to_no_passage_is_not_drawn() -> None:
    html = talk_html(Screen((finished(Sentence(0, 4, "supported", proof(9))),)), "en")
    assert 'data-evidence="[]"' in html
    assert "<sup" not in html


@pytest.mark.parametrize(
    ("turn", "words"),
    [
        (finished(finish="length"), "longest length"),
        (finished(finish="cancelled"), "Stopped before the end"),
        (Turn("?", "stopped", "On"), "Stopped before the end"),
        (Turn("?", "failed", problem=Problem(Text("Oh.", "噢。"), Text("Do.", "做。"))), "→ Do."),
        (finished(verdict="not_in_documents"), "Not in your documents"),
        (
            replace(finished(verdict="not_in_documents"), documents=("a" * 8, "b" * 8)),
            "Only 2 of your documents were searched",
        ),
    ],
)
def test_an_answer_that_is_not_whole_says_why(turn: Turn, words: str) -> None:
    assert words in plain(talk_html(Screen((turn,)), "en"))


def test_the_live_turn_says_what_is_being_done() -> None:
    progress = Progress("download", 5_000_000, 10_000_000, "bytes")
    for turn, words in (
        (Turn("?", "queued"), "this one is next"),
        (Turn("?", "searching"), "Searching your documents"),
        (Turn("?", "reading", passages=(passage(),)), "Reading 1 passage"),
        (Turn("?", "reading", passages=(passage(),), read=0.421), "42 %"),
        (Turn("?", "model", progress=progress), "downloaded 5 MB / 10 MB · 50 %"),
        (Turn("?", "model"), "the model is being loaded"),
        (Turn("?", "stopping", "text"), "Stopped"),
    ):
        shown = " ".join(plain(live_html(Screen(live=turn), "en")).split())
        assert words in shown, turn.stage


@pytest.mark.parametrize(
    "room", ["question", "answer", "document", "heading", "excerpt", "item", "forgotten", "kept"]
)
def test_no_text_of_others_becomes_markup(room: str) -> None:
    turn = finished(Sentence(0, 4, "supported", proof()))
    shown = passage()
    html = {
        "question": lambda: talk_html(Screen((replace(turn, question=HOSTILE),)), "en"),
        "answer": lambda: talk_html(Screen((finished(text=HOSTILE),)), "en"),
        "document": lambda: library([status(paths=(HOSTILE,), reason=HOSTILE)], language="en").html,
        "heading": lambda: evidence_html(
            Turn("?", passages=(replace(shown, chunk=replace(shown.chunk, heading=HOSTILE)),)), "en"
        ),
        "excerpt": lambda: evidence_html(
            Turn("?", passages=(replace(shown, chunk=replace(shown.chunk, text=HOSTILE)),)), "en"
        ),
        "item": lambda: sync_html(
            replace(READY, sync_progress=Progress("read", item=HOSTILE)), "en"
        ),
        "forgotten": lambda: forgotten_html([forgotten(HOSTILE)], "en"),
        "kept": lambda: kept_html(PreviousIndex(HOSTILE, 230, 1, 0.0, newer=False), "en"),
    }[room]()
    assert "window.hacked" in html
    seen = Tags(html)
    assert not seen.tags & {"script", "img", "a", "iframe"}
    assert not {name for name in seen.attributes if name.startswith("on") or name == "href"}


def test_the_list_finds_by_name_and_counts_everything() -> None:
    documents = [status(), status(id="cd" * 32, paths=("合同（最终版）.pdf",), pages={"text": 18})]
    shown = library(documents, find=" 合同 ", language="en")
    assert shown.html.count('class="row') == 1
    assert (shown.documents, shown.searchable, shown.pages) == (2, 21, 21)
    assert "No document has that name" in library(documents, find="x", language="en").html
    assert "No documents yet" in library([], language="en").html


def test_a_very_long_list_is_cut_and_says_so() -> None:
    documents = [status(id=f"{n:064x}") for n in range(SHOWN + 7)]
    html = library(documents, language="en").html
    assert html.count('class="row') == SHOWN
    assert "7 more" in html


def test_a_long_name_keeps_its_end() -> None:
    name = "A very long name of a report, volume 12.pdf"
    html = library([status(paths=(name,))], language="en").html
    assert "<b class='tail'>me 12.pdf</b>" in html
    assert name in plain(html.replace("</b><b class='tail'>", ""))


def test_pages_that_cannot_be_searched_are_counted_by_reason() -> None:
    mixed = status(pages={"text": 7, "empty": 5, "failed": 1}, state="partial", reason="no_text")
    words = plain(library([mixed], language="en").html)
    assert "7/13" in words
    assert "5 blank or without text. 1 could not be read." in words
    failed = library([status(pages={}, state="failed", reason="damaged")], language="zh").html
    assert "文件已损坏" in failed
    assert 'class="reason">' in failed
    assert 'title="原因 ' in failed


def test_dropped_files_are_told_one_by_one() -> None:
    words = added_html([Added("a.pdf", "a.pdf"), Added("b", None, Text("No PDF.", "不是。"))], "en")
    assert "a.pdf was added." in words
    assert 'class="no">No PDF.' in words
    assert added_html([], "en") == ""


def test_the_note_under_the_drop_zone_names_the_folder() -> None:
    html = landing_html(Path("/home/me/{x}<b>"), "en")
    assert "{x}&lt;b&gt;" in html


@pytest.mark.parametrize(
    ("progress", "words"),
    [
        (Progress("read", 37, 120, "pages", per_second=14.2), "37 / 120 pages · 14 pages/s"),
        (Progress("embed", 3, None, "passages", per_second=0.5), "3 passages · 0.5 passages/s"),
        (Progress("download", 300, None, "bytes", per_second=2_500_000), "300 B · 2 MB/s"),
        (Progress("scan"), ""),
        (Progress("later", 2, 3, "sheets"), "2 / 3 sheets"),
    ],
)
def test_progress_says_what_is_measured_and_nothing_else(progress: Progress, words: str) -> None:
    assert progress_words(progress, "en") == words


def test_a_library_that_asks_itself_is_counted_in_both_languages() -> None:
    asking = Progress("check", 37, 120, "questions")
    assert progress_words(asking, "en") == "37 / 120 questions"
    assert progress_words(asking, "zh") == "37 / 120 个问题"


@pytest.mark.parametrize(
    ("values", "kind", "word"),
    [
        ({}, "good", "Ready"),
        ({"sync_progress": Progress("read")}, "busy", "Indexing"),
        ({"model_state": "loading", "sync_progress": Progress("read")}, "busy", "Loading"),
        (
            {"model_state": "downloading", "model_progress": Progress("download", 1, 4, "bytes")},
            "busy",
            "Downloading 25 %",
        ),
        (
            {
                "model_state": "downloading",
                "model_progress": Progress("verify", 1, 2, "bytes"),
            },
            "busy",
            "Verifying 50 %",
        ),
        ({"model_state": "failed"}, "bad", "No model"),
        ({"model_state": "none"}, "busy", "Starting"),
    ],
)
def test_the_state_is_one_word(values: dict[str, object], kind: str, word: str) -> None:
    assert state_word(replace(READY, **values), "en") == (kind, word)  # type: ignore[arg-type]


def test_the_strip_shows_what_can_be_read_and_leaves_out_the_rest() -> None:
    words = plain(strip_html(replace(READY, memory=GPU), "en"))
    for part in ("13.1 / 24.0 GiB", "model 9.2", "61 °C", "287 W", "GPU 74 %"):
        assert part in " ".join(words.split())
    bare = MemoryReading(1, 2, 4, vram_total_bytes=8 * 1024**3)
    words = " ".join(plain(strip_html(replace(READY, memory=bare), "en")).split())
    assert "VRAM 0.0 / 8.0 GiB" in words
    assert "°C" not in words
    words = " ".join(plain(strip_html(READY, "zh")).split())
    assert "没有 NVIDIA 显卡" in words
    assert "内存 6.2 / 16.0 GiB" in words


def test_meters_never_leave_their_frame() -> None:
    odd = MemoryReading(9, 5, 4, vram_used_bytes=99, vram_total_bytes=8, vram_model_bytes=50)
    for memory in (odd, replace(odd, vram_total_bytes=None)):
        html = strip_html(replace(READY, memory=memory), "en")
        widths = [float(found) for found in re.findall(r"width:([\d.]+)%", html)]
        assert all(0 <= width <= 100 for width in widths)
        assert sum(widths) <= 100.1


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_stale_is_said_with_its_cost_and_a_button(language: Language) -> None:
    words = Stale(embed=37, embed_s=240, read=3).say()
    shown = sync_html(replace(READY, stale=words), language)
    assert 'data-do="rebuild"' in shown
    assert "37" in shown
    assert ("about 4 min" if language == "en" else "约 4 分钟") in shown
    assert sync_html(READY, language) == ""
    busy = replace(READY, stale=words, sync_progress=Progress("embed", 1, 37, "documents"))
    assert 'data-do="rebuild"' not in sync_html(busy, language), "it is being done"


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("progress", [None, Progress("read", 1, 2, "documents")])
def test_a_background_part_that_failed_is_said_whatever_else_goes_on(
    language: Language, progress: Progress | None
) -> None:
    words = Text("Reading <ahead> failed.", "提前<读取>失败。")
    shown = sync_html(replace(READY, failures=(words,), sync_progress=progress), language)
    assert 'role="alert"' in shown
    assert unescape(shown).count(words.say(language)) == 1
    assert "<ahead>" not in shown


def test_a_near_duplicate_is_pointed_out_in_its_row() -> None:
    status = DocumentStatus(
        "a" * 64, ("a.pdf",), "A", "en", {"text": 3}, "ready", None, alike=("b <1>.pdf",)
    )
    html = library([status], language="en").html
    assert "Nearly the same as b &lt;1&gt;.pdf." in html
    assert "几乎相同" in library([status], language="zh").html


def test_a_file_that_is_being_copied_is_not_called_unreadable() -> None:
    status = DocumentStatus("", ("a.pdf",), "", "", {}, "failed", "growing")
    html = library([status], language="en").html
    assert "being copied" in html
    assert "cannot be read" not in html


@pytest.mark.parametrize("reason", ["encrypted", "wrong_password", "damaged"])
def test_a_locked_document_has_a_field_for_its_password(reason: str) -> None:
    locked = DocumentStatus("ab" * 32, ("锁.pdf",), "锁", "zh", {}, "failed", reason)
    html = library([locked], language="zh").html
    assert ('type="password"' in html) == (reason != "damaged")
    assert ("保存到系统密钥环" in html) == (reason != "damaged")


def test_what_is_forgotten_is_no_document_but_listed_with_its_way_back() -> None:
    documents = [status(), forgotten("a/old lease.pdf")]
    shown = library(documents, language="en")
    assert (shown.documents, "old lease" in shown.html) == (1, False)
    html = forgotten_html(documents, "en")
    assert "Forgotten 1" in " ".join(plain(html).split())
    assert 'data-path="a/old lease.pdf"' in html
    assert 'aria-label="Let old lease.pdf in again"' in html
    assert "重新收录" in forgotten_html(documents, "zh")
    assert forgotten_html([status()], "en") == ""


def test_each_document_can_be_forgotten_but_not_a_file_without_content() -> None:
    locked = status(pages={}, state="failed", reason="encrypted")
    for one in (status(), locked):
        assert 'aria-label="Forget contract.pdf"' in library([one], language="en").html
    growing = status(id="", pages={}, state="failed", reason="growing")
    assert "forget" not in library([growing], language="en").html


def test_the_kept_index_says_how_it_was_made_and_that_one_can_come_back() -> None:
    kept = PreviousIndex("multilingual-e5-small", 230, 12345, 1_763_800_000.0, newer=False)
    words = " ".join(plain(kept_html(kept, "en")).split())
    assert "Index before the last rebuild" in words
    assert "Made with multilingual-e5-small on 2025-11-22" in words
    assert "12,345 passages of up to 230 tokens." in words
    assert "The present one is kept, so you can change back." in words
    assert "上次重建得到的索引" in kept_html(replace(kept, newer=True), "zh")
    assert "tokens" not in kept_html(replace(kept, tokens=0), "en")
    assert kept_html(None, "en") == ""


READ = Coverage(120, 212, ("a.pdf", "<b>.pdf", "c.pdf", "d.pdf"), 58, 3)


def test_reading_everything_shows_how_far_it_is_of_what_and_how_long() -> None:
    turn = Turn("Summarise", "reading", reading=ReadingProgress(READ, "read", 290))
    shown = turn_html(turn, 0, "en")
    assert "Reading everything: 120 of 212 passages" in shown
    assert "about 5 min" in shown
    assert "a.pdf, &lt;b&gt;.pdf, c.pdf and 1 more · 3 other documents not read" in shown
    assert 'style="width:56.6%"' in shown
    chinese = turn_html(turn, 0, "zh")
    assert "正在通读：212 段中的 120 段" in chinese
    assert "约 5 分钟" in chinese
    writing = turn_html(replace(turn, reading=ReadingProgress(READ, "compose"), read=0.5), 0, "en")
    assert "Everything is read; writing" in writing
    assert "50 %" in writing


def test_an_answer_says_how_much_was_read_or_what_reading_everything_takes() -> None:
    answer = Answer("Q?", "Yes.", "en", "supported", (), coverage=READ)
    shown = turn_html(Turn("Q?", "done", "Yes.", answer=answer), 1, "en")
    assert "Read 120 of 212 passages" in shown
    offered = replace(answer, coverage=None, offer=Offer(2310, 2, 640, 3300))
    shown = turn_html(Turn('"Q"?', "done", "Yes.", answer=offered), 1, "en")
    assert "Everything: 2,310 passages, 640 pages · about 55 min" in shown
    assert 'data-question=""Q"?"' in unescape(shown)
    unmeasured = replace(offered, offer=Offer(2310, 2, 640, None))
    assert "min" not in turn_html(Turn("Q?", "done", "Yes.", answer=unmeasured), 1, "en")


def test_a_value_that_nobody_gave_is_an_error_and_not_an_empty_place() -> None:
    with pytest.raises(UndefinedError):
        render("landing", "en", before="", after="")


def test_what_is_filled_into_a_template_is_escaped_and_its_line_breaks_leave_no_space() -> None:
    html = render("landing", "en", before="<b>", after="'", folder=Path("/home/me"))
    assert html == '<p>&lt;b&gt;<b title="/home/me">me</b>&#39;</p>'
