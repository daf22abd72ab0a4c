"""The assembly line: in order, in full groups, bounded, and it ends when it should."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from rag.indexing.incoming import Pending
from rag.indexing.indexer import AssemblyLine, Cut
from tests.factories import chunk, document


def pending(name: str, pages: int = 1) -> Pending:
    return Pending(document(*["text"] * pages, id=name), None)


def cut(what: Pending) -> Cut:
    texts = [f"{what.document.id}{n}" for n in range(len(what.document.pages))]
    return Cut(what, [chunk(text) for text in texts], texts, texts)


def embed(cuts) -> np.ndarray:
    return np.zeros((sum(len(each.texts) for each in cuts), 2), np.float32)


def names(group) -> str:
    return "".join(each.pending.document.id for each in group.cuts)


def test_documents_come_out_in_groups_in_the_order_in_which_they_went_in() -> None:
    with AssemblyLine(cut=cut, embed=embed, group_passages=3) as line:
        for name in "abcdefgh":
            line.put(pending(name))
        assert line.waiting_pages == 8
        line.flush()
        groups: list[Any] = [line.finished(wait=True) for _ in range(3)]
        assert [names(group) for group in groups] == ["abc", "def", "gh"]
        assert [len(group.rows) for group in groups] == [3, 3, 2]
        assert line.waiting_pages == 0
        assert line.finished(wait=False) is None


def test_a_nudge_sends_a_part_of_a_group_only_when_nothing_else_is_on_its_way() -> None:
    nudged = threading.Event()

    def cut_and_tell(what: Pending) -> Cut:
        if what.document.id == "-":
            nudged.set()
        return cut(what)

    def slowly(cuts):
        assert nudged.wait(timeout=30)
        return embed(cuts)

    with AssemblyLine(cut=cut_and_tell, embed=slowly, group_passages=2) as line:
        for name in "abc":
            line.put(pending(name))
        line.nudge()
        line.put(pending("-", pages=0))  # no passages: it fills no group, and comes after the nudge
        assert names(line.finished(wait=True)) == "ab"
        line.put(pending("d"))
        assert names(line.finished(wait=True)) == "c-d", "c did not wait for its group"
        line.put(pending("e"))
        line.nudge()
        assert names(line.finished(wait=True)) == "e"


def test_one_document_is_cut_while_another_is_embedded() -> None:
    second_is_cut = threading.Event()

    def cut_and_tell(what: Pending) -> Cut:
        if what.document.id == "b":
            second_is_cut.set()
        return cut(what)

    def wait_for_second(cuts):
        assert second_is_cut.wait(timeout=30)
        return embed(cuts)

    with AssemblyLine(cut=cut_and_tell, embed=wait_for_second, group_passages=1) as line:
        line.put(pending("a"))
        line.put(pending("b"))
        assert names(line.finished(wait=True)) == "a"
        assert names(line.finished(wait=True)) == "b"


@pytest.mark.parametrize("stage", ["cut", "embed"])
def test_what_goes_wrong_on_the_line_is_raised_where_groups_are_taken_out(stage: str) -> None:
    def fails(_):
        raise MemoryError(stage)

    stages = {"cut": cut, "embed": embed, stage: fails}
    with AssemblyLine(**stages, group_passages=1) as line:
        line.put(pending("a"))
        with pytest.raises(MemoryError, match=stage):
            line.finished(wait=True)


def test_leaving_the_line_drops_what_is_on_it() -> None:
    embedded: list[str] = []
    began = threading.Event()

    def note(cuts):
        embedded.extend(each.pending.document.id for each in cuts)
        began.set()
        return embed(cuts)

    with AssemblyLine(cut=cut, embed=note, group_passages=1) as line:
        line.put(pending("a"))
        began.wait(timeout=30)
        line.finished(wait=True)
        for name in "bcdefghijk" * 50:
            line.put(pending(name))
    assert len(embedded) < 500
    assert not [t for t in threading.enumerate() if t.name.startswith(("cut_", "embed_"))]


def test_a_document_that_could_not_be_read_is_waited_for_as_well() -> None:
    with AssemblyLine(cut=cut, embed=embed, group_passages=5) as line:
        line.put(pending("a", pages=0))
        assert line.waiting_pages == 1
        line.flush()
        assert names(line.finished(wait=True)) == "a"
        assert line.waiting_pages == 0
