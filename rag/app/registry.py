"""The table of engines that settings choose between, each imported when it is asked for.

An engine's module imports its heavy libraries at the top, plainly. It is imported here, by
name, when a setting asks for it; so ``rag --help`` never loads torch.
"""

from __future__ import annotations

import sys
from importlib import import_module
from traceback import walk_tb
from typing import TYPE_CHECKING, Any

from rag.errors import MissingDependency, ModelError
from rag.text.messages import Text

if TYPE_CHECKING:
    from rag.config import GeneratorSettings
    from rag.protocols import TextGenerator


_EMBEDDING = "rag.retrieval.embedding"
ENGINES = {
    "hashing": f"{_EMBEDDING}.hashing:HashingEmbedder",
    "sentence-transformers": f"{_EMBEDDING}.sentence_transformers:SentenceTransformerEmbedder",
    "bert": f"{_EMBEDDING}.bert:BertEmbedder",
    "onnx": f"{_EMBEDDING}.onnxruntime:OnnxEmbedder",
    "onnx-graph": f"{_EMBEDDING}.onnxruntime:int8_graph",
    "llamacpp": "rag.generation.llamacpp:LlamaCppGenerator",
    "openvino": "rag.generation.openvino:OpenVinoGenerator",
    "transformers": "rag.generation.transformers.engine:TransformersGenerator",
    "url": "rag.generation.openai_server.engine:UrlGenerator",
    "echo": "rag.generation.echo:EchoGenerator",
    "analyser": "rag.retrieval.analyser:BilingualAnalyser",
    "chunker": "rag.ingestion.chunking:RecursiveChunker",
    "reader": "rag.ingestion.workers.pool:WorkerPool",
    "cross-encoder": "rag.retrieval.reranker:CrossEncoderReranker",
    "retriever": "rag.retrieval.retriever:HybridRetriever",
    "lexical": "rag.retrieval.bm25:BM25Index",
    "allocator": "rag.hardware.memory:TorchAllocator",
    "readings": "rag.hardware.readings:MachineReadings",
}
HASHING = "hashing"
ECHO = "echo"
URL = "url"
_OURS = frozenset({"rag", "ui"})
_INNOCENT = _OURS | sys.stdlib_module_names | {""}

_PACKAGES = dict.fromkeys(("langchain_openai", "openai", "httpx2"), "ragdesk[openai]") | {
    "openvino_genai": "openvino-genai"
}
"""What to install for a module, where that is not the module's own name."""


def without_weights(engine: str, settings: GeneratorSettings) -> TextGenerator | None:
    """Return a generator for which nothing is loaded here; ``None`` if the engine is another.

    Raises:
        RagError: the server that the settings name cannot be asked.
    """
    found: TextGenerator | None = None
    if engine == ECHO:
        found = load(ECHO)()
    elif engine == URL:
        found = load(URL).of(settings)
    return found


def load(engine: str) -> Any:
    """Return the class behind a name of ``ENGINES``.

    Raises:
        MissingDependency: a package the engine needs is not installed.
        ModelError: a package is there, but it, or a shared library of it, is broken.
    """
    module, _, name = ENGINES[engine].partition(":")
    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in _OURS:
            raise
        package = _PACKAGES.get(missing, missing)
        raise MissingDependency(
            Text(
                f"The engine '{engine}' needs the package '{missing}'.",
                f"引擎“{engine}”需要软件包“{missing}”。",
            ),
            hint=Text(
                f'Run `pip install "{package}"`, or choose another engine.',
                f'请运行 `pip install "{package}"`，或选择其他引擎。',
            ),
        ) from error
    except Exception as error:  # an import runs whatever code a package has
        culprit = _package_at_fault(error)
        if culprit is None:  # a bug of ours
            raise
        raise _broken(engine, culprit, error) from error


def _package_at_fault(error: Exception) -> str | None:
    """Return the package in which an import went wrong; ``None`` if in this program itself."""
    found = error.name.partition(".")[0] if isinstance(error, ImportError) and error.name else ""
    if found not in _INNOCENT:
        return found
    for frame, _ in walk_tb(error.__traceback__):
        package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if package in _OURS or package not in _INNOCENT:
            found = package
    return None if found in _INNOCENT else found


def _broken(engine: str, package: str, error: Exception) -> ModelError:
    detail = " ".join(str(error).split()) or type(error).__name__
    return ModelError(
        Text(
            f"The engine '{engine}' needs the package '{package}', which is installed but "
            f"cannot be loaded: {detail}",
            f"引擎“{engine}”需要软件包“{package}”，它已安装但无法加载：{detail}",
        ),
        hint=Text(
            f"Run `pip install --force-reinstall {package}`, install the system library that is "
            "named above if there is one, or choose another engine.",
            f"请运行 `pip install --force-reinstall {package}`，安装上面提到的系统库（如有），"
            "或选择其他引擎。",
        ),
    )
