"""Downloads from the model hub, resumably, in blocks that can be counted and stopped.

The hub library's own download starts a file anew when it is interrupted (version 2 keeps no
partial file), so it is asked for addresses, headers and errors, and the bytes are read here.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from http.client import FORBIDDEN, PARTIAL_CONTENT, UNAUTHORIZED
from importlib import import_module
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, get_session, get_token, hf_hub_url, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import (  # type: ignore[attr-defined]  # exported lazily
    build_hf_headers,
    hf_raise_for_status,
)

from rag.models.catalogue import Entry, File, Hub
from rag.models.download import (
    Delivered,
    Delivery,
    Download,
    DownloadMeter,
    SourceUnavailable,
    Trust,
    as_it_stands,
    hash_into,
    matching,
    takes,
    whole_model,
)
from rag.text.messages import Text

REACH_TIMEOUT_S = 5.0
"""A hub that is silent for so long counts as out of reach; wheels may be nearer."""
STALL_TIMEOUT_S = 30.0
RETRIES = 5
"""Broken connections in a row without a single new byte between them."""
_REFUSALS = (UNAUTHORIZED, FORBIDDEN)
_ELSEWHERE = Text(
    "Choose another model from `rag models list`, or update this program: its list may be old.",
    "请从 `rag models list` 中选择其他模型，或更新本程序：它的列表可能已过时。",
)
_LATER = Text(
    "Pull again later: what has arrived is kept. Or set HF_ENDPOINT to a mirror of the hub.",
    "请稍后重新下载：已下载的部分会保留；也可把 HF_ENDPOINT 设为模型库的镜像地址。",
)


class _Cut(Exception):
    """The connection ended before the file did."""


def from_hub(
    job: Download,
    *,
    endpoint: str | None = None,
    timeout_s: float = REACH_TIMEOUT_S,
    pause_s: float = 1.0,
) -> Delivery:
    """Return the files of the pinned commit.

    ``endpoint`` is the hub's address, ``None`` the library's (``HF_ENDPOINT`` names a mirror);
    ``pause_s`` before a retry.
    """
    entry, hub = job.entry, job.entry.hub
    if hub is None:
        raise SourceUnavailable(Text("not on the hub", "模型库中没有"))
    revision = entry.revision(entry.files)
    if cached := _cached(hub, entry):
        found = as_it_stands("hub", *cached, revision, job)
        if all(d.file.sha256 in {"", d.sha256} for d in found.files):
            return found
    if job.offline:
        raise _switched_off(job.home)
    if hub.gated and not get_token():
        raise _gated(hub)
    wanted = _listing(hub, entry, endpoint, timeout_s)
    job.need(sum(file.bytes - _bytes(job.parts / file.path) for file, _ in wanted))
    delivered = []
    for file, told_by in wanted:
        url = hf_hub_url(hub.repository, file.path, revision=hub.revision, endpoint=endpoint)
        target = job.parts / file.path
        sha = _fetch(hub, url, file, target, job, pause_s)
        delivered.append(Delivered(file, target, sha, told_by))
    return Delivery("hub", revision, tuple(delivered))


def _listing(
    hub: Hub, entry: Entry, endpoint: str | None, timeout_s: float
) -> list[tuple[File, Trust]]:
    """Return what to download; the hub's hash stands in where the catalogue has none."""
    with _translated(hub):
        info = HfApi(endpoint=endpoint).model_info(
            hub.repository, revision=hub.revision, files_metadata=True, timeout=timeout_s
        )
    pinned = {file.path: file for file in entry.files}
    names = {s.rfilename: s for s in info.siblings or ()}
    chosen = [n for n in names if takes(n, hub.patterns)] if hub.patterns else list(pinned)
    missing = (set(pinned) | set(chosen)) - set(names)
    if missing or not chosen:
        what = ", ".join(sorted(missing)) or "files"
        raise SourceUnavailable(
            Text(f"{hub.repository} has no {what}", f"{hub.repository} 中没有 {what}"),
            hint=_ELSEWHERE,
        )
    return [_expected(names[name], pinned.get(name)) for name in sorted(chosen)]


def _fetch(hub: Hub, url: str, file: File, target: Path, job: Download, pause_s: float) -> str:
    """Download one file; return its sha256."""
    target.parent.mkdir(parents=True, exist_ok=True)
    meter = DownloadMeter(job, stage="download", item=file.path, total=file.bytes)
    failures, before = 0, -1
    while True:
        try:
            with _translated(hub):
                return _read(url, target, file, meter)
        except SourceUnavailable:
            failures = failures + 1 if _bytes(target) <= before else 1
            before = max(before, _bytes(target))
            if failures > RETRIES or not _bytes(target):
                raise
            time.sleep(pause_s)


def _read(url: str, target: Path, file: File, meter: DownloadMeter) -> str:
    digest, done = sha256(), 0
    if _bytes(target) > file.bytes:
        target.unlink()
    if target.exists():
        done = hash_into(digest, target, each=lambda _: meter.add(0))
        meter.to(done)
    if done == file.bytes and target.exists():
        return digest.hexdigest()
    headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
    if done:
        headers["Range"] = f"bytes={done}-"
    with get_session().stream(
        "GET", url, headers=headers, timeout=STALL_TIMEOUT_S, follow_redirects=True
    ) as response:
        hf_raise_for_status(response)
        if done and response.status_code != PARTIAL_CONTENT:  # the server starts from the beginning
            digest = sha256()
            meter.to(0)
            target.unlink()
        with target.open("ab") as out:
            for block in response.iter_bytes():  # as it comes: nothing waits in a buffer
                out.write(block)
                digest.update(block)
                meter.add(len(block))
    if _bytes(target) < file.bytes:
        raise _Cut(f"the connection ended after {_bytes(target)} of {file.bytes} bytes")
    return digest.hexdigest()


def _bytes(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _expected(sibling: Any, pinned: File | None) -> tuple[File, Trust]:
    if pinned:
        return pinned, "catalogue"
    told = sibling.lfs.sha256 if sibling.lfs else ""
    return File(sibling.rfilename, sibling.size or 0, told), "hub"


def _cached(hub: Hub, entry: Entry) -> tuple[Path, tuple[File, ...]] | None:
    """Return what another program has put into the hub library's cache, if it is all there."""
    try:
        root = Path(snapshot_download(hub.repository, revision=hub.revision, local_files_only=True))
    except (LocalEntryNotFoundError, OSError, ValueError):
        return None
    files = matching(root, hub.patterns, entry.files) if hub.patterns else entry.files
    if hub.patterns and not whole_model(root):
        return None
    return (root, files) if all((root / file.path).is_file() for file in files) else None


@contextmanager
def _translated(hub: Hub) -> Iterator[None]:
    """Turn the hub library's errors into our own; errors of the disk pass."""
    try:
        yield
    except GatedRepoError as error:
        raise _gated(hub) from error
    except OfflineModeIsEnabled as error:
        raise SourceUnavailable(Text("HF_HUB_OFFLINE is set", "已设置 HF_HUB_OFFLINE")) from error
    except (RepositoryNotFoundError, RevisionNotFoundError, EntryNotFoundError) as error:
        raise SourceUnavailable(
            Text(f"{hub.repository} is not there any more", f"{hub.repository} 已不存在"),
            hint=_ELSEWHERE,
        ) from error
    except _network_errors() as error:
        if (status := _status(error)) in _REFUSALS:
            raise _refused(hub) from error
        if status is not None:
            raise SourceUnavailable(
                Text(f"answers with the error {status}", f"返回错误 {status}"), hint=_LATER
            ) from error
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise SourceUnavailable(
            Text(f"cannot be reached ({first})", f"无法连接（{first}）")
        ) from error


def _network_errors() -> tuple[type[BaseException], ...]:
    """Return what a failing connection raises; the HTTP client depends on the hub's version."""
    client = import_module(type(get_session()).__module__.partition(".")[0])
    return (_Cut, HfHubHTTPError, client.HTTPError, client.StreamError)


def _status(error: BaseException) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None)


def _switched_off(home: Path) -> SourceUnavailable:
    return SourceUnavailable(
        Text("downloads are switched off", "已禁止下载"),
        hint=Text(
            f"Set models.offline = false, or copy the files from another computer into {home}.",
            f"请设置 models.offline = false，或从另一台电脑把文件复制到 {home}。",
        ),
    )


def _refused(hub: Hub) -> SourceUnavailable:
    return SourceUnavailable(
        Text(f"access to {hub.repository} is refused", f"拒绝访问 {hub.repository}"),
        hint=Text(
            "Check HF_TOKEN: it may have expired, or belong to an account without access to"
            f" {hub.repository}. Set a new one, or choose another model from `rag models list`.",
            f"请检查 HF_TOKEN：它可能已过期，或所属账号无权访问 {hub.repository}。"
            "请设置新的令牌，或改用 `rag models list` 中的其他模型。",
        ),
    )


def _gated(hub: Hub) -> SourceUnavailable:
    return SourceUnavailable(
        Text(
            f"{hub.repository} is given only to people whom its publisher has admitted",
            f"{hub.repository} 需要发布者授权才能下载",
        ),
        hint=Text(
            f"Accept the licence on the hub page of {hub.repository} with your account, make an"
            " access token there and set it as HF_TOKEN. Or choose a model that needs no"
            " permission: Qwen3-8B, Qwen2.5-Coder-1.5B-Instruct-Q4_K_M.",
            f"请用你的账号在模型库页面接受 {hub.repository} 的许可协议，创建访问令牌并设置环境变量"
            " HF_TOKEN；或改用无需授权的模型：Qwen3-8B、"
            "Qwen2.5-Coder-1.5B-Instruct-Q4_K_M。",
        ),
    )
