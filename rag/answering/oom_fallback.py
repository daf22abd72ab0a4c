"""What is given up, step by step, when the memory of the card (or the machine) runs out.

First what costs nothing, then what costs speed, last what costs the answer something: caches are
emptied; embedder and reranker leave the card; keys and values take 8 bits; fewer passages, a
shorter reply, a smaller context. Each step is taken once for a question and told, and the
question is tried again.

What was lowered stays so, since the next question would run out as well. After ``CALM`` questions
in a row that were answered without running out, one step is taken back, the last one first. A
step that has to be taken again after that doubles the patience, up to ``MOST_CALM``.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from rag.errors import OutOfMemory
from rag.protocols import Movable, SmallCache, TextGenerator
from rag.text.messages import Text
from rag.types.answers import AnswerMessage, FinishReason

Step = Literal["caches", "cpu", "cache8", "passages", "reply", "context"]
STEPS: tuple[Step, ...] = get_args(Step)
SEARCHING: tuple[Step, ...] = ("caches", "cpu")
"""What helps where no model is asked yet."""
READING: tuple[Step, ...] = ("caches", "cpu", "cache8", "context")
"""What helps where documents are read whole."""
_NUMBERED: frozenset[Step] = frozenset({"passages", "reply", "context"})
"""Those that a later question may lower further."""
CALM, MOST_CALM = 3, 48  # questions
LEAST_REPLY, LEAST_CONTEXT = 32, 256  # tokens

LOWERED = {
    "caches": Text("unused memory was given back", "已释放空闲显存"),
    "cpu": Text("the embedder works on the processor", "向量模型改用处理器"),
    "cache8": Text("keys and values take 8 bits", "键值缓存改用 8 位"),
    "passages": Text("at most {} passages", "最多 {} 段"),
    "reply": Text("at most {} tokens of answer", "回答最多 {} 个词元"),
    "context": Text("a context of {} tokens", "上下文 {} 个词元"),
}
_RAISED = {
    "cpu": Text("the embedder is back on the card", "向量模型回到显卡"),
    "cache8": Text("keys and values have their full precision", "键值缓存恢复全精度"),
    "passages": Text("as many passages as before", "段落数恢复原值"),
    "reply": Text("answers may be as long as before", "回答长度恢复原值"),
    "context": Text("the whole context", "上下文恢复原值"),
}
_SKIPPED = {
    "cpu": Text("nothing but the language model is on the card", "显卡上只有语言模型"),
    "cache8": Text(
        "this engine cannot keep keys and values in 8 bits", "此引擎不支持 8 位键值缓存"
    ),
    "passages": Text("there is only one passage", "只有一个段落"),
    "reply": Text("the reply is short already", "回答长度已经很短"),
    "context": Text("the prompt is short already", "提示已经很短"),
}


@dataclass(frozen=True, slots=True)
class Lowering:
    """What one answer may take."""

    passages: int
    max_tokens: int
    context_tokens: int

    @property
    def budget(self) -> int:
        """Tokens of the prompt, at most."""
        return self.context_tokens - self.max_tokens


@dataclass(frozen=True, slots=True)
class Budget:
    """What an answer took when memory ran out."""

    passages: int
    prompt_tokens: int
    max_tokens: int
    written: int = 0  # tokens of the answer


class OutOfMemoryFallback:
    """What is lowered now. One for all questions of a program; safe for several threads."""

    def __init__(
        self,
        *,
        empty: Callable[[], None] = lambda: None,
        movable: Callable[[], Sequence[Movable]] = tuple,
    ) -> None:
        """``empty`` gives unused memory back; ``movable`` are the small models on the card."""
        self._empty = empty
        self._movable = movable
        self._guard = threading.RLock()
        self._limits: dict[Step, int] = {}  # of what is lowered; 0 where there is no number
        self._generator: SmallCache | None = None
        self._calm = 0
        self._patience = CALM
        self._before: set[Step] = set()  # taken back at least once

    @property
    def lowered(self) -> tuple[Text, ...]:
        """What is lowered now, in words."""
        return tuple(_numbered(LOWERED[s], self._limits[s]) for s in STEPS if s in self._limits)

    def means(self, means: Lowering) -> Lowering:
        """Return what an answer may take now, of what the settings allow."""
        limits = self._limits
        context = min(means.context_tokens, limits.get("context", means.context_tokens))
        reply = min(means.max_tokens, limits.get("reply", means.max_tokens))
        if "context" in limits:
            reply = min(reply, max(LEAST_REPLY, context // 2))  # the prompt has to fit as well
        passages = min(means.passages, limits.get("passages", means.passages))
        return Lowering(passages, reply, context)

    def begin(self, steps: Sequence[Step] = STEPS) -> Attempts:
        """Return what one question may still try."""
        return Attempts(self, steps)

    def has(self, step: Step) -> bool:
        """Return whether a step is taken that cannot be taken twice."""
        return step in self._limits and step not in _NUMBERED

    def take(self, step: Step, tried: Budget, generator: TextGenerator | None) -> bool:
        """Lower one thing; false if that is not possible here."""
        with self._guard:
            if not self._lower(step, tried, generator):
                return False
            self._calm = 0
            if step in self._before:
                self._before.discard(step)
                self._patience = min(MOST_CALM, 2 * self._patience)
            return True

    def _lower(self, step: Step, tried: Budget, generator: TextGenerator | None) -> bool:
        if step == "caches":
            gc.collect()
            self._empty()
            return True
        if step == "cpu":
            moved = [one.to_cpu() for one in self._movable()]  # all of them, not the first alone
            limit, possible = 0, any(moved)
        elif step == "cache8":
            self._generator = _shrinkable(generator)
            limit, possible = 0, False
            if self._generator is not None:
                possible = self._generator.shrink_cache(small=True)
        else:
            limit, possible = _limit(step, tried)
        if possible:
            self._limits[step] = limit
            gc.collect()
            self._empty()  # what was given up is of use only once the driver has it back
        return possible

    def answered(self) -> AnswerMessage | None:
        """Count a question that did not run out; return what is taken back, if it is time."""
        with self._guard:
            self._calm += 1
            if self._calm < self._patience:
                return None
            self._calm = 0
            if not self._limits:
                self._patience, self._before = CALM, set()
                return None
            step = next(s for s in reversed(STEPS) if s in self._limits)
            return self._raise(step)

    def _raise(self, step: Step) -> AnswerMessage | None:
        try:
            if step == "cpu":
                for one in self._movable():
                    one.to_device()
            elif step == "cache8" and self._generator is not None:
                self._generator.shrink_cache(small=False)
        except OutOfMemory:
            self._patience = min(MOST_CALM, 2 * self._patience)
            return None
        del self._limits[step]
        self._before.add(step)
        back = _RAISED[step]
        words = Text(
            f"Memory was enough for {self._patience} questions; from the next one on: {back.en}.",
            f"最近 {self._patience} 个问题内存充足；从下一个问题起：{back.zh}。",
        )
        return AnswerMessage("raised", words, step)


class Attempts:
    """The steps of one question."""

    def __init__(self, fallback: OutOfMemoryFallback, steps: Sequence[Step]) -> None:
        self._fallback = fallback
        self._left = list(steps)
        self.failure: OutOfMemory | None = None

    def lower(
        self, failure: OutOfMemory, tried: Budget, generator: TextGenerator | None = None
    ) -> Iterator[AnswerMessage]:
        """Take the next step that can be taken, and tell it with those that cannot.

        Raises:
            OutOfMemory: ``failure`` itself, if none is left.
        """
        self.failure = failure
        while self._left:
            step = self._left.pop(0)
            if self._fallback.has(step):
                continue  # since an earlier question, and told then
            if self._fallback.take(step, tried, generator):
                yield _lowered(step, self._fallback, anew=tried.written > 0)
                return
            yield AnswerMessage("skipped", _sentence("Skipped: ", "跳过：", _SKIPPED[step]), step)
        raise failure

    def ended(self, finish: FinishReason) -> Iterator[AnswerMessage]:
        """Count the question, unless it ran out or was stopped."""
        if self.failure is None and finish != "cancelled":
            raised = self._fallback.answered()
            if raised is not None:
                yield raised


def _shrinkable(generator: object) -> SmallCache | None:
    return generator if isinstance(generator, SmallCache) else None


def _limit(step: Step, tried: Budget) -> tuple[int, bool]:
    """Return the new limit, and whether it is lower than what was tried."""
    if step == "passages":
        return max(1, tried.passages // 2), tried.passages > 1
    if step == "reply":
        most = min(tried.max_tokens // 4, tried.written // 2 or tried.max_tokens)
        reply = max(LEAST_REPLY, most)
        return reply, reply < tried.max_tokens
    context = max(LEAST_CONTEXT, (tried.prompt_tokens + tried.max_tokens) // 2)
    return context, context < tried.prompt_tokens + tried.max_tokens


def _lowered(step: Step, fallback: OutOfMemoryFallback, *, anew: bool) -> AnswerMessage:
    what = _numbered(LOWERED[step], fallback._limits.get(step, 0))  # noqa: SLF001
    words = _sentence("Memory ran out; trying again: ", "内存不足，正在重试：", what)
    return AnswerMessage("lowered", words, step, anew)


def _numbered(text: Text, number: int) -> Text:
    return Text(text.en.format(f"{number:,}"), text.zh.format(f"{number:,}"))


def _sentence(en: str, zh: str, what: Text) -> Text:
    return Text(f"{en}{what.en}.", f"{zh}{what.zh}。")
