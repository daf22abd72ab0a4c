"""Asks the questions of a set through the whole pipeline and counts the right answers.

``python -m tests.eval.measure_answers --library DIR --set seed_zh`` over a synced library.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from rag import wiring
from rag.config import load_settings
from rag.factory import Factory
from rag.measure.scoring import contains
from rag.store.keeper import exact_index
from rag.types import Finished


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--library", type=Path, required=True, help="a synced knowledge folder")
    parser.add_argument("--questions", type=Path, required=True, help="a questions/*.jsonl file")
    parser.add_argument("--limit", type=int, default=1000)
    parser.add_argument("--json", type=Path, help="write every answer here")
    options = parser.parse_args()
    settings = load_settings(None).model_copy(update={"knowledge": options.library})
    factory = Factory(settings)
    ledger = factory.ledger(read_only=True)
    generator = factory.generator()
    pipeline = wiring.pipeline(
        factory,
        ledger,
        index=lambda space: exact_index(ledger, space),
        generator=lambda _: generator,
    )
    rows = [json.loads(line) for line in options.questions.read_text("utf-8").splitlines()]
    kept = []
    for row in rows[: options.limit]:
        began = time.perf_counter()
        final = [e for e in pipeline.ask(row["question"]) if isinstance(e, Finished)][-1].answer
        hit = any(
            p.document in row["docs"][:1]
            and set(range(p.chunk.first_page, p.chunk.last_page + 1)) & set(row["pages_1based"])
            for p in final.passages
        )
        right = (
            any(contains(final.text, gold) for gold in row["answers"])
            if row["answerable"]
            else (final.verdict == "not_in_documents")
        )
        kept.append({"id": row["id"], "right": right, "page": hit, "verdict": final.verdict,
                     "answer": final.text, "seconds": time.perf_counter() - began,
                     "first_token_s": final.usage.first_token_s,
                     "prompt_tokens": final.usage.prompt_tokens})  # fmt: skip
        print(
            f"{row['id']}: {'right' if right else 'WRONG'}, page {'found' if hit else 'missed'}, "
            f"{final.verdict}, {kept[-1]['seconds']:.1f} s: {final.text!r}",
            flush=True,
        )
    answerable = [k for k, row in zip(kept, rows, strict=False) if row["answerable"]]
    print(f"right {sum(k['right'] for k in kept)} of {len(kept)}; answerable "
          f"{sum(k['right'] for k in answerable)} of {len(answerable)}; right page shown "
          f"{sum(k['page'] for k in answerable)} of {len(answerable)}")  # fmt: skip
    if options.json:
        options.json.write_text(json.dumps(kept, ensure_ascii=False, indent=1), "utf-8")
    generator.close()
    factory.close()
    ledger.close()


if __name__ == "__main__":
    main()
