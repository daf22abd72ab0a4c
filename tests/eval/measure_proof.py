"""Measures the check of answers: right pages, changed sentences caught, true ones not doubted.

    python -m tests.eval.measure_proof --library DIR [--sentences 400] [--questions 100] [--words]

The library must hold the sets' PDFs (``rag sync``). Nothing is written to it, and no language
model is asked: answers are made by rule from questions and gold answers, and sentences are
taken from the documents. ``--log`` keeps every case that went wrong.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from rag.evaluation.datasets import load_sets
from rag.evaluation.scoring import contains, tokens
from rag.indexing.questions.maker import Question
from rag.text.sentences import split_prose
from rag.types.answers import Passage, Sentence
from rag.verification.linker import Embed, Linker
from tests.eval.measure_retrieval import PAGE_SETS, Bench, eval_folder
from tests.eval.mutations import MUTATIONS, REPHRASINGS, namer, names_of

SHOWN = 5
SHORT = 12  # words or characters of a gold answer
Verdicts = dict[tuple[str, str], Counter[str]]
"""(kind of change, language) -> how often each verdict was given."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A sentence of a document, with the passages that would be shown for it."""

    text: str
    language: str
    passages: tuple[Passage, ...]


@dataclass(frozen=True, slots=True)
class Linked:
    """Where the evidence of one right answer lies."""

    question: Question
    said: str
    sentence: Sentence | None
    on_page: bool  # on a page that the set names
    says_it: bool  # or in another passage that holds the answer


@dataclass(slots=True)
class Judge:
    """Judges sentences against passages of a library, and remembers what went wrong."""

    bench: Bench
    meaning: bool  # compare by the embedder, too
    log: list[str] = field(default_factory=list)

    def sentence(
        self, text: str, passages: Sequence[Passage], question: str = ""
    ) -> Sentence | None:
        embed: Embed | None = self.bench.embedder.embed_passages if self.meaning else None
        terms = self.bench.analyser.terms
        linker = Linker(passages, terms=terms, page_of=self._page, embed=embed, question=question)
        return linker.judge(text, 0, len(text))

    def note(self, kind: str, text: str, judged: Sentence | None) -> None:
        found = judged.evidence[0] if judged and judged.evidence else None
        place = f"p{found.page} {found.quote}" if found else ""
        why = f"{judged.verdict} {judged.reason}" if judged else "no words"
        self.log.append(" || ".join(" ".join(part.split()) for part in (kind, why, text, place)))

    def _page(self, passage: Passage, offset: int) -> int:
        spans = self.bench.store.page_spans(passage.chunk.document_id, offset, offset + 1)
        return spans[0][0] if spans else 1


def sampled(bench: Bench, count: int, rng: Random) -> Iterator[Sample]:
    """Yield sentences of random passages, as many in Chinese as in English."""
    ids = sorted(bench.index.ids())
    rng.shuffle(ids)
    wanted = {"en": count // 2, "zh": count - count // 2}
    for chunk_id in ids:
        passage = bench.store.passages([chunk_id])[chunk_id]
        text, language = _sentence_of(passage, rng)
        if not wanted.get(language):
            continue
        wanted[language] -= 1
        near = bench.search("lexical", text, SHOWN, None)
        others = [other for other in near if other.id != chunk_id][: SHOWN - 1]
        yield Sample(text, language, (*others[:1], passage, *others[1:]))
        if not any(wanted.values()):
            return


def _sentence_of(passage: Passage, rng: Random) -> tuple[str, str]:
    """Return a sentence of prose and its language; nothing where there is none."""
    spans = split_prose(passage.chunk.text)
    texts = [" ".join(passage.chunk.text[start:end].split()) for start, end in spans]
    found = [(text, language) for text in texts if (language := _language(text))]
    return rng.choice(found) if found else ("", "")


def _language(text: str) -> str:
    """Return the language of a whole sentence of prose; "" for anything else."""
    if re.match(r"\W*\d", text) or "http" in text:  # a list's number, a footnote
        return ""
    if len(re.findall(r"[\u4e00-\u9fff]", text)) > len(text) / 2:
        return "zh" if 12 <= len(text) <= 90 and text[-1] in "。！？" else ""
    words = text.split()
    prose = sum(word.isalpha() and word.islower() for word in words) > len(words) / 2
    return "en" if 8 <= len(words) <= 45 and text[0].isupper() and text[-1] == "." and prose else ""


def judged_changes(judge: Judge, samples: Sequence[Sample], rng: Random) -> Verdicts:
    """Return the verdicts on every change and rephrasing of every sentence."""
    name = namer(*names_of([sample.text for sample in samples]))
    found: Verdicts = defaultdict(Counter)
    for sample in samples:
        for kind, change in {**MUTATIONS, "name": name, **REPHRASINGS}.items():
            text = change(sample.text, rng)
            if text is None or (kind not in REPHRASINGS and text == sample.text):
                continue
            judged = judge.sentence(text, sample.passages)
            if judged is None:
                continue
            found[kind, sample.language][judged.verdict] += 1
            if (judged.verdict == "supported") != (kind in REPHRASINGS):
                judge.note(kind, text, judged)
    return found


def statement(question: Question, answer: str) -> str:
    """Return question and answer as one sentence, as a rule would say it."""
    asked = re.split(r"[?？](?=\s|$)", question.text.strip())[0].rstrip("?？。. ")
    return f"{asked}{'：' if question.language == 'zh' else ': '}{answer}"


def linked(judge: Judge, questions: Sequence[Question], *, bare: bool) -> Iterator[Linked]:
    """Yield where the evidence of right short answers lies, said alone or with their question.

    The passages are the nearest of the document, one of a right page among them. Answers that
    do not stand on that page (worked out, in other words) have nothing to lead to.
    """
    bench = judge.bench
    for question in questions:
        gold = question.answers[0]
        document = bench.documents.get(question.documents[0])
        scope = [document] if document else None
        near = bench.search("lexical", f"{question.text} {gold}", 2 * SHOWN, scope)
        right = [p for p in near if _on(p, question) and contains(p.chunk.text, gold)]
        if not right:
            continue
        among = any(passage in near[:SHOWN] for passage in right)
        passages = near[:SHOWN] if among else (*near[: SHOWN - 1], right[0])
        said = gold if bare else statement(question, gold)
        judged = judge.sentence(said, passages, question.text)
        place = judged.evidence[0] if judged and judged.evidence else None
        on_page = place is not None and place.page in question.pages
        holds = place is not None and contains(passages[place.passage].chunk.text, gold)
        if not (on_page or holds):
            judge.note("link", f"{question.text} → {said}, p{question.pages}", judged)
        yield Linked(question, said, judged, on_page, on_page or holds)


def _on(passage: Passage, question: Question) -> bool:
    chunk = passage.chunk
    return any(chunk.first_page <= page <= chunk.last_page for page in question.pages)


def short_answers(questions: Sequence[Question], count: int, rng: Random) -> list[Question]:
    """Return ``count`` questions with a short answer and known pages."""
    found = [
        question
        for question in questions
        if question.answerable
        and question.pages
        and question.answers
        and 0 < len(tokens(question.answers[0])) <= SHORT
    ]
    rng.shuffle(found)
    return found[:count]


def _write_links(judge: Judge, count: int, rng: Random) -> None:
    sys.stdout.write("evidence of right short answers        n  right page  or one that says it\n")
    for found in load_sets(eval_folder()):
        if found.name not in PAGE_SETS:
            continue
        questions = short_answers(found.questions, count, rng)
        for bare in (False, True):
            rows = list(linked(judge, questions, bare=bare))
            if rows:
                how = "the answer alone" if bare else "with the question"
                on_page = sum(row.on_page for row in rows) / len(rows)
                says_it = sum(row.says_it for row in rows) / len(rows)
                sys.stdout.write(
                    f"{found.name:14} {how:19} {len(rows):5} {on_page:11.3f} {says_it:11.3f}\n"
                )


def _write_changes(found: Verdicts) -> None:
    sys.stdout.write(f"{'change':22}       n  supported  weak  unsupported\n")
    for (kind, language), verdicts in found.items():
        shares = "  ".join(
            f"{verdicts[verdict] / verdicts.total():.3f}"
            for verdict in ("supported", "weak", "unsupported")
        )
        sys.stdout.write(f"{kind:18} {language} {verdicts.total():6}  {shares}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", type=Path, required=True, help="a synced knowledge folder")
    parser.add_argument("--sentences", type=int, default=400, help="of the documents")
    parser.add_argument("--questions", type=int, default=100, help="of each set")
    parser.add_argument("--words", action="store_true", help="without the embedder")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log", type=Path, help="where to keep what went wrong")
    arguments = parser.parse_args()
    rng = Random(arguments.seed)
    bench = Bench(arguments.library)
    judge = Judge(bench, meaning=not arguments.words)
    try:
        if arguments.questions:
            _write_links(judge, arguments.questions, rng)
        if arguments.sentences:
            samples = list(sampled(bench, arguments.sentences, rng))
            _write_changes(judged_changes(judge, samples, rng))
    finally:
        bench.close()
        if arguments.log:
            arguments.log.write_text("\n".join(judge.log), "utf-8")


if __name__ == "__main__":
    main()
