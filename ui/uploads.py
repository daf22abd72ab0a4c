"""Files that were dropped onto the page: from Gradio's temporary folder to the app."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from rag.config import Settings
from rag.errors import RagError
from rag.ingestion.uploads import Added
from rag.text.messages import Text
from ui.seam import AppLike


def upload_folder(settings: Settings) -> Path:
    """Return where files wait between the browser and the knowledge folder."""
    return settings.data / "uploads"


def take(app: AppLike, sent: object, *, folder: Path) -> list[Added]:
    """Give the files in Gradio's ``sent`` to the app under the names the person sees.

    The temporary copies are deleted whatever becomes of them: the knowledge folder is the
    only place where a document stays. What does not lie in ``folder`` is none of ours and is
    left alone, whatever the request says.
    """
    return [one for name, path in _files(sent, folder.resolve()) for one in _take(app, name, path)]


def _take(app: AppLike, name: str, path: Path) -> list[Added]:
    try:
        return app.add_files([(name, path)])
    except RagError as error:
        return [Added(name, None, Text(error.say("en"), error.say("zh")))]
    except OSError as error:
        reason = error.strerror or type(error).__name__
        return [
            Added(
                name,
                None,
                Text(
                    f"{name} was not added, the folder could not be written: {reason}.",
                    f"未添加 {name}，文件夹无法写入：{reason}。",
                ),
            )
        ]
    finally:
        with suppress(OSError):
            path.unlink()
            path.parent.rmdir()  # Gradio makes one folder for each file


def _files(sent: object, folder: Path) -> Iterator[tuple[str, Path]]:
    for item in sent if isinstance(sent, list) else []:
        values: Mapping[str, Any] = item if isinstance(item, dict) else {}
        path = Path(str(values.get("path") or "")).resolve()
        if path.is_file() and path.is_relative_to(folder):
            yield str(values.get("orig_name") or path.name), path
