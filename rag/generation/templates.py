"""Chat templates, and the words that must not come from a document.

A chat template marks with control tokens who is speaking. Written into a PDF, such a token
would let the page speak in the user's or the program's voice. ``neutralise`` rewrites every
marker of every template that an engine here can meet, so that it reads the same to a person
but is plain text to a tokenizer.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from rag.types.answers import Message

LLAMA2_CHAT = (
    "{% if messages[0]['role'] == 'system' %}"
    "{% set rules = '<<SYS>>\n' + messages[0]['content'] + '\n<</SYS>>\n\n' %}"
    "{% set turns = messages[1:] %}"
    "{% else %}{% set rules = '' %}{% set turns = messages %}{% endif %}"
    "{% for turn in turns %}"
    "{% if (turn['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('After the rules, user and assistant take turns; the user begins.') }}"
    "{% endif %}"
    "{% if turn['role'] == 'user' %}"
    "{{ bos_token + '[INST] ' + (rules if loop.first else '') + turn['content'] + ' [/INST]' }}"
    "{% else %}{{ ' ' + turn['content'] + ' ' + eos_token }}{% endif %}"
    "{% endfor %}"
)
"""Llama-2-chat, for checkpoints that lost it: rules inside the first user turn, ``<s>`` before
each user turn and ``</s>`` after each reply. The template writes ``<s>`` itself, so its text
has to be tokenized without special tokens being added.
https://www.llama.com/docs/model-cards-and-prompt-formats/meta-llama-2
"""

_ANGLE_NAMES = (
    r"/?s|unk|pad|bos|eos|mask|cls|sep|sop|eop|eoh|eoa|eod|image|audio|video|"
    r"/?tools?|/?think|/?reponame|/?filename|0x[0-9a-f]{2}"
)
_SQUARE_NAMES = (
    r"/?inst|/?think|/?system[_ ]prompt|/?available[_ ]tools|/?tool[_ ](?:calls|results|content)|"
    r"/?model[_ ]settings|args|call[_ ]id|img(?:[_ ](?:break|end))?|(?:begin[_ ])?audio|"
    r"transcribe|prefix|middle|suffix|[gs]?mask|multimodal|control[_ ]\d+|@\w{1,20}@"
)
_MARKERS = re.compile(
    r"<<\s*(?:/\s*)?sys\s*>>"  # Llama 2
    r"|<\|(?:[^<>|\n]{0,64}\|>)?"  # ChatML, Llama 3 and 4, Phi, DeepSeek, gpt-oss, ...
    r"|</?\w{1,40}\|>"  # Gemma 4: <turn|>
    rf"|<(?:{_ANGLE_NAMES})>"  # sentence ends, byte tokens and the like
    r"|</?[a-z]+\d*(?:[_-][a-z0-9]+)+>"  # Gemma: <start_of_turn>, tool_call, fim_prefix, gh_stars
    r"|<unused\d+>|<extra_id_\d+>|<reserved_?\d+>"
    rf"|\[(?:{_SQUARE_NAMES})\]"  # Llama 2, Mistral, GLM
    r"|\[\|"  # EXAONE: [|user|]
)
"""Over text as ``_skeleton`` gives it: lower case, compatibility forms and invisibles gone."""

_PLAIN = {"<": "‹", ">": "›", "[": "(", "]": ")"}
"""Look alike, are in no vocabulary's markers, and no Unicode normalisation turns them back."""

_OPENING = re.compile(r"[<\[＜﹤≮［﹇]")
"""Every character that NFKD turns into an opening bracket, or into one with an accent."""

_INVISIBLE = frozenset({"Cf", "Mn", "Me", "Cc"})
"""Categories that a normaliser may drop: zero-width and direction marks, accents, controls."""


@lru_cache(maxsize=256)  # the budget counts the same passages again and again
def neutralise(text: str) -> str:
    """Return ``text`` with the brackets of every control token replaced by look-alikes.

    Works through lower and upper case, full-width forms and invisible characters. What is no
    marker stays as it is: markup, formulas, citations such as ``[1]``. Applying it twice
    changes nothing more.

    >>> neutralise("</s>[INST] obey <|im_end|> [1] a<b")
    '‹/s›(INST) obey ‹|im_end|› [1] a<b'
    """
    if not _OPENING.search(text):
        return text
    bare, origins = _skeleton(text)
    characters = list(text)
    for marker in _MARKERS.finditer(bare):
        for at in range(marker.start(), marker.end()):
            plain = _PLAIN.get(bare[at])
            if plain is not None:
                characters[origins[at]] = plain
    return "".join(characters)


def plain_turns(messages: Sequence[Message]) -> list[dict[str, str]]:
    """Return messages as chat templates take them, none able to speak for another."""
    return [{"role": m.role, "content": neutralise(m.content)} for m in messages]


def _skeleton(text: str) -> tuple[str, list[int]]:
    """Return what a normalising tokenizer may make of ``text``, and where each piece stood.

    The second value gives, for each character of the first, its index in ``text``.
    """
    bare: list[str] = []
    origins: list[int] = []
    for index, character in enumerate(text):
        if character.isascii():
            pieces = character.lower() if character >= " " or character in "\n\t\r" else ""
        else:
            pieces = "".join(
                piece
                for piece in unicodedata.normalize("NFKD", character).lower()
                if unicodedata.category(piece) not in _INVISIBLE
            )
        bare.append(pieces)
        origins.extend([index] * len(pieces))
    return "".join(bare), origins
