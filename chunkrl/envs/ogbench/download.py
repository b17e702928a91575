"""Fetch OGBench's official files: from several mirrors, resumed after cuts, checked."""

import difflib
import hashlib
import http.client
import os
import queue
import re
import stat
import sys
import threading
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from chunkrl import disk, locks, memory
from chunkrl.data.dataset import load
from chunkrl.envs.ogbench.files import data_dir, official_path, val_path
from chunkrl.errors import ConfigError, DataError

# The copy that OGBench's author points to comes first: the original host has been unreachable
# since 2026-08-31, and an unreachable host costs a timeout before the next one is asked.  The copy
# lacks the 100M folders, which it refuses at once.
MIRRORS = (
    "https://huggingface.co/datasets/zhouzypaul/ogbench_datasets/resolve/main",
    "https://rail.eecs.berkeley.edu/datasets/ogbench",
)
SHARDS = 100  # files in a 100M folder, 1M transitions each
BLOCK = 1 << 20  # bytes
ATTEMPTS = 3  # in a row without a single new byte, before the next mirror is asked
SLOWEST = 10_000  # bytes per second that a mirror has to give
# More than any train file of OGBench has: 5M steps of an ant or humanoid, 1M of a robot arm.
GB = 10**9
LARGEST = {"antmaze": 4 * GB, "antsoccer": 4 * GB, "humanoidmaze": 6 * GB}
LARGEST_ELSE, VALIDATION = 2 * GB, 0.25  # a validation file has a tenth of the steps
WEB = ("http://", "https://")
SHA256 = re.compile(r'(?:W/)?"?([0-9a-f]{64})"?')


class _Refused(Exception):
    """A mirror that does not give the file; the text says why."""


class _Silent(_Refused):
    """A mirror that does not answer at all."""


def mirrors() -> tuple[str, ...]:
    """The addresses to try, in order: CHUNKRL_MIRRORS (split at spaces and commas), else ours."""
    chosen = tuple(filter(None, re.split(r"[\s,]+", os.environ.get("CHUNKRL_MIRRORS", ""))))
    return tuple(address.rstrip("/") for address in chosen or MIRRORS)


def download(
    dataset: str,
    folder: str | Path | None = None,
    *,
    shards: Iterable[int] | None = None,
    progress: bool = True,
    timeout: float = 30.0,
) -> Path:
    """The official train file of `dataset` (-> its path) and its validation file beside it.

    Single-task and goal-conditioned data are the same files.  For a 100M set, such as
    cube-quadruple-play-100m-v0, a folder of 100 pairs of files is filled (-> the folder);
    `shards` picks some of them.  Files that are there already are kept.

    Each file is fetched to `<file>.part`, from the first of `mirrors()` that has it; a call after
    an interruption continues there, and one beside another process waits for that.  It gets its
    name only when it has the size and SHA-256 that the server tells (where it does), the archive
    is whole (checksums) and `load` accepts it.  Answers that are too large or too slow for a
    dataset are given up.  `timeout` is in seconds.  Raises DataError listing what was tried.
    """
    name = dataset if dataset.endswith("-v0") else f"{dataset}-v0"
    _require_known(name.replace("-100m-", "-"))
    target = official_path(name, folder)
    if "-100m-" in name:
        target = target.with_suffix("")
        stem = name.replace("-100m-", "-")
        numbers = list(range(SHARDS) if shards is None else shards)
        if not numbers or not set(numbers) <= set(range(SHARDS)):
            raise ConfigError(f"shards = {numbers}: those of {name} are 0 to {SHARDS - 1}")
        trains = [target / f"{stem}-{i:03d}.npz" for i in numbers]
    else:
        if shards is not None:
            raise ConfigError(f"{name} is one file: only 100M sets have shards.")
        trains = [target]
    root = data_dir() if folder is None else Path(folder).expanduser()
    dead: dict[str, str] = {}  # mirrors that did not answer: not asked again for the next file
    for train in trains:
        for file in (val_path(train), train):  # whoever sees the train file finds both
            part, lock = file.with_name(f"{file.name}.part"), file.with_name(f".{file.name}.lock")
            left = part.exists() or lock.exists()  # by somebody, or a killed process
            if not file.exists() or (left and os.access(file.parent, os.W_OK)):
                note = partial(print, file=sys.stderr) if progress else str
                file.parent.mkdir(parents=True, exist_ok=True)
                with (
                    disk.writing(part),
                    locks.hold(lock, f"fetches {file}", note),
                ):
                    name = file.relative_to(root).as_posix()
                    _fetch(file, part, name, dead, progress, timeout)
    return target


def _require_known(name: str) -> None:
    """Raise ConfigError, with the nearest names, unless OGBench names a state-based set so."""
    from chunkrl.envs.ogbench import tasks

    known = sorted({tasks.get(task).dataset for task in tasks.names()})
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"names look like {known[0]}"
        raise ConfigError(f"OGBench has no state-based dataset {name!r}; {hint}")


def _fetch(
    file: Path, part: Path, name: str, dead: dict[str, str], progress: bool, timeout: float
) -> None:
    """One file, from the first mirror that gives a whole one, unless it is there by now."""
    if file.exists():
        part.unlink(missing_ok=True)
        return
    for path in (file, part):
        if os.path.lexists(path) and not stat.S_ISREG(os.lstat(path).st_mode):
            raise DataError(f"{path} is a link or no plain file, and is not written to: remove it.")
    limit = _largest(file.name)
    tried = []
    for mirror in mirrors():
        url = f"{mirror}/{name}"
        try:
            if mirror in dead:
                raise _Refused(dead[mirror])
            _obtain(url, part, limit, progress, timeout)
        except _Refused as reason:
            tried.append(f"  {url}: {reason}")
            if isinstance(reason, _Silent):
                dead[mirror] = str(reason)
        else:
            os.replace(part, file)
            return
    raise DataError(
        f"No mirror gave {file.name}:\n" + "\n".join(tried) + "\nTry again later (what was fetched"
        f" is kept), put the file at {file} yourself, set CHUNKRL_MIRRORS to another address, or"
        " make the data locally with `chunkrl data make`."
    )


def _largest(name: str) -> int:
    """Bytes that no file of this name exceeds."""
    kind = name.split("-")[0]
    train = LARGEST.get(kind, LARGEST_ELSE)
    return int(train * VALIDATION) if name.endswith("-val.npz") else train


def _obtain(url: str, part: Path, limit: int, progress: bool, timeout: float) -> None:
    """A whole and valid file under the name `part`."""
    continued = part.exists()
    checksum = _transfer(url, part, limit, progress, timeout)
    damage = _damage(part, checksum, limit)
    if damage and continued:  # perhaps pieces of two different files: once more from the start
        part.unlink()
        checksum = _transfer(url, part, limit, progress, timeout)
        damage = _damage(part, checksum, limit)
    if damage:
        part.unlink()
        raise _Refused(f"what it gave is no dataset ({damage})")


def _damage(part: Path, checksum: str | None, limit: int) -> str | None:
    """What is wrong with the file, if anything: a checksum, or what `load` objects to."""
    try:
        if checksum:
            with open(part, "rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if found != checksum:
                return f"its SHA-256 begins with {found[:12]}, and should with {checksum[:12]}"
        with zipfile.ZipFile(part) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
            if unpacked > 4 * limit:
                return f"unpacked it would have {memory.size(unpacked)}"
            if broken := archive.testzip():
                return f"checksum of {broken}"
        load(part)
    except Exception as error:  # zipfile answers damage with a dozen types
        return str(error) or type(error).__name__
    return None


def _transfer(url: str, part: Path, limit: int, progress: bool, timeout: float) -> str | None:
    """Fetch until nothing is missing, through any number of cuts that still bring new bytes.

    Returns the file's SHA-256 where the server tells it.
    """
    idle, redirects = 0, _Redirects()
    while True:
        before, begin = _size(part), time.monotonic()
        try:
            if _continue(url, part, redirects, limit, progress, timeout):
                return redirects.checksum
            reason = "the connection was cut"
        except urllib.error.HTTPError as error:
            raise _Refused(f"HTTP {error.code} {error.reason}") from error
        except urllib.error.URLError as error:
            raise _Silent(str(error.reason)) from error
        except ValueError as error:
            raise _Silent(str(error)) from error  # not a URL
        except http.client.HTTPException as error:
            reason = f"{type(error).__name__}: {error}"
        except OSError as error:
            if error.errno in disk.REMEDIES or error.filename is not None:
                raise  # a matter of this machine
            reason = f"{type(error).__name__}: {error}"
        gained, elapsed = _size(part) - before, time.monotonic() - begin
        brought = gained > 0 and (elapsed < timeout / 2 or gained > SLOWEST * elapsed)
        idle = 0 if brought else idle + 1
        if idle == ATTEMPTS:
            raise _Refused(f"{reason} at byte {_size(part)}, {ATTEMPTS} times in a row")


def _continue(
    url: str,
    part: Path,
    redirects: "_Redirects",
    limit: int,
    progress: bool,
    timeout: float,
) -> bool:
    """Append what `part` lacks; whether the file is complete after that."""
    have = _size(part)
    headers = {"User-Agent": "chunkrl"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        response = _ask(urllib.request.Request(url, headers=headers), redirects, timeout)
    except urllib.error.HTTPError as error:
        with error:
            if error.code != http.client.REQUESTED_RANGE_NOT_SATISFIABLE or not have:
                raise
            if error.headers.get("Content-Range", "").endswith(f"/{have}"):
                return True  # nothing is missing
        part.unlink()  # longer than the file
        return False
    with response:
        appends = response.status == http.client.PARTIAL_CONTENT
        have = have if appends else 0  # a server without ranges sends the whole file again
        if response.headers.get_content_type() == "text/html":
            raise _Refused("it answers with a web page, not a file (a login, a proxy?)")
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        if total and total > limit:
            raise _Refused(f"{memory.size(total)} are more than this dataset can have")
        if total:
            disk.require_room(part.parent, total - have, 0, part.stem)
        begin, received = time.monotonic(), 0
        block = response.read1(BLOCK)
        if not have and block[:1] not in (b"P", b""):  # before it replaces what was fetched
            raise _Refused("what it gave is no dataset (no npz archive but another kind of file)")
        flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if appends else os.O_TRUNC)
        look = {"unit": "B", "unit_scale": True, "disable": not progress}
        bar = tqdm(desc=part.stem, initial=have, total=total, **look)
        with bar, open(os.open(part, flags | os.O_NOFOLLOW, 0o666), "wb") as file:
            while block:
                bar.update(file.write(block))
                received += len(block)
                if have + received > limit:
                    raise _Refused(f"more than the {memory.size(limit)} this dataset can have")
                elapsed = time.monotonic() - begin
                if elapsed > timeout:
                    if received < SLOWEST * elapsed:
                        raise _Refused(f"it gives {received / elapsed:.0f} bytes a second")
                    begin, received, have = time.monotonic(), 0, have + received
                block = response.read1(BLOCK)
    return total is None or _size(part) == total


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects that stay on the web, and remembers the file's SHA-256 if one tells it.

    Hugging Face tells it (and git-lfs made it the name of the file) on the way to its storage.
    """

    checksum: str | None = None

    def redirect_request(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: str):
        if not newurl.startswith("https://" if req.full_url.startswith("https:") else WEB):
            fp.close()
            raise _Refused(f"it redirects to {newurl}")
        self.look(headers)
        return super().redirect_request(req, fp, code, msg, headers, newurl)

    def look(self, headers: Any) -> None:
        found = SHA256.fullmatch(headers.get("X-Linked-Etag", ""))
        self.checksum = found[1] if found else self.checksum


def _ask(request: urllib.request.Request, redirects: _Redirects, timeout: float) -> Any:
    """The response, once its headers are there; a thread asks, as a socket's limit is per byte."""
    if not request.full_url.startswith(WEB):
        raise ValueError(f"{request.full_url} is no http or https address")
    answers, late = queue.SimpleQueue(), threading.Event()
    opener = urllib.request.build_opener(redirects)

    def ask() -> None:
        try:
            answer = opener.open(request, timeout=timeout)
        except Exception as error:
            answer = error
        if late.is_set() and not isinstance(answer, Exception):
            answer.close()
        answers.put(answer)

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=2 * timeout)  # connecting may take one of them
    except queue.Empty:
        late.set()
        raise urllib.error.URLError(f"no answer within {2 * timeout:.0f} seconds") from None
    if isinstance(answer, Exception):
        raise answer
    redirects.look(answer.headers)
    return answer


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0
