"""Passages and answers as the JSON that scripts read."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rag.types.answers import Answer, Passage, SearchResult, Sentence
from rag.types.documents import Box


def box_json(box: Box) -> list[float]:
    """Return ``[page, x0, y0, x1, y1]`` in points from the page's top left."""
    return [box.page, box.x0, box.y0, box.x1, box.y1]


def passage_json(passage: Passage) -> dict[str, Any]:
    """Return one passage."""
    chunk = passage.chunk
    return {
        "document": passage.document,
        "path": passage.path,
        "page": chunk.first_page,
        "last_page": chunk.last_page,
        "label": passage.label or str(chunk.first_page),
        "heading": chunk.heading,
        "context": chunk.context,
        "text": chunk.text,
        "start": chunk.start,
        "end": chunk.end,
        "score": round(passage.score, 6),
        "ranks": asdict(passage.ranks),
        "boxes": [box_json(box) for box in passage.boxes],
    }


def search_json(result: SearchResult) -> dict[str, Any]:
    """Return what ``rag search --json`` prints."""
    return {
        "question": result.question,
        "passages": [passage_json(passage) for passage in result.passages],
        "relevance": round(result.relevance, 4),
        "seconds": {stage: round(value, 4) for stage, value in asdict(result.seconds).items()},
    }


def _sentence_json(answer: Answer, sentence: Sentence) -> dict[str, Any]:
    return {
        "text": answer.text[sentence.start : sentence.end],
        "verdict": sentence.verdict,
        "reason": sentence.reason,
        "evidence": _evidence_json(sentence),
    }


def _evidence_json(sentence: Sentence) -> list[dict[str, Any]]:
    return [
        {
            "document": evidence.document,
            "page": evidence.page,
            "quote": evidence.quote,
            "boxes": [box_json(box) for box in evidence.boxes],
        }
        for evidence in sentence.evidence
    ]


def answer_json(answer: Answer) -> dict[str, Any]:
    """Return what ``rag ask --json`` prints."""
    usage = answer.usage
    return {
        "question": answer.question,
        "answer": answer.text,
        "language": answer.language,
        "mode": "whole_document" if answer.coverage else "passages",
        "source": answer.source,
        "coverage": asdict(answer.coverage) if answer.coverage else None,
        "offer": asdict(answer.offer) if answer.offer else None,
        "verdict": answer.verdict,
        "relevance": answer.relevance,
        "finish": answer.finish,
        "quotation": _evidence_json(answer.quotation)[0] if answer.quotation else None,
        "sentences": [_sentence_json(answer, sentence) for sentence in answer.sentences],
        "left_out": answer.left_out,
        "notices": [
            {"kind": notice.kind, "step": notice.step, "en": notice.text.en, "zh": notice.text.zh}
            for notice in answer.notices
        ],
        "passages": [passage_json(passage) for passage in answer.passages],
        "dropped": [passage_json(passage) for passage in answer.dropped],
        "usage": {
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "retrieve_s": round(usage.retrieve_s, 4),
            "first_token_s": round(usage.first_token_s, 4),
            "failed_s": round(usage.failed_s, 4),
            "total_s": round(usage.total_s, 4),
            "tokens_per_second": round(usage.tokens_per_second, 2),
        },
        "memory": asdict(answer.memory) if answer.memory else None,
        "model": answer.model,
    }
