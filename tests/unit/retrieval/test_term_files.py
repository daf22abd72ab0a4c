"""Term files of a user: what they add to the shipped ones, and what is wrong with a bad one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from rag.app.container import Container
from rag.config import RetrieveSettings, Settings
from rag.errors import ConfigError
from rag.retrieval.terms.files import load_term_files, read_term_file, shipped_term_files
from rag.retrieval.terms.second_reading import Terms
from rag.text.messages import Language
from rag.types.answers import AlsoSearched

LTV = '[[also_called]]\nnames_en = ["LTV", "loan to value"]\nnames_zh = ["贷款价值比", "抵押率"]\n'
SECTION = '[[section]]\nkey = "a"\nen = "heading"\nnames_en = ["{}"]\n'
NOI = """
[[section]]
key = "operations"
en = "statement of operations of the property"
names_en = ["property statement"]

[[computed_from]]
names_en = ["cap rate", "NOI"]
lines = [
  { section = "operations", en = "rental income, operating expenses" },
  { section = "balance", en = "investment property", zh = "投资性房地产" },
  { en = "purchase price" },
]
"""


def terms_of(folder: Path, **files: str) -> Terms:
    """The shipped terms with ``files``, by name."""
    for name, text in files.items():
        (folder / f"{name}.toml").write_text(text, "utf-8")
    found = load_term_files(folder)
    assert found.left_out == ()
    return Terms(found.used)


def said(
    terms: Terms, question: str, language: Language = "en", *, among_many: bool = True
) -> str | None:
    also = terms.second_reading(question, language, among_many=among_many)
    return also.text if also else None


@pytest.mark.parametrize(
    ("question", "language", "text"),
    [
        ("How high may the LTV be?", "en", "How high may the loan to value be?"),
        ("Which loan-to-values are there?", "en", "Which LTV are there?"),
        ("How high may the ltv be?", "en", None),  # capitals are looked for as they are written
        ("抵押率最高是多少？", "zh", "贷款价值比最高是多少？"),
        ("抵押率最高是多少？", "en", "LTV, loan to value最高是多少？"),
        ("Why did the LTV rise?", "en", "Why did the loan to value rise?"),
        ("How high is the tower?", "en", None),
    ],
)
def test_a_question_is_also_searched_for_by_other_names(
    tmp_path: Path, question: str, language: Language, text: str | None
) -> None:
    also = terms_of(tmp_path, estate=LTV).second_reading(question, language)
    assert also == (AlsoSearched("also_called", text) if text else None)


def test_within_one_document_of_another_language_chinese_words_are_left_out(tmp_path: Path) -> None:
    terms = terms_of(tmp_path, estate=LTV)
    assert said(terms, "3M的抵押率", among_many=False) == "3M LTV loan to value"


def test_a_term_without_another_name_in_the_language_of_the_documents_changes_nothing(
    tmp_path: Path,
) -> None:
    terms = terms_of(tmp_path, pair='[[also_called]]\nnames_en = ["lease"]\nnames_zh = ["租约"]')
    assert said(terms, "When does the lease end?") is None
    assert said(terms, "When does the lease end?", "zh") == "When does the 租约 end?"


def test_a_figure_of_a_users_file_is_searched_for_by_its_lines(tmp_path: Path) -> None:
    terms = terms_of(tmp_path, estate=NOI)
    assert said(terms, "What is the cap rate of Elm Street in 2022?") == (
        "Elm Street 2022 statement of operations of the property: rental income, operating expenses"
        " consolidated balance sheets, financial position: investment property purchase price"
    )
    chinese = said(terms, "What is the NOI?", "zh")
    assert chinese is not None
    assert "合并资产负债表：投资性房地产" in chinese
    assert "rental income" in chinese, "there is no other name in the file"
    assert said(terms, "Why is the cap rate low?") is None, "lines do not say why"


def test_the_shipped_terms_stay_beside_a_users_and_give_way_by_name(tmp_path: Path) -> None:
    quick = '[[computed_from]]\nnames_en = ["quick ratio"]\nlines = [{ en = "quick assets" }]'
    terms = terms_of(tmp_path, mine=quick, names=LTV)
    assert said(terms, "the quick ratio of Boeing") == "Boeing quick assets"
    assert "current assets" in (said(terms, "the acid test of Boeing") or "")


def test_a_name_can_have_lines_and_other_names(tmp_path: Path) -> None:
    both = '[[also_called]]\nnames_en = ["quick ratio", "liquidity one"]'
    found = terms_of(tmp_path, mine=both).second_reading("the quick ratio of Boeing", "en")
    assert found is not None
    assert found.kind == "computed_from"
    assert "total current assets" in found.text
    assert found.text.endswith("liquidity one")


def test_a_file_of_the_same_name_takes_the_place_of_the_shipped_one(tmp_path: Path) -> None:
    assert said(terms_of(tmp_path, finance="# none"), "the quick ratio of Boeing") is None
    (tmp_path / "finance.toml").write_text("[[wrong]]", "utf-8")
    found = load_term_files(tmp_path)
    assert len(found.left_out) == 1
    assert found.used == shipped_term_files(), "one in error does not"


def test_without_a_folder_there_are_the_shipped_terms(tmp_path: Path) -> None:
    assert load_term_files(tmp_path / "none").used == shipped_term_files()
    assert Terms(()).second_reading("the quick ratio", "en") is None


def test_what_windows_writes_before_the_first_letter_does_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "estate.toml"
    path.write_text(LTV, "utf-8-sig")
    assert read_term_file(path).count == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[also_called]", "Expected ']]'"),
        ("[[synonyms]]", "synonyms: "),
        ('[[also_called]]\nnames_en = "LTV"', "also_called[1].names_en: "),
        (f"{LTV}[[also_called]]", "also_called[2]: needs names_en or names_zh"),
        ('[[also_called]]\nnames_en = ["LTV"]', "also_called[1]: needs two names"),
        ('[[also_called]]\nnames_en = ["LTV", " - "]', "names_en[2]: needs a letter"),
        (f"{LTV}{LTV}", "also_called[2]: 'LTV' is a name of another also_called"),
        ('[[computed_from]]\nnames_en = ["NOI"]', "computed_from[1].lines: "),
        ('[[computed_from]]\nnames_en = ["NOI"]\nlines = []', "computed_from[1].lines: is empty"),
        (
            '[[line]]\nnames_en = ["NOI"]\nlines = [{ section = "balanse", en = "a" }]',
            "line[1].lines[1].section: 'balanse' is none of: income, balance, cash",
        ),
        ('[[line]]\nnames_en = ["NOI"]\nlines = [{ section = "cash" }]', "lines[1]: needs en"),
        ('[[section]]\nkey = "a"\nnames_en = ["b"]', "section[1]: needs en or zh"),
        (
            f"{SECTION.format('b')}{SECTION.format('c')}",
            "section: key 'a' is there twice",
        ),
        ("a = " + "[" * 3000, ""),
    ],
)
def test_a_bad_file_is_named_with_the_key_and_left_out(
    tmp_path: Path, text: str, told: str
) -> None:
    path = tmp_path / "estate.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError) as raised:
        read_term_file(path)
    assert str(path) in raised.value.message.en
    assert told in raised.value.message.en
    assert str(path) in raised.value.message.zh
    assert "docs/terms.md" in raised.value.hint.en
    found = load_term_files(tmp_path)
    assert [error.message for error in found.left_out] == [raised.value.message]
    assert found.used == shipped_term_files()


def test_a_file_that_is_no_text_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "estate.toml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "folder.toml").mkdir()
    assert len(load_term_files(tmp_path).left_out) == 2


def test_a_file_in_error_is_logged_once_and_questions_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "wrong.toml").write_text("[[wrong]]", "utf-8")
    (tmp_path / "estate.toml").write_text(LTV, "utf-8")
    container = Container(Settings(retrieve=RetrieveSettings(terms=tmp_path)))
    for _ in range(2):
        assert said(container.terms, "How high may the LTV be?") is not None
        assert said(container.terms, "the quick ratio of Boeing") is not None
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "wrong.toml: wrong: " in caplog.text


def test_the_example_of_the_documentation_does_what_the_page_says(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "terms.md").read_text("utf-8")
    example = re.search(r"```toml\n(.*?)```", page, re.DOTALL)
    assert example is not None
    terms = terms_of(tmp_path, hotels=example[1])
    promised = re.findall(r'"([^"]+\?)" is (?:now )?also searched as "([^"]+)"', page)
    assert len(promised) == 2
    assert [said(terms, question) for question, _ in promised] == [text for _, text in promised]
