"""Whatever the text: quantities lie in it, in order; whatever the number: it is found again."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from rag.text.quantities import Place, gaps, quantities, quantity_terms

TEXTS = st.text(max_size=60) | st.text(
    alphabet="0123456789.,%$()-/: 年月日第季度万亿千百十一二三〇两点分之FYQqmarch twelvbioGs",
    max_size=40,
)
NUMBERS = st.integers(0, 10**13)
DATES = st.dates(date(1950, 1, 1), date(2060, 12, 31))
_DIGITS = "零一二三四五六七八九"


def chinese(number: int) -> str:
    """The number as it is read aloud, with 一 and 零 everywhere: an oracle of its own."""
    for size, name in ((10**8, "亿"), (10**4, "万")):
        if number >= size:
            above, below = divmod(number, size)
            gap = "零" if 0 < below < size // 10 else ""
            return chinese(above) + name + (gap + chinese(below) if below else "")
    for size, name in ((1000, "千"), (100, "百"), (10, "十")):
        if number >= size:
            above, below = divmod(number, size)
            gap = "零" if 0 < below < size // 10 else ""
            return _DIGITS[above] + name + (gap + chinese(below) if below else "")
    return _DIGITS[number]


@given(text=TEXTS)
def test_quantities_lie_in_the_text_in_order(text):
    at = 0
    for found in quantities(text):
        assert at <= found.start < found.end <= len(text)
        at = found.end


@given(text=TEXTS)
def test_every_text_holds_its_own_quantities(text):
    assert gaps(quantities(text), Place(text)) == ()


@given(text=TEXTS)
def test_terms_can_be_stored(text):
    for term in quantity_terms(text):
        assert term
        assert not any(letter.isspace() or letter in "\"'" for letter in term)


@given(number=NUMBERS.filter(lambda n: n >= 10))
def test_a_chinese_numeral_is_its_number(number):
    (found,) = quantities(f"共{chinese(number)}元")
    assert found.value == number


@given(number=NUMBERS.filter(lambda n: n >= 10), other=NUMBERS.filter(lambda n: n >= 10))
def test_a_number_stands_only_where_it_is_that_number(number, other):
    wanted = quantities(f"{number:,}")
    assert bool(gaps(wanted, Place(f"共{chinese(other)}元"))) is (number != other)


@given(thousandths=st.integers(1, 999_999))
def test_a_scale_is_the_same_in_words_letters_and_figures(thousandths):
    millions = Decimal(thousandths) / 1000
    full = f"{thousandths * 1000:,}"
    for text in (f"{millions} million", f"${millions}M", f"{millions * 100}万", f"{millions}百万"):
        assert gaps(quantities(full), Place(text)) == ()
        assert gaps(quantities(text), Place(full)) == ()


@given(day=DATES)
def test_a_date_is_found_in_every_spelling(day):
    spellings = (
        f"{day:%Y-%m-%d}",
        f"{day:%B} {day.day}, {day.year}",
        f"{day.day} {day:%b} {day.year}",
        f"{day.year}年{day.month}月{day.day}日",
        f"{day:%m/%d/%Y}",
    )
    for one in spellings:
        for other in spellings:
            assert gaps(quantities(one), Place(other)) == ()


@given(one=DATES, other=DATES)
def test_another_date_is_not_found(one, other):
    wanted = quantities(f"{one:%B} {one.day}, {one.year}")
    stands = gaps(wanted, Place(f"{other.year}年{other.month}月{other.day}日")) == ()
    assert stands is (one == other)
