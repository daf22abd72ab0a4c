"""The llama.cpp engine on a tiny model: its port is locked, its failures speak, it lets go."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest
import xllamacpp

from rag.errors import ModelError, ModelMissing
from rag.generation.llamacpp import BATCH_TOKENS, SPIN_TURNS, LlamaCppGenerator, Loopback, _divide
from rag.types.answers import Delta, Message
from rag.types.hardware import OnCards
from tests.tiny_models import llama_gguf

ROOT = Path(__file__).parents[3]

ASKED = [Message("user", "Why is the sky blue?")]


def never() -> bool:
    return False


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return llama_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf", window=2048)


def load(path: Path, *, context_tokens: int = 2048, threads: int = 1) -> LlamaCppGenerator:
    return LlamaCppGenerator.load(path, name="tiny", context_tokens=context_tokens, threads=threads)


@pytest.fixture(scope="module")
def generator(gguf: Path) -> Iterator[LlamaCppGenerator]:
    loaded = load(gguf)
    yield loaded
    loaded.close()


def ask(
    generator: LlamaCppGenerator,
    messages: list[Message] = ASKED,
    *,
    max_tokens: int = 5,
    cancelled: Callable[[], bool] = never,
) -> list[Delta]:
    return list(
        generator.stream(messages, max_tokens=max_tokens, temperature=0, cancelled=cancelled)
    )


def test_how_far_the_prompt_is_read_is_told_until_the_first_token(
    generator: LlamaCppGenerator,
) -> None:
    long = [Message("user", "word " * 3 * BATCH_TOKENS)]
    deltas = ask(generator, long, max_tokens=3)
    told = [d.prompt_read for d in deltas if d.prompt_read is not None]
    assert len(told) >= 3
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert all(0 <= share <= 1 for share in told)
    spoken = next(i for i, d in enumerate(deltas) if d.tokens)
    assert all(d.prompt_read is None for d in deltas[spoken:])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/chat/completions"),
        ("POST", "/completion"),
        ("POST", "/tokenize"),
        ("POST", "/apply-template"),
        ("POST", "/v1/chat/completions/input_tokens"),
        ("GET", "/v1/models"),
        ("GET", "/props"),
        ("GET", "/slots"),
    ],
)
def test_a_stranger_without_the_key_gets_nothing_from_the_port(
    generator: LlamaCppGenerator, method: str, path: str
) -> None:
    address = urlsplit(generator.loopback.address)
    assert address.hostname == "127.0.0.1"
    stranger = HTTPConnection("127.0.0.1", address.port, timeout=10)
    body = '{"messages": [{"role": "user", "content": "hi"}], "content": "hi", "prompt": "hi"}'
    for headers in ({}, {"Authorization": "Bearer guess"}):
        stranger.request(method, path, body if method == "POST" else None, headers)
        response = stranger.getresponse()
        response.read()
        assert response.status == 401
    stranger.close()


def test_each_model_has_a_key_of_its_own(gguf: Path, generator: LlamaCppGenerator) -> None:
    other = load(gguf)
    with pytest.raises(ModelError):
        Loopback(other.loopback.address, key="").ask("GET", "/props")
    keys = {one.loopback.key for one in (generator, other)}
    assert len(keys) == 2
    assert min(len(key) for key in keys) > 40
    other.close()


def test_what_is_counted_is_what_is_computed(generator: LlamaCppGenerator) -> None:
    answer = generator._holder[0].handle_chat_completions(
        {"messages": [{"role": "user", "content": "A new question"}], "max_tokens": 1}
    )
    timings = answer["timings"]
    counted = generator.count_tokens([Message("user", "A new question")])
    assert timings["prompt_n"] + timings["cache_n"] == counted


def test_a_long_prompt_asks_for_a_cancel_between_its_batches(generator: LlamaCppGenerator) -> None:
    def questions_before_the_end(words: int) -> tuple[int, int]:
        asked = 0

        def cancelled() -> bool:
            nonlocal asked
            asked += 1
            return False

        messages = [Message("user", f"{words}" + "a" * words)]
        ask(generator, messages, max_tokens=1, cancelled=cancelled)
        return asked, generator.count_tokens(messages)

    few, short = questions_before_the_end(20)
    many, long = questions_before_the_end(1200)
    assert many - few >= long // BATCH_TOKENS - short // BATCH_TOKENS >= 2


def long(colour: str) -> list[Message]:
    """A prompt of several batches, a new one for each colour: those of the past are kept."""
    return [Message("user", f"{colour} is the sky. " * 40)]


def computed(generator: LlamaCppGenerator, messages: list[Message]) -> int:
    """Return how many tokens of a prompt the server does not have any more, or not yet."""
    turns = [{"role": m.role, "content": m.content} for m in messages]
    request = {"messages": turns, "max_tokens": 1, "temperature": 0}
    return int(generator._holder[0].handle_chat_completions(request)["timings"]["prompt_n"])


def test_what_was_read_ahead_is_not_computed_again(generator: LlamaCppGenerator) -> None:
    ask(generator)
    generator.prepare(long("blue"), cancelled=never)
    assert computed(generator, long("blue")) == 1  # the least that llama.cpp computes


def test_a_prompt_of_the_past_is_not_computed_again(generator: LlamaCppGenerator) -> None:
    before = ask(generator, long("grey"))
    other = [Message("user", "Water boils at a hundred degrees. " * 30)]
    ask(generator, other)
    assert computed(generator, long("grey")) <= 2
    ask(generator, other)
    again = ask(generator, long("grey"))
    assert [d for d in again if d.tokens] == [d for d in before if d.tokens]


def test_reading_ahead_that_is_cancelled_keeps_what_it_has(generator: LlamaCppGenerator) -> None:
    ask(generator)
    looked = 0

    def after_three_batches() -> bool:
        nonlocal looked
        looked += 1
        return looked > 3

    generator.prepare(long("red"), cancelled=after_three_batches)
    whole = generator.count_tokens(long("red"))
    assert BATCH_TOKENS <= whole - computed(generator, long("red")) < whole - BATCH_TOKENS


def test_a_question_ends_the_reading_ahead_of_another(generator: LlamaCppGenerator) -> None:
    ask(generator)
    reading, asked, answered = threading.Event(), threading.Event(), threading.Event()
    looks: list[int] = []

    def held_until_a_question_waits() -> bool:
        looks.append(1)
        reading.set()
        asked.wait(10)
        while not generator._gate.wanted and not answered.is_set():
            pass
        return False

    ahead = threading.Thread(
        target=lambda: generator.prepare(long("pink"), cancelled=held_until_a_question_waits)
    )
    ahead.start()
    assert reading.wait(10)
    asked.set()
    assert ask(generator)[-1].finish == "length"
    answered.set()
    ahead.join(10)
    assert not ahead.is_alive()
    assert len(looks) == 1  # then it gave way


def test_nothing_is_read_ahead_by_a_model_that_is_unloaded(gguf: Path) -> None:
    loaded = load(gguf)
    loaded.close()
    loaded.prepare(long("green"), cancelled=never)
    with pytest.raises(ModelError, match="unloaded"):
        ask(loaded)


def test_a_message_of_the_server_that_cannot_be_read_arrives_as_an_error(
    generator: LlamaCppGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Garbling:
        """A server whose streamed messages have another shape."""

        def handle_chat_completions(
            self, request: dict[str, object], receive: Callable[[dict[str, object]], bool]
        ) -> None:
            assert receive({"choices": [{"no": "delta"}]})

    monkeypatch.setattr(generator, "_holder", [Garbling()])
    with pytest.raises(KeyError, match="delta"):
        ask(generator)


def test_a_server_that_reports_an_error_or_just_ends_is_a_failure(
    generator: LlamaCppGenerator, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing:
        def __init__(self, *chunks: dict[str, object]) -> None:
            self.chunks = chunks

        def handle_chat_completions(
            self, request: dict[str, object], receive: Callable[[dict[str, object]], bool]
        ) -> None:
            for chunk in self.chunks:
                receive(chunk)

    failing = Failing({"error": {"code": 500, "message": "Compute error.", "type": "server"}})
    monkeypatch.setattr(generator, "_holder", [failing])
    with pytest.raises(ModelError, match="Compute error"):
        ask(generator)
    monkeypatch.setattr(generator, "_holder", [Failing()])
    with pytest.raises(ModelError, match="no reason"):
        ask(generator)


def test_an_order_of_roles_the_template_refuses_is_said_in_words(tmp_path: Path) -> None:
    refusing = (
        "{% for turn in messages %}{% if turn['role'] == 'assistant' and loop.first %}"
        "{{ raise_exception('the user begins') }}{% endif %}{{ turn['content'] }}{% endfor %}"
    )
    strict = load(llama_gguf(tmp_path / "strict.gguf", template=refusing))
    wrong = [Message("assistant", "I begin.")]
    with pytest.raises(ModelError, match="the user begins"):
        strict.count_tokens(wrong)
    with pytest.raises(ModelError, match="the user begins"):
        ask(strict, wrong)
    assert ask(strict)[-1].finish == "length"
    strict.close()


def test_the_window_is_at_most_the_model_s_own(gguf: Path) -> None:
    large = load(gguf, context_tokens=100_000)
    assert large.context_tokens == 2048
    large.close()
    small = load(gguf, context_tokens=300)
    assert small.context_tokens == 300
    small.close()


def test_with_a_gpu_the_memory_that_loading_took_there_is_told(
    gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = xllamacpp.ggml_backend_dev_type
    cpu = {"type": kinds.GGML_BACKEND_DEVICE_TYPE_CPU, "memory_free": 64 << 30}
    gpus = [{"type": kinds.GGML_BACKEND_DEVICE_TYPE_GPU, "memory_free": n << 30} for n in (20, 13)]
    monkeypatch.setattr(xllamacpp, "get_device_info", lambda: [cpu, gpus.pop(0)])
    loaded = load(gguf)
    assert loaded.memory_bytes() == 7 << 30
    assert ask(loaded)[-1].finish == "length"
    loaded.close()


def test_a_plan_says_how_many_layers_go_to_which_card(gguf: Path) -> None:
    params = xllamacpp.CommonParams()
    _divide(params, OnCards((20, 12), whole=False, kv_bits=8))
    assert params.n_gpu_layers == 32
    assert params.tensor_split[:3] == [20, 12, 0]
    assert params.cache_type_k == params.cache_type_v == xllamacpp.ggml_type.GGML_TYPE_Q8_0
    whole = xllamacpp.CommonParams()
    _divide(whole, OnCards((40,), whole=True))
    assert whole.n_gpu_layers == -1
    planned = LlamaCppGenerator.load(
        gguf, name="tiny", context_tokens=512, cards=OnCards((1,), whole=True)
    )
    assert ask(planned)[-1].finish == "length"  # llama.cpp without a GPU does without
    planned.close()


def test_loading_opens_one_port_on_this_machine_alone(gguf: Path) -> None:
    def listening() -> set[tuple[str, int]]:
        connections = psutil.Process().net_connections("inet")
        return {(c.laddr.ip, c.laddr.port) for c in connections if c.status == psutil.CONN_LISTEN}

    before = listening()
    loaded = load(gguf)
    ((host, port),) = listening() - before
    address = urlsplit(loaded.loopback.address)
    assert (host, port) == ("127.0.0.1", address.port)
    loaded.close()
    assert (host, port) not in listening()


def test_one_thread_a_core_unless_told_otherwise(gguf: Path) -> None:
    loaded = load(gguf, threads=0)
    assert ask(loaded, max_tokens=2)[-1].finish == "length"
    loaded.close()


def test_a_llama_2_without_template_gets_ours_and_one_start_token(tmp_path: Path) -> None:
    path = llama_gguf(tmp_path / "llama-2.gguf", template=None, vocabulary=32_000)
    loaded = load(path, context_tokens=512)
    request = {"messages": [{"role": "user", "content": "Why?"}]}
    rendered = loaded.loopback.ask("POST", "/apply-template", request)["prompt"]
    assert rendered.removeprefix("<s>") == "[INST] Why? [/INST]"
    plain = loaded.loopback.ask("POST", "/tokenize", {"content": "[INST] Why? [/INST]"})
    assert loaded.count_tokens([Message("user", "Why?")]) == len(plain["tokens"]) + 1
    assert ask(loaded)[-1].finish == "length"
    loaded.close()


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=r"gone\.gguf") as caught:
        load(tmp_path / "gone.gguf")
    assert "rag models pull" in caught.value.hint.zh


def garbled(whole: bytes) -> bytes:
    return b"GGUF" + b"\xff" * 500


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (lambda whole: b"", "not a GGUF"),
        (lambda whole: b"PK\x03\x04" + whole, "not a GGUF"),
        (garbled, "damaged"),
        (lambda whole: whole[:3000], "damaged"),
        (lambda whole: whole[:-9000], "damaged"),
        (
            lambda whole: whole.replace(b"\x05\0\0\0\0\0\0\0llama", b"\x05\0\0\0\0\0\0\0lamma"),
            "lamma",
        ),
    ],
    ids=["empty", "zip", "garbled", "header cut", "weights cut", "unknown kind"],
)
def test_a_file_that_is_no_model_is_named_with_the_reason_and_a_remedy(
    content: Callable[[bytes], bytes], word: str, gguf: Path, tmp_path: Path
) -> None:
    spoilt = tmp_path / "spoilt.gguf"
    spoilt.write_bytes(content(gguf.read_bytes()))
    with pytest.raises(ModelError, match=r"spoilt\.gguf") as caught:
        load(spoilt)
    assert word in caught.value.message.en
    assert len(caught.value.hint.en) > 20
    assert caught.value.hint.en != caught.value.hint.zh


def test_a_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be loaded"):
        load(tmp_path)


def test_unloading_ends_the_running_answer_and_refuses_the_next(gguf: Path) -> None:
    loaded = load(gguf)
    stream = loaded.stream(ASKED, max_tokens=1500, temperature=0, cancelled=never)
    next(stream)
    closer = threading.Thread(target=loaded.close)
    closer.start()
    rest = list(stream)
    closer.join()
    assert rest[-1].finish in {"cancelled", "length"}
    with pytest.raises(ModelError, match="unloaded"):
        ask(loaded)
    with pytest.raises(ModelError, match="unloaded"):
        loaded.count_tokens(ASKED)


def test_unloading_gives_the_memory_back_and_may_be_repeated(gguf: Path) -> None:
    process = psutil.Process()
    load(gguf, context_tokens=2048).close()
    before = process.num_threads()
    loaded = load(gguf)
    loaded.close()
    loaded.close()
    assert process.num_threads() <= before


def test_a_model_that_is_dropped_unloads_itself(gguf: Path) -> None:
    loaded = load(gguf)
    ask(loaded)
    server = loaded._holder
    dropped = weakref.ref(loaded)
    del loaded
    gc.collect()
    assert dropped() is None
    assert server == []


def test_a_server_that_is_gone_is_a_failure_in_words() -> None:
    with pytest.raises(ModelError, match=r"llama\.cpp broke off"):
        Loopback("http://127.0.0.1:9", key="x").ask("GET", "/props")


LEAVE = """
import sys
from pathlib import Path
from rag.generation.llamacpp import LlamaCppGenerator
from rag.types.answers import Message
model = LlamaCppGenerator.load(Path(sys.argv[1]), name="t", context_tokens=2048, threads=1)
stream = model.stream(
    [Message("user", "Go on")], max_tokens=2000, temperature=0, cancelled=lambda: False
)
next(stream)
if sys.argv[2] == "error":
    raise KeyboardInterrupt
"""


@pytest.mark.parametrize(("way", "code"), [("end", 0), ("error", 130)])
def test_a_program_that_ends_in_mid_answer_ends_and_says_nothing(
    way: str, code: int, gguf: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LEAVE, str(gguf), way],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert abs(done.returncode) in {code, 2}
    assert done.stdout == ""
    assert way == "error" or done.stderr == ""


def test_nothing_is_written_to_the_terminal(gguf: Path, capfd: pytest.CaptureFixture[str]) -> None:
    loaded = load(gguf)
    ask(loaded)
    loaded.close()
    with pytest.raises(ModelError):
        load(gguf.with_name("none.gguf"))
    assert capfd.readouterr() == ("", "")


def test_threads_of_the_engine_wait_a_moment_awake_unless_the_person_says_otherwise() -> None:
    code = "import os, rag.generation.llamacpp; print(os.environ['GOMP_SPINCOUNT'])"
    for given, expected in ({}, str(SPIN_TURNS)), ({"GOMP_SPINCOUNT": "7"}, "7"):
        left = {key: value for key, value in os.environ.items() if key != "GOMP_SPINCOUNT"}
        printed = subprocess.check_output(
            [sys.executable, "-c", code], env={**left, **given, "PYTHONPATH": str(ROOT)}, text=True
        )
        assert printed.strip() == expected
