"""The benchmark compares like with like, and its arithmetic is right."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tests.bench import corpus, indexing, manuals
from tests.pdfs import lines, write_pdf


@pytest.fixture(scope="module")
def pdfs(tmp_path_factory: pytest.TempPathFactory) -> corpus.Corpus:
    folder = tmp_path_factory.mktemp("pdfs")
    text = lines("The pump needs 254.7 litres a minute.", repeat=30)
    write_pdf(folder / "english.pdf", [text, "A last page."], title="Pumps")
    write_pdf(folder / "more" / "chinese.PDF", ["显卡的显存为二十四吉字节。"])
    return corpus.choose(*corpus.find_pdfs(folder), documents=5, max_pages=100)


@pytest.fixture(scope="module")
def pair(pdfs: corpus.Corpus) -> dict[str, dict[str, float]]:
    return {name: indexing.one_run(pdfs, name, embedder="hashing") for name in indexing.PIPELINES}


@pytest.mark.slow
def test_both_pipelines_read_every_page_of_the_corpus(
    pdfs: corpus.Corpus, pair: dict[str, dict[str, float]]
) -> None:
    assert pdfs.pages == 3
    assert pair["ours"]["pages"] == pair["plain"]["pages"] == 3
    assert pair["ours"]["failed"] == pair["plain"]["failed"] == 0
    assert min(run["passages"] for run in pair.values()) >= 3


@pytest.mark.slow
@pytest.mark.parametrize("name", indexing.PIPELINES)
def test_the_stages_add_up_to_the_whole(pair: dict[str, dict[str, float]], name: str) -> None:
    run = pair[name]
    stages = [run[stage] for stage in ("read", "chunk", "embed", "write")]
    assert sum(stages) + run["other"] == pytest.approx(run["seconds"])
    assert min(stages) >= 0
    assert name == "ours" or run["other"] == 0, "only ours does several things at once"
    assert run["peak_mb"] > 20


@pytest.mark.slow
def test_only_the_plain_pipeline_does_everything_again(
    pair: dict[str, dict[str, float]],
) -> None:
    assert pair["ours"]["again_s"] < pair["ours"]["seconds"]
    assert pair["plain"]["again_s"] == pair["plain"]["seconds"]


def test_a_ratio_is_the_median_over_pairs_not_a_quotient_of_medians() -> None:
    base = {measure.key: 1.0 for measure in indexing.MEASURES}
    pairs = [
        {"ours": {**base, "seconds": ours}, "plain": {**base, "seconds": plain}}
        for ours, plain in ((1.0, 4.0), (2.0, 2.0), (9.0, 3.0))
    ]
    found = indexing.ratios(pairs)
    assert found["seconds"] == 1.0
    assert "pages" not in found


def test_a_measure_that_is_nothing_has_no_ratio() -> None:
    run = {measure.key: 0.0 for measure in indexing.MEASURES}
    assert indexing.ratios([{"ours": run, "plain": run}]) == {}


def test_every_beginning_of_the_choice_is_spread_over_the_list() -> None:
    files = [Path(f"{number}.pdf") for number in range(7)]
    order = [int(file.stem) for file in corpus.spread(files)]
    assert order == [0, 4, 2, 6, 1, 5, 3]
    assert corpus.spread(files[:1]) == files[:1]


def test_the_choice_is_the_same_each_time_and_keeps_to_its_limits(pdfs: corpus.Corpus) -> None:
    root, files = corpus.find_pdfs(pdfs.root)
    one = corpus.choose(root, files, documents=1, max_pages=100)
    short = corpus.choose(root, files, documents=5, max_pages=1)
    assert one == corpus.choose(root, files, documents=1, max_pages=100)
    assert [file.name for file in one.files] == ["english.pdf"]
    assert [file.name for file in short.files] == ["chinese.PDF"]
    assert short.left_out == 1
    with pytest.raises(SystemExit, match="at most 0 pages"):
        corpus.choose(root, files, documents=5, max_pages=0)


def test_a_folder_without_pdfs_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="--pdfs"):
        corpus.find_pdfs(tmp_path)


def test_manuals_are_taken_out_of_a_package_packed_or_not_and_kept_apart(tmp_path: Path) -> None:
    tree, target = tmp_path / "tree", tmp_path / "out"
    target.mkdir()
    for folder in ("c", "tcl"):
        write_pdf(tree / "doc" / folder / "api.pdf", ["A page."])
    packed = tree / "doc" / "more.pdf.gz"
    packed.write_bytes(gzip.compress((tree / "doc" / "c" / "api.pdf").read_bytes()))
    (tree / "doc" / "notes.txt").write_text("no manual")
    manuals.take_pdfs(tree, target)
    assert [file.name for file in corpus.pdfs_below(target)] == [
        "doc-c-api.pdf", "doc-more.pdf", "doc-tcl-api.pdf",
    ]  # fmt: skip
    assert corpus.choose(target, corpus.pdfs_below(target), documents=9, max_pages=9).pages == 3


def test_without_debians_tools_the_reason_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(manuals.Unavailable, match="apt-get is not installed"):
        manuals.manuals(tmp_path)
