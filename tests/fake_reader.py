"""A model that reads by rule: it notes down the sentences that hold a word, and joins notes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rag.answering.highlights import Highlighter
from rag.generation.echo import EchoGenerator
from rag.storage.passages import LedgerPassages
from rag.types.answers import Delta, Message
from rag.types.documents import Box


class NoPictures:
    """A viewer that marks the first page of everything."""

    def boxes(self, path: Path, spans: Sequence[tuple[int, int, int]], *, recipes: object = None):
        return [(Box(page, 0, 0, 1, 1),) for page, _, _ in spans]

    def render(self, path: Path, *, page: int, width: int) -> bytes:
        raise NotImplementedError


def locator_over(folder: Path, store: LedgerPassages) -> Highlighter:
    return Highlighter(folder, store, NoPictures())


NOTE = re.compile(r"(?:Notes|笔记)：?:?\Z")
SHORTEN = re.compile(r"^You shorten notes. Keep the (\d+)")


@dataclass
class RuleReader:
    """Notes: every sentence with one of ``words`` (of all, the first). Answers: all notes."""

    context_tokens: int = 4096
    words: tuple[str, ...] = ()
    invents: str = ""  # is noted in every step
    stop_at: int | None = None  # prompts; from then on it finds itself cancelled
    name: str = "rule reader"
    prompts: list[Sequence[Message]] = field(default_factory=list)
    longest: int = 0
    max_tokens: int = 0

    def count_tokens(self, messages: Sequence[Message]) -> int:
        return EchoGenerator().count_tokens(messages) + 4 * len(messages)

    def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float,
        cancelled: Callable[[], bool],
    ) -> Iterator[Delta]:
        self.prompts.append(messages)
        self.longest = max(self.longest, self.count_tokens(messages) + max_tokens)
        yield Delta("", 0, prompt_read=0.5)
        for piece in self._reply(messages).splitlines(keepends=True):
            if cancelled() or len(self.prompts) == self.stop_at:
                yield Delta("", 0, "cancelled")
                return
            yield Delta(piece, 1)
        yield Delta("", 0, "stop")

    def _reply(self, messages: Sequence[Message]) -> str:
        rules, asked = messages[0].content, messages[-1].content
        if shorten := SHORTEN.match(rules):
            return "\n".join(asked.splitlines()[: int(shorten[1])])
        if NOTE.search(asked):
            passages = asked.split("\n\n", 1)[1].rsplit("\n\n", 1)[0]
            said = [s.strip() for s in re.split(r"(?<=[.。])", passages) if s.strip()]
            kept = [s for s in said if any(word in s for word in self.words)]
            lines = [*(kept if self.words else said[:1]), *filter(None, [self.invents])]
            return "\n".join(f"- {line}" for line in lines) or "none"
        return "\n".join(line[2:] for line in asked.splitlines() if line.startswith("- "))

    def prepare(self, messages: Sequence[Message], *, cancelled: Callable[[], bool]) -> None:
        return None

    def memory_bytes(self) -> None:
        return None

    def close(self) -> None:
        return None
