"""Guessed tokens and kept prompts: fewer and shorter passes, never another answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import torch
from transformers import LlamaForCausalLM, MistralConfig, MistralForCausalLM
from transformers.cache_utils import DynamicLayer

from rag.errors import OutOfMemory
from rag.generation.transformers.cache import EightBitLayer, Watch
from rag.generation.transformers.engine import CHUNK_TOKENS, TransformersGenerator
from rag.generation.transformers.generate import Reply
from rag.generation.transformers.loading import Loaded
from rag.types.answers import Delta, Message
from tests.tiny_models import byte_tokenizer, tiny_llama

WINDOW = 2048
PASSAGES = "\n".join(f"[{n}] cards.pdf, page {n}\nCard {n} draws {n * 37} W." for n in range(1, 21))


class Plain(TransformersGenerator):
    """Guesses nothing, and keeps nothing from one prompt to the next."""

    def stream(self, messages: Sequence[Message], **options: Any) -> Iterator[Delta]:
        self.forget()
        return super().stream(messages, **options)


def never() -> bool:
    return False


def asked(question: str, passages: str = PASSAGES) -> list[Message]:
    return [
        Message("system", "Answer from the passages."),
        Message("user", f"{passages}\n\nQuestion: {question}"),
    ]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Threads that wait for each other take longer than these models."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def repetitive() -> LlamaForCausalLM:
    """A model that listens little to its context, and so says the same again and again."""
    model = tiny_llama(window=WINDOW)
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight *= 0.004
            layer.mlp.down_proj.weight *= 0.004
    return model


def built(
    model: Any = None,
    kind: type[TransformersGenerator] = TransformersGenerator,
    **options: Any,
) -> TransformersGenerator:
    loaded = Loaded(model or repetitive(), byte_tokenizer(), None, WINDOW)
    return kind(loaded, name="tiny", context_tokens=WINDOW, **options)


def plainly(model: Any = None) -> TransformersGenerator:
    return built(model, Plain, guess="never")


class Passes:
    """Counts the ids that a model computes, pass by pass."""

    def __init__(self, generator: TransformersGenerator) -> None:
        self.widths: list[int] = []
        self.before: Callable[[], None] = lambda: None
        generator._model.register_forward_pre_hook(self._count, with_kwargs=True)

    def _count(self, module: object, args: object, kwargs: dict[str, Any]) -> None:
        self.widths.append(kwargs["input_ids"].shape[1])
        self.before()


def ask(
    generator: TransformersGenerator,
    messages: list[Message],
    *,
    max_tokens: int = 60,
    temperature: float = 0,
    cancelled: Callable[[], bool] = never,
) -> list[Delta]:
    return list(
        generator.stream(
            messages, max_tokens=max_tokens, temperature=temperature, cancelled=cancelled
        )
    )


def said(deltas: list[Delta]) -> list[Delta]:
    return [delta for delta in deltas if delta.prompt_read is None]


def text_of(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas)


CONVERSATION = [
    asked("How much does card 7 draw?"),
    asked("And card 9?"),
    asked("And card 9?"),
    asked("Why?", passages="[1] other.pdf, page 1\nNothing is alike here."),
    asked("And card 11?"),
    [*asked("And card 11?"), Message("assistant", "407 W."), Message("user", "Sure?")],
]


def test_a_conversation_reads_the_same_with_and_without() -> None:
    fast, plain = built(), plainly()
    for messages in CONVERSATION:
        found, expected = (said(ask(g, messages, max_tokens=80)) for g in (fast, plain))
        assert found == expected


def test_in_sixteen_bits_nothing_is_guessed_and_the_text_is_the_same() -> None:
    model = repetitive().to(torch.bfloat16)
    fast, plain = built(model), plainly(model)
    passes = Passes(fast)
    for messages in CONVERSATION[:4]:
        assert said(ask(fast, messages)) == said(ask(plain, messages))
    assert {width for width in passes.widths if width < 30} == {1}


def test_in_sixteen_bits_guesses_are_made_if_the_user_says_so() -> None:
    model = repetitive().to(torch.bfloat16)
    fast, plain = built(model, guess="always"), plainly(model)
    passes = Passes(fast)
    for messages in CONVERSATION[:4]:  # a tiny model has no near ties but those of the rule
        assert said(ask(fast, messages)) == said(ask(plain, messages))
    assert sum(1 < width < 40 for width in passes.widths) > 5


def test_an_answer_that_repeats_takes_fewer_passes_than_tokens() -> None:
    generator = built()
    passes = Passes(generator)
    tokens = sum(delta.tokens for delta in ask(generator, CONVERSATION[0], max_tokens=400))
    assert tokens == 400
    assert len(passes.widths) < 200


def test_a_drawn_answer_guesses_nothing() -> None:
    generator = built()
    passes = Passes(generator)
    ask(generator, CONVERSATION[0], temperature=0.5)
    assert {width for width in passes.widths if width < 30} == {1}


def test_a_cancel_is_heard_between_two_tokens_of_a_guess() -> None:
    said: list[Delta] = []
    watch = Watch(lambda: len(said) == 2)
    reply = Reply(byte_tokenizer(), said.append, ends=[2], watch=watch)
    reply.put(torch.tensor([[1, 2, 3]]))  # the prompt
    reply.put(torch.tensor([[70, 71, 72, 73]]))
    reply.end()
    assert [delta.tokens for delta in said] == [1, 1, 0]
    assert said[-1].finish == "cancelled"


def test_each_token_of_a_guess_is_streamed_by_itself_and_can_be_the_last() -> None:
    generator = built()
    whole = ask(generator, CONVERSATION[0], max_tokens=400)
    assert {delta.tokens for delta in said(whole)} == {0, 1}
    for most in (37, 163, 301):
        cut = [d for d in ask(generator, CONVERSATION[0], max_tokens=most) if d.tokens]
        assert cut == [d for d in whole if d.tokens][:most]


def test_a_follow_up_computes_only_what_is_new() -> None:
    generator = built()
    first, later = CONVERSATION[:2]
    ask(generator, first, max_tokens=1)
    passes = Passes(generator)
    ask(generator, later, max_tokens=1)
    assert generator.count_tokens(later) > 900
    assert len(passes.widths) == 1
    assert passes.widths[0] < 50  # the question, and what opens the answer


def test_another_turn_after_the_passages_computes_only_the_turns() -> None:
    generator = built()
    first, later = CONVERSATION[0], CONVERSATION[-1]
    ask(generator, first, max_tokens=1)
    passes = Passes(generator)
    ask(generator, later, max_tokens=1)
    assert len(passes.widths) == 1
    assert passes.widths[0] < 120


def test_the_same_prompt_again_computes_its_last_chunk() -> None:
    generator = built()
    ask(generator, CONVERSATION[0], max_tokens=1)
    passes = Passes(generator)
    ask(generator, CONVERSATION[0], max_tokens=1)
    assert 0 < sum(passes.widths) <= CHUNK_TOKENS


def test_a_prompt_that_ends_with_a_chunk_still_has_a_last_token_to_go_on_from() -> None:
    generator, plain = built(), plainly()
    spare = -generator.count_tokens(asked("")) % CHUNK_TOKENS
    messages = asked("x" * spare)
    assert generator.count_tokens(messages) % CHUNK_TOKENS == 0
    for _ in range(2):
        assert text_of(ask(generator, messages)) == text_of(ask(plain, messages))


def test_a_prompt_read_ahead_is_not_computed_again() -> None:
    generator = built()
    generator.prepare(CONVERSATION[0], cancelled=never)
    passes = Passes(generator)
    answer = ask(generator, CONVERSATION[1])
    assert passes.widths[0] < CHUNK_TOKENS
    assert text_of(answer) == text_of(ask(plainly(), CONVERSATION[1]))


def test_a_cancel_inside_the_prompt_keeps_what_was_read_and_spoils_nothing() -> None:
    generator = built(guess="never")
    passes = Passes(generator)
    deltas = ask(generator, CONVERSATION[0], cancelled=lambda: len(passes.widths) == 2)
    assert [delta.finish for delta in deltas][-1] == "cancelled"
    assert not any(delta.tokens for delta in deltas)
    del passes.widths[:]
    again = ask(generator, CONVERSATION[0])
    assert sum(passes.widths[:2]) == generator.count_tokens(CONVERSATION[0]) - CHUNK_TOKENS
    assert text_of(again) == text_of(ask(plainly(), CONVERSATION[0]))


@pytest.mark.parametrize("after", [2, 6, 9])
def test_an_error_at_any_pass_keeps_nothing_and_spoils_nothing(after: int) -> None:
    generator = built()
    passes = Passes(generator)
    ask(generator, CONVERSATION[0])

    def fail() -> None:
        if len(passes.widths) == after:
            raise RuntimeError("device-side assert triggered")

    passes.before, passes.widths = fail, []
    with pytest.raises(RuntimeError, match="device-side"):
        ask(generator, CONVERSATION[1])
    assert generator._kept.nbytes == 0
    passes.before = lambda: None
    assert text_of(ask(generator, CONVERSATION[1])) == text_of(ask(plainly(), CONVERSATION[1]))


def test_when_memory_runs_out_what_was_kept_is_given_back() -> None:
    generator = built()
    passes = Passes(generator)
    ask(generator, CONVERSATION[0])
    assert generator._kept.nbytes > 0

    def run_out() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    passes.before = run_out
    with pytest.raises(OutOfMemory):
        ask(generator, CONVERSATION[1])
    assert generator._kept.nbytes == 0


def test_forgetting_gives_back_what_was_kept() -> None:
    generator = built()
    ask(generator, CONVERSATION[0])
    generator.forget()
    assert generator._kept.nbytes == 0


def test_a_long_prompt_tells_how_far_it_is_read() -> None:
    generator = built()
    shares = [d.prompt_read for d in ask(generator, CONVERSATION[0]) if d.prompt_read is not None]
    assert shares == sorted(shares)
    assert len(shares) == 2  # after a full part, and before the question
    assert 0 < shares[0] < shares[-1] < 1
    again = [d.prompt_read for d in ask(generator, CONVERSATION[1]) if d.prompt_read is not None]
    assert again == []  # one pass, nothing between


def sliding() -> MistralForCausalLM:
    torch.manual_seed(3)
    config = MistralConfig(
        vocab_size=261,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        sliding_window=96,
        initializer_range=0.5,
        max_position_embeddings=WINDOW,
    )
    return MistralForCausalLM(config).eval()


def test_a_cache_with_a_window_is_neither_cut_back_nor_kept() -> None:
    model = sliding()
    generator = built(model)
    texts = [text_of(ask(generator, messages)) for messages in CONVERSATION]
    assert generator._kept.nbytes == 0
    assert not generator.shrink_cache(small=True)
    for messages, text in zip(CONVERSATION, texts, strict=True):
        ids = torch.tensor([generator._encode(messages)])
        with torch.inference_mode():
            said = model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=60,
                do_sample=False,
                prefill_chunk_size=CHUNK_TOKENS,
                eos_token_id=sorted(generator._ends),
                pad_token_id=0,
            )[0, ids.shape[1] :]
        assert text == byte_tokenizer().decode(said, skip_special_tokens=True).rstrip("\ufffd")


# -- keys and values ------------------------------------------------------------------------


def states(tokens: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(1, 3, tokens, 16), torch.randn(1, 3, tokens, 16)


def test_eight_bits_hold_keys_and_values_within_a_percent_at_half_the_size() -> None:
    torch.manual_seed(1)
    small, full = EightBitLayer(), DynamicLayer()
    for tokens in (100, 3, 1):
        new = states(tokens)
        for found, exact in zip(small.update(*new), full.update(*new), strict=True):
            assert (found - exact).norm() / exact.norm() < 0.01
    for layer in (small, full):
        layer.crop(-4)
    assert small.get_seq_length() == 100
    new = states(2)
    for found, exact in zip(small.update(*new), full.update(*new), strict=True):
        assert (found - exact).norm() / exact.norm() < 0.01
    assert small.keys.dtype is torch.int8


def test_shrinking_the_cache_takes_effect_at_the_next_question_and_can_be_undone() -> None:
    generator = built()
    ask(generator, CONVERSATION[0])
    full = generator._kept.nbytes
    assert generator.shrink_cache(small=True)
    ask(generator, CONVERSATION[0])
    assert generator._kept.nbytes * 4 == full  # of 32 bits
    assert generator.shrink_cache(small=False)
    text = text_of(ask(generator, CONVERSATION[0]))
    assert generator._kept.nbytes == full
    assert text == text_of(ask(plainly(), CONVERSATION[0]))
