"""What asking a server costs: an estimate of tokens against real ones, a port against a call.

Run as a program with a library's folder and a GGUF file; prints two tables.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from tokenizers import Tokenizer

from rag.generation.langchain import estimate
from rag.generation.openai_server.engine import UrlGenerator
from rag.types.answers import Message
from tests.servers import LlamaServer, llama_server

PAGE_CHARACTERS = 1500
TOKENS = 64
Count = Callable[[str], int]


def pages(library: Path, most: int) -> list[str]:
    """Return pages of a library, evenly drawn, cut to what a few passages are long."""
    ledger = sqlite3.connect(f"file:{library / '.rag' / 'library.db'}?mode=ro", uri=True)
    rows = ledger.execute(
        "SELECT text FROM pages WHERE state = 'text' ORDER BY document_id, number"
    )
    texts = [row[0][:PAGE_CHARACTERS] for row in rows]
    ledger.close()
    return texts[:: max(1, len(texts) // most)]


def compare(name: str, texts: list[str], count: Count) -> None:
    """Print how often the estimate is too low, and by how much it is too high."""
    real = [max(1, count(text)) for text in texts]
    guessed = [estimate([{"role": "user", "content": text}]) for text in texts]
    size = [len(text.encode()) for text in texts]
    low = sum(a < b for a, b in zip(guessed, real, strict=True))
    ratio = statistics.median(a / b for a, b in zip(guessed, real, strict=True))
    by_bytes = statistics.median(a / b for a, b in zip(size, real, strict=True))
    print(f"| {name} | {len(texts)} | {low} | {ratio:.2f} | {by_bytes:.2f} |")


def counting(tokenizer: Tokenizer) -> Count:
    """Return what counts a text's tokens."""
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


def speeds(server: LlamaServer, pairs: int) -> None:
    """Print the speed over the port as a share of the function call's, in turns."""
    generator = UrlGenerator.load(server.address, model="auto", key=server.key)
    turns = [Message("user", "Count from one to one hundred in English words.")]
    body = {
        "messages": [{"role": "user", "content": turns[0].content}],
        "max_tokens": TOKENS,
        "temperature": 0,
        "stream": True,
    }

    def direct() -> None:
        server.generator._holder[0].handle_chat_completions(body, lambda _: False)

    def over_the_port() -> None:
        for _ in generator.stream(turns, max_tokens=TOKENS, temperature=0, cancelled=lambda: False):
            pass

    def timed(work: Callable[[], None]) -> float:
        began = time.perf_counter()
        work()
        return time.perf_counter() - began

    timed(direct)
    timed(over_the_port)
    ratios = []
    for _ in range(pairs):
        call, port = timed(direct), timed(over_the_port)
        ratios.append(call / port)
        print(f"| {TOKENS / call:.1f} | {TOKENS / port:.1f} | {call / port:.2f} |")
    print(f"median share: {statistics.median(ratios):.2f}")
    generator.close()


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("library", type=Path, help="a knowledge folder that was synced")
    parser.add_argument("gguf", type=Path)
    parser.add_argument("tokenizers", type=Path, nargs="*", help="tokenizer.json files")
    parser.add_argument("--pages", type=int, default=1000)
    parser.add_argument("--pairs", type=int, default=5)
    wanted = parser.parse_args()
    texts = pages(wanted.library, wanted.pages)
    for path in wanted.tokenizers:
        compare(path.parent.name, texts, counting(Tokenizer.from_file(str(path))))
    server = llama_server(wanted.gguf, context_tokens=4096)

    def by_server(text: str) -> int:
        return len(server.generator.loopback.ask("POST", "/tokenize", {"content": text})["tokens"])

    compare(wanted.gguf.stem, texts, by_server)
    speeds(server, wanted.pairs)
    server.close()


if __name__ == "__main__":
    main()
