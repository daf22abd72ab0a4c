"""The library as commands read it, never written; and the server that answers, as they show it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from rag.cli.context import Context, progress_bar
from rag.cli.sync import run_sync
from rag.errors import UnknownDocument
from rag.text.messages import Text
from rag.types.server_address import leaving

if TYPE_CHECKING:
    from rag.answering.direct.answerer import DirectAnswerer
    from rag.app.container import Container
    from rag.app.wiring import QuestionParts
    from rag.config import Settings
    from rag.protocols import TextGenerator
    from rag.storage.ledger import Ledger
    from rag.types.answers import AskMode, Event, Message


def server_json(settings: Settings) -> dict[str, Any] | None:
    """Return where answers come from, as JSON shows it; ``None`` where from this program."""
    server = settings.generator.server()
    if server is None:
        return None
    return {
        "url": server.base,
        "model": settings.generator.model,
        "this_machine": server.is_here,
        "documents_leave": not server.is_here,
    }


@dataclass(frozen=True)
class CommandLibrary:
    """What a command asks; ``generator`` only where a model was wanted."""

    container: Container
    ledger: Ledger
    generator: TextGenerator | None

    @cached_property
    def parts(self) -> QuestionParts:
        """What answers questions, put together once."""
        from rag.app import wiring

        return wiring.question_parts(
            self.container,
            self.ledger,
            generator=lambda _: self.generator,
            instead=self.direct_answerer.instead,
        )

    def direct(
        self, question: str, documents: Collection[str] | None, history: Sequence[Message]
    ) -> Iterator[Event] | None:
        """Return the events of an answer that needs no model; ``None`` for any other."""
        return self.direct_answerer.answer(question, documents, history=history)

    @cached_property
    def direct_answerer(self) -> DirectAnswerer:
        """What answers without a model."""
        from rag.app import wiring

        wanted = self.container.settings.generator.model
        return wiring.direct_answerer(
            self.container,
            self.ledger,
            model=lambda: self.generator.name if self.generator else wanted,
        )

    def ask(
        self,
        question: str,
        *,
        history: Sequence[Message],
        documents: Collection[str] | None,
        mode: AskMode,
    ) -> Iterator[Event]:
        """Yield the events of one answer. It pauses while a card is nearly too hot."""
        from rag.app.machine_monitor import MachineMonitor

        watch = MachineMonitor(self.container.readings())
        events = self.parts.asker.ask(
            question,
            history=history,
            documents=documents,
            mode=mode,
            cancelled=watch.heat.watched(lambda: False),
        )
        with watch.looking():
            yield from watch.told(events)


@contextmanager
def opened(context: Context, *, with_model: bool) -> Iterator[CommandLibrary]:
    """Open the library for reading; the first time, fill it from the folder."""
    from rag.app.container import Container

    if with_model:
        tell_leaving(context)
    if not (context.settings.data / "library.db").is_file():
        run_sync(context, ocr="off")  # a question does not wait for scans to be read
    with ExitStack() as stack:
        with progress_bar(context) as report:
            container = Container(context.settings, report=report)
            ledger = stack.enter_context(closing(container.ledger(read_only=True)))
            stack.callback(container.close)
            generator = container.generator() if with_model else None
        if generator is not None:
            stack.callback(generator.close)
        yield CommandLibrary(container, ledger, generator)


def tell_leaving(context: Context) -> None:
    """Say on stderr what leaves this machine, before it does; nothing where nothing does.

    Raises:
        ConfigError: the settings name a server that may not be asked.
    """
    server = context.settings.generator.server()
    words = leaving(server) if server else None
    if words is not None:
        context.tell(words, err=True)


def only(ledger: Ledger, document: str | None) -> list[str] | None:
    """Return the ids of the documents that a name means; ``None`` for all.

    Raises:
        UnknownDocument: there is none.
    """
    from rag.storage.ledger import files_named

    if document is None:
        return None
    rows = [row for row in ledger.files().values() if row.document_id]
    found = {row.document_id for row in files_named(rows, document) if row.document_id}
    if not found:
        raise UnknownDocument(
            Text(f"The library has no document {document}.", f"资料库中没有文档 {document}。"),
            hint=Text("`rag status` lists all documents.", "`rag status` 可列出所有文档。"),
        )
    return sorted(found)
