"""A text layer that lies is called garbled; one that tells the truth never is."""

from __future__ import annotations

import pytest

from rag.ingestion.pdf.text_quality import garbled_share, verdict

PROSE = (
    "The supplier shall deliver the goods within thirty days of the order. If the buyer does "
    "not pay within sixty days, the supplier may end this agreement by notice in writing."
)
CHINESE = (
    "供应商应在收到订单后三十天内交付货物。买方未在六十天内付款的，供应商可以书面通知终止本协议。"
)
HONEST = {
    "prose": PROSE,
    "chinese": CHINESE,
    "traditional": "供應商應在收到訂單後三十天內交付貨物。未付款的，可以書面通知終止協議。",
    "table": "Net sales $ 32,765 $ 31,657 $ 30,109\nCost of sales 16,682\n(1,234) 5.6%",
    "german": "Größenänderungen müssen schriftlich bestätigt werden, sonst gilt das Übliche.",
    "vietnamese": "Đường dẫn không hợp lệ: hãy chắc chắn rằng bạn có quyền được đọc tập tin này.",
    "polish": "Źródłowy katalog może być współdzielony między użytkownikami, którzy mają dostęp.",
    "russian": "Поставщик обязан передать товар в течение тридцати дней после получения заказа.",
    "greek": "Ο προμηθευτής παραδίδει τα εμπορεύματα εντός τριάντα ημερών από την παραγγελία.",
    "japanese": "供給者は注文を受けてから三十日以内に商品を引き渡すものとする。書面で通知する。",
    "korean": "공급자는 주문을 받은 날부터 삼십 일 이내에 물품을 인도하여야 한다.",
    "jamo": " ".join(chr(c) for c in range(0x3131, 0x318F)),
    "code": "for (int i = 0; i < kMaxBlocks; ++i) { cudaMemcpyAsync(dst[i], src, n, kind, st); }",
    "formula": "∑ᵢ αᵢ xᵢ² ≤ ‖β‖₂ ⇒ ∂f/∂θ → 0 as λ ↦ ∞, ∀ε ∈ ℝ⁺",
    "bullets": "\uf0b7 deliver the goods\n\uf0b7 pay the price\n\uf0b7 keep the secrets",
    "one line": "Ψ",
    "leaders": "Introduction ........................ 3\nFigures _______________ 7",
}


@pytest.mark.parametrize("text", HONEST.values(), ids=HONEST.keys())
def test_an_honest_page_keeps_its_text(text: str) -> None:
    assert verdict(text) == ("text", None)


def shifted(text: str, by: int) -> str:
    return "".join(chr(max(1, ord(c) + by)) if c > " " else c for c in text)


LYING = {
    "shifted by one": shifted(PROSE, 1),
    "shifted by three": shifted(PROSE, 3),
    "glyph numbers": "".join(chr(ord(c) - 29) for c in PROSE),
    "private use": "".join(chr(0xE000 + ord(c)) for c in PROSE),
    "replacement": "\ufffd" * 30 + " terms",
    "cid": "(cid:31)(cid:120)(cid:7) (cid:55)(cid:9) of (cid:12)",
    "chinese shifted": shifted(CHINESE, 1),
    "chinese by glyph number": "".join(chr(0x3500 + ord(c) % 900) for c in CHINESE),
    "gbk read as latin": CHINESE.encode("gbk").decode("latin-1"),
    "many alphabets": "".join(chr(0x400 + 37 * i % 0xA00) for i in range(200)),
}


@pytest.mark.parametrize("text", LYING.values(), ids=LYING.keys())
def test_a_lying_page_is_garbled(text: str) -> None:
    assert verdict(text) == ("garbled", "garbled")


def test_one_strange_word_on_a_good_page_is_nothing() -> None:
    assert garbled_share(f"{PROSE} {shifted('Hello', 3)} \ufffd") < 0.05


def test_a_lying_font_is_seen_in_the_company_of_an_honest_one() -> None:
    strange = shifted(PROSE, 3)
    assert verdict(PROSE + strange, parts=[PROSE, strange]) == ("garbled", "garbled")
