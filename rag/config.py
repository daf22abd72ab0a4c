"""Settings: one frozen object, checked once, then passed by hand.

Defaults that trade quality, speed or memory name their entry in docs/decisions.md.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from platformdirs import user_data_path
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rag.errors import ConfigError
from rag.system.environment import from_environment
from rag.text.messages import Text
from rag.types.server_address import Address, checked

DATA_FOLDER = ".rag"
"""Everything the app derives lives in this folder inside the knowledge folder."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class IngestSettings(_Section):
    """How PDFs are read."""

    workers: Annotated[int, Field(ge=1, le=64, description="processes that read PDFs")] = 2
    timeout_s: Annotated[float, Field(gt=0, description="seconds allowed for one document")] = 120
    ocr: Annotated[
        Literal["auto", "off"], Field(description="text recognition of scans; off: when asked")
    ] = "auto"
    page_timeout_s: Annotated[float, Field(gt=0, description="seconds allowed for one page")] = 15
    memory_mb: Annotated[
        int, Field(ge=128, description="megabytes a document may take while it is read")
    ] = 2048


class ChunkSettings(_Section):
    """How documents are cut into passages."""

    tokens: Annotated[
        int, Field(ge=32, le=8192, description="tokens of the embedder per passage")
    ] = 230
    overlap: Annotated[int, Field(ge=0, description="tokens shared by neighbours")] = 0


class EmbedderSettings(_Section):
    """Which model turns text into vectors."""

    model: Annotated[str, Field(description="a name from `rag models list`, or hashing")] = (
        "multilingual-e5-small"
    )
    engine: Annotated[
        Literal["auto", "onnx", "torch"],
        Field(description="onnx: int8 on a CPU; auto: what is faster on this one"),
    ] = "auto"
    device: Annotated[Literal["auto", "cpu", "cuda"], Field(description="where it runs")] = "auto"
    batch: Annotated[
        int, Field(ge=0, description="torch engine: passages per batch; 0: 8 on a CPU, 64 on a GPU")
    ] = 0


class RerankerSettings(_Section):
    """Which model reads question and passage together, if any."""

    model: Annotated[
        str, Field(description="a name from `rag models list`; empty: passages keep their order")
    ] = ""
    passages: Annotated[
        int, Field(ge=2, le=200, description="passages it reads for each question")
    ] = 30
    device: Annotated[Literal["auto", "cpu", "cuda"], Field(description="where it runs")] = "auto"


class RetrieveSettings(_Section):
    """How passages are found."""

    k: Annotated[int, Field(ge=1, le=50, description="passages shown to the model")] = 5
    candidates: Annotated[int, Field(ge=1, description="passages each retriever contributes")] = 50
    index: Annotated[
        Literal["chroma", "numpy"], Field(description="vector index of the running app")
    ] = "chroma"
    whole_passages: Annotated[
        int, Field(ge=0, description="read without asking for a question about whole documents")
    ] = 300
    terms: Annotated[Path, Field(description="folder with your own term files (docs/terms.md)")] = (
        Path("terms")
    )
    min_relevance: Annotated[
        float, Field(ge=0, le=1, description="below it the app says: not in your documents")
    ] = 0.3
    sure_relevance: Annotated[
        float, Field(ge=0, le=1, description="below it an answer comes with a warning")
    ] = 0.8


class GeneratorSettings(_Section):
    """Which model answers, and how."""

    engine: Annotated[
        Literal["auto", "llamacpp", "openvino", "transformers", "url", "echo"],
        Field(
            description="auto: what the model needs, on a CPU what is faster there; the server, if "
            "`generator.url` is set"
        ),
    ] = "auto"
    model: Annotated[
        str,
        Field(
            description="a name from `rag models list`, a folder, a .gguf file, a name that the "
            "server knows, or auto"
        ),
    ] = "auto"
    url: Annotated[
        str, Field(description="an OpenAI-compatible server that answers; none if empty")
    ] = ""
    documents_may_leave: Annotated[
        bool, Field(description="`generator.url` may be another machine, which sees passages")
    ] = False
    connect_timeout_s: Annotated[
        float, Field(gt=0, description="seconds until a server has to take a question")
    ] = 10
    token_timeout_s: Annotated[
        float, Field(gt=0, description="seconds a server may be silent before or within an answer")
    ] = 120
    quantization: Annotated[
        Literal["auto", "none", "fp32", "fp16", "bf16", "int8", "nf4"],
        Field(description="transformers engine: weights; auto: 16 bit where it fits, else nf4"),
    ] = "auto"
    device: Annotated[
        Literal["auto", "cpu", "cuda"], Field(description="transformers engine: where it runs")
    ] = "auto"
    context_tokens: Annotated[
        Literal["auto"] | Annotated[int, Field(ge=512)],
        Field(description="window of the model that is used; auto: 4096, less if that fits better"),
    ] = "auto"
    passage_tokens: Annotated[
        int, Field(ge=0, description="tokens of the passages found that are read, about; 0: all")
    ] = 0
    max_tokens: Annotated[int, Field(ge=1, description="longest answer in tokens")] = 512
    temperature: Annotated[float, Field(ge=0, le=2, description="0 = always the likeliest")] = 0.0
    read_ahead: Annotated[
        bool, Field(description="the model reads passages while a question is being typed")
    ] = True
    guess: Annotated[
        Literal["exact", "always", "never"],
        Field(description="transformers, temperature 0: guess copied words; exact: in fp32 alone"),
    ] = "exact"
    drop_unsupported: Annotated[
        bool, Field(description="leave out sentences that no passage supports")
    ] = False
    threads: Annotated[int, Field(ge=0, description="CPU threads; 0 = all cores")] = 0

    def server(self) -> Address | None:
        """Return where the model that answers runs; ``None`` if in this program.

        Raises:
            ConfigError: it is no URL, or of another machine without leave.
        """
        if "echo" in {self.engine, self.model} or self.engine not in {"auto", "url"}:
            return None
        if self.engine == "auto" and not self.url:
            return None
        return checked(self.url, may_leave=self.documents_may_leave)

    def asked_server(self) -> Address | None:
        """Return the server that questions go to; ``None`` too where it may not be asked."""
        try:
            return self.server()
        except ConfigError:
            return None


class ModelSettings(_Section):
    """Where weights are kept and looked for."""

    folder: Annotated[Path, Field(description="downloaded weights, shared by all libraries")] = (
        user_data_path("ragdesk", appauthor=False) / "models"
    )
    sources: Annotated[
        tuple[Literal["folder", "hub", "wheels"], ...],
        Field(description="tried in this order"),
    ] = ("folder", "hub", "wheels")
    offline: Annotated[bool, Field(description="never download")] = False


class UiSettings(_Section):
    """The screen."""

    port: Annotated[int, Field(ge=0, le=65535, description="0 = any free port")] = 7860
    language: Annotated[
        Literal["auto", "en", "zh"], Field(description="auto: the system's language")
    ] = "auto"


class Settings(_Section):
    """Everything a user may set."""

    knowledge: Annotated[Path, Field(description="the folder with your PDFs")] = Path("knowledge")
    ingest: IngestSettings = IngestSettings()
    chunk: ChunkSettings = ChunkSettings()
    embedder: EmbedderSettings = EmbedderSettings()
    retrieve: RetrieveSettings = RetrieveSettings()
    reranker: RerankerSettings = RerankerSettings()
    generator: GeneratorSettings = GeneratorSettings()
    models: ModelSettings = ModelSettings()
    ui: UiSettings = UiSettings()

    @property
    def data(self) -> Path:
        """Where the app keeps what it derives from the documents."""
        return self.knowledge / DATA_FOLDER


def setting_keys() -> tuple[str, ...]:
    """Return every key as ``ragdesk.toml`` knows it: ``section.name``."""
    keys: list[str] = []
    for name, field in Settings.model_fields.items():
        part = field.default
        inside = type(part).model_fields if isinstance(part, _Section) else {"": None}
        keys += [f"{name}.{inner}".rstrip(".") for inner in inside]
    return tuple(keys)


def load_settings(path: Path | None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read TOML, then let ``RAGDESK_SECTION__KEY`` variables override it.

    ``path`` is the file named by the user; ``None`` reads ``ragdesk.toml`` of the working
    folder where there is one. ``environ`` is ``os.environ`` if ``None``.

    Raises:
        ConfigError: the file is missing or not TOML, a key or a variable of ours is unknown,
            or a value is out of range.
    """
    values = _read_toml(path)
    given = from_environment(os.environ if environ is None else environ, setting_keys())
    for name, value in given.items():
        _override(values, name, value)
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        wrong = error.errors()
        key = wrong[0]["loc"][:2]  # further down are the names of what it may be instead
        told = [each for each in wrong if each["loc"][:2] == key][-1]["msg"]
        where = ".".join(map(str, key))
        raise ConfigError(
            Text(f"Setting {where}: {told}.", f"设置项 {where} 有误：{told}。"),
            hint=Text(
                "Run `rag settings` to list all keys and their ranges.",
                "运行 `rag settings` 可列出全部设置项和取值范围。",
            ),
        ) from error


def _read_toml(path: Path | None) -> dict[str, Any]:
    chosen = path or Path("ragdesk.toml")
    if path is None and not chosen.is_file():
        return {}
    try:
        return tomllib.loads(chosen.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(
            Text(f"{chosen} cannot be read: {error}.", f"无法读取 {chosen}：{error}。"),
            hint=Text(
                "Check the path, and that the file is valid TOML.",
                "请检查路径，并确认文件是有效的 TOML。",
            ),
        ) from error


def _override(values: dict[str, Any], name: str, value: str) -> None:
    *sections, key = name.split(".")
    node = values
    for section in sections:
        node = node.setdefault(section, {})
        if not isinstance(node, dict):
            raise ConfigError(
                Text(
                    f"{name}: '{section}' is not a section.", f"{name}：“{section}”不是设置分组。"
                ),
                hint=Text(
                    "Run `rag settings` to list all keys.", "运行 `rag settings` 查看设置项。"
                ),
            )
    node[key] = value.split(",") if key == "sources" else value
