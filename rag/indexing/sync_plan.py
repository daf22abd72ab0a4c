"""What a sync has to do: the folder compared with what the ledger remembers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from rag.ingestion.scan import FoundFile, content_id, look_again, looks_whole

if TYPE_CHECKING:
    from rag.storage.ledger import FileRow

GROWING = "growing"
"""The reason of a file that waits until nobody writes to it any more."""


@dataclass(slots=True)
class SyncPlan:
    """Every file is in exactly one of the lists (``touched`` is a part of ``unchanged``)."""

    added: list[FoundFile] = field(default_factory=list)
    updated: list[FoundFile] = field(default_factory=list)
    moved: list[FoundFile] = field(default_factory=list)
    duplicate: list[FoundFile] = field(default_factory=list)
    unchanged: list[FoundFile] = field(default_factory=list)
    touched: list[FoundFile] = field(default_factory=list)  # new time stamp, same bytes
    forgotten: list[FoundFile] = field(default_factory=list)
    growing: list[FoundFile] = field(default_factory=list)  # to be looked at again
    refused: list[FoundFile] = field(default_factory=list)  # with their reason, new or old
    removed: list[str] = field(default_factory=list)
    gone: int = 0  # of ``removed``, those that named a document
    ids: dict[str, str] = field(default_factory=dict)  # path -> content id, where it was hashed

    @property
    def held_back(self) -> list[FoundFile]:
        """What cannot be read, or not yet."""
        return [*self.growing, *self.refused]


def same_stat(found: FoundFile, known: FileRow) -> bool:
    """Tell whether a file looks as it did."""
    return (found.size, found.mtime_ns) == (known.size, known.mtime_ns)


def _same(found: FoundFile, known: FileRow) -> bool:
    settled = known.document_id is not None and known.reason is None
    return (settled or known.reason == "forgotten") and same_stat(found, known)


def make_plan(
    found: Iterable[FoundFile],
    known: Mapping[str, FileRow],
    *,
    forgotten: Collection[str],
) -> SyncPlan:
    """Stat first; hash only what looks different; identity is content."""
    plan = SyncPlan()
    here = list(found)
    plan.refused = [file for file in here if file.reason is not None]
    plan.removed = _removed(here, known)
    plan.gone = sum(known[path].document_id is not None for path in plan.removed)
    free = {known[path].document_id for path in plan.removed} - {None}
    changed: list[FoundFile] = []
    for file in here:
        row = known.get(file.path)
        if file.reason is not None:
            continue
        if row is not None and _same(file, row):
            plan.unchanged.append(file)
        else:
            changed.append(file)
    present = {known[file.path].document_id for file in plan.unchanged} - {None}
    for file in changed:
        if not _hash(plan, file, known.get(file.path)):
            continue
        _place(plan, file, known.get(file.path), forgotten, free, present)
        present.add(plan.ids[file.path])
    return plan


def _removed(here: Iterable[FoundFile], known: Mapping[str, FileRow]) -> list[str]:
    """Return the known paths that are gone; what is below an unreadable folder only hides."""
    paths = {file.path for file in here}
    hiding = tuple(f"{file.path}/" for file in here if file.reason is not None)
    if any(file.path == "." and file.reason is not None for file in here):
        return []
    return sorted(path for path in known if path not in paths and not path.startswith(hiding))


def surely_deleted(found: Iterable[FoundFile], known: Mapping[str, FileRow]) -> list[str]:
    """Return the paths that are gone and cannot have been moved: no new file has their size."""
    here = list(found)
    new = {file.size for file in here if file.path not in known}
    return [path for path in _removed(here, known) if known[path].size not in new]


def _hash(plan: SyncPlan, file: FoundFile, row: FileRow | None) -> bool:
    """Note the file's content, or why it is not known yet."""
    second_look = row is not None and row.reason == GROWING and same_stat(file, row)
    if not second_look and not looks_whole(file):
        plan.growing.append(file)
        return False
    try:
        identity = content_id(file.real)
    except OSError:
        plan.refused.append(FoundFile(file.path, file.real, file.size, file.mtime_ns, "unreadable"))
        return False
    if look_again(file) != file:
        plan.growing.append(file)
        return False
    plan.ids[file.path] = identity
    return True


def _place(
    plan: SyncPlan,
    file: FoundFile,
    row: FileRow | None,
    forgotten: Collection[str],
    free: set[str | None],
    present: set[str | None],
) -> None:
    identity = plan.ids[file.path]
    if identity in forgotten:
        plan.forgotten.append(file)
    elif row is not None and row.document_id == identity:
        plan.unchanged.append(file)
        plan.touched.append(file)
    elif row is not None and row.document_id is not None:
        plan.updated.append(file)
    elif identity in free:
        free.discard(identity)
        plan.moved.append(file)
    elif identity in present:
        plan.duplicate.append(file)
    else:
        plan.added.append(file)
