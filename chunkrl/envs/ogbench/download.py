"""Fetch OGBench's official files: from several mirrors, resumed after cuts, checked."""

import difflib
import hashlib
import http.client
import os
import queue
import re
import stat
import threading
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from chunkrl import disk, locks, memory
from chunkrl.data.dataset import load
from chunkrl.envs.ogbench import tasks
from chunkrl.envs.ogbench.files import data_dir, official_path, val_path
from chunkrl.errors import ConfigError, DataError

# The copy that OGBench's author points to, which lacks the 100M folders, comes first: the original
# host has been unreachable since 2026-08-31, and that costs a timeout.
MIRRORS = (
    "https://huggingface.co/datasets/zhouzypaul/ogbench_datasets/resolve/main",
    "https://rail.eecs.berkeley.edu/datasets/ogbench",
)
SHARDS = 100  # files in a 100M folder, 1M transitions each
BLOCK = 1 << 20  # bytes
ATTEMPTS = 3  # in a row without a single new byte, before the next mirror is asked
SLOWEST = 10_000  # bytes per second that a mirror has to give
LARGEST = 6 * 10**9  # bytes, more than any file of OGBench has: 5M steps of a humanoid
WEB = ("http://", "https://")
SHA256 = re.compile(r'(?:W/)?"?([0-9a-f]{64})"?')


class _Refused(Exception):
    """A mirror that does not give the file; the text says why."""


class _Silent(_Refused):
    """A mirror that does not answer at all."""


def _require_small(size: int) -> None:
    if size > LARGEST:
        raise _Refused(f"{memory.size(size)} or more are beyond what a dataset can have")


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

    For a 100M set, such as cube-quadruple-play-100m-v0, a folder of 100 pairs of files is filled
    (-> the folder); `shards` picks some of them.  Files that are there already are kept.

    Each file is fetched to `<file>.part`, from the first of `mirrors()` that has it; a call after
    an interruption continues there.  It gets its name only when it has the size and SHA-256 that
    the server tells (where it does) and `load` accepts it.  Answers that are too large or too slow
    for a dataset are given up; `timeout` is in seconds.  Raises DataError listing what was tried.
    """
    name = dataset if dataset.endswith("-v0") else f"{dataset}-v0"
    stem = name.replace("-100m-", "-")
    known = sorted({tasks.get(task).dataset for task in tasks.names()})
    if stem not in known:
        near = difflib.get_close_matches(stem, known, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"names look like {known[0]}"
        raise ConfigError(f"OGBench has no state-based dataset {stem!r}; {hint}")
    trains = [target := official_path(name, folder)]
    if stem != name:
        target = target.with_suffix("")
        numbers = list(range(SHARDS) if shards is None else shards)
        if not numbers or not set(numbers) <= set(range(SHARDS)):
            raise ConfigError(f"shards = {numbers}: those of {name} are 0 to {SHARDS - 1}")
        trains = [target / f"{stem}-{i:03d}.npz" for i in numbers]
    elif shards is not None:
        raise ConfigError(f"{name} is one file: only 100M sets have shards.")
    dead: dict[str, str] = {}  # mirrors that did not answer: not asked again for the next file
    for file in (file for train in trains for file in (val_path(train), train)):
        part, lock = file.with_name(f"{file.name}.part"), file.with_name(f".{file.name}.lock")
        if file.exists() and not part.exists() and not lock.exists():
            continue  # else somebody is at it, or a killed process was
        with locks.making(file, "fetches", progress):
            if file.exists():
                part.unlink(missing_ok=True)
            else:
                path = file.relative_to(data_dir(folder)).as_posix()
                _fetch(file, part, path, dead, progress, timeout)
    return target


def _fetch(
    file: Path, part: Path, path: str, dead: dict[str, str], progress: bool, timeout: float
) -> None:
    """One file, from the first mirror that gives a whole one."""
    for place in (file, part):
        if os.path.lexists(place) and not stat.S_ISREG(os.lstat(place).st_mode):
            raise DataError(f"{place} is a link or no plain file, not written to: remove it.")
    tried = []
    for mirror in mirrors():
        url = f"{mirror}/{path}"
        try:
            if mirror in dead:
                raise _Refused(dead[mirror])
            _Transfer(url, part, progress, timeout).obtain()
            return os.replace(part, file)
        except _Refused as reason:
            tried.append(f"  {url}: {reason}\n")
            if isinstance(reason, _Silent):
                dead[mirror] = str(reason)
    raise DataError(
        f"No mirror gave {file.name}:\n{''.join(tried)}Try again later (what was fetched is kept),"
        f" put the file at {file} yourself, set CHUNKRL_MIRRORS to another address, or make the"
        " data locally with `chunkrl data make`."
    )


@dataclass
class _Transfer(urllib.request.HTTPRedirectHandler):
    """One file from one mirror.

    Follows redirects that stay on the web.  Hugging Face tells the SHA-256 (which git-lfs made the
    name of the file) on the way to its storage.
    """

    url: str
    part: Path
    progress: bool
    timeout: float
    checksum: str | None = None

    @property
    def size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def obtain(self) -> None:
        """A whole and valid file under the name `part`, through any number of cuts."""
        again = self.size > 0  # perhaps pieces of two files: then once more from the start
        idle = 0
        while idle < ATTEMPTS:
            before, begin, reason = self.size, time.monotonic(), "the connection was cut"
            try:
                if self.go_on():
                    damage = self.damage()
                    if not damage:
                        return
                    self.part.unlink()
                    if not again:
                        raise _Refused(f"what it gave is no dataset ({damage})")
                    again = False
            except urllib.error.HTTPError as error:
                raise _Refused(f"HTTP {error.code} {error.reason}") from error
            except (urllib.error.URLError, ValueError) as error:  # the latter is not a URL
                raise _Silent(str(getattr(error, "reason", error))) from error
            except (http.client.HTTPException, OSError) as error:
                local = getattr(error, "errno", None) in disk.REMEDIES
                if local or getattr(error, "filename", None) is not None:
                    raise  # a matter of this machine
                reason = f"{type(error).__name__}: {error}"
            gained, elapsed = self.size - before, time.monotonic() - begin
            brought = gained > 0 and (elapsed < self.timeout / 2 or gained > SLOWEST * elapsed)
            idle = 0 if brought else idle + 1
        raise _Refused(f"{reason} at byte {self.size}, {ATTEMPTS} times in a row")

    def damage(self) -> str | None:
        """What is wrong with the file, if anything: a checksum, or what `load` objects to."""
        try:
            with open(self.part, "rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
            if self.checksum not in (None, found):
                return f"its SHA-256 begins with {found[:12]}, not {self.checksum[:12]}"
            with zipfile.ZipFile(self.part) as archive:
                unpacked = sum(member.file_size for member in archive.infolist())
            if unpacked > 4 * LARGEST:
                return f"unpacked it would have {memory.size(unpacked)}"
            load(self.part)
        except Exception as error:  # zipfile answers damage with a dozen types
            return str(error) or type(error).__name__
        return None

    def go_on(self) -> bool:
        """Append what `part` lacks; whether the file is complete after that."""
        have = self.size
        try:
            response = self.ask({"Range": f"bytes={have}-"} if have else {})
        except urllib.error.HTTPError as error:
            error.close()
            if have and error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
                return True  # nothing is missing, or there is too much: `damage` sees that
            raise
        with response:
            appends = response.status == http.client.PARTIAL_CONTENT
            have = have if appends else 0  # a server without ranges sends the whole file again
            if response.headers.get_content_type() == "text/html":
                raise _Refused("it answers with a web page, not a file (a login, a proxy?)")
            length = response.headers.get("Content-Length")
            total = have + int(length) if length else None
            if total:
                _require_small(total)
                disk.require_room(self.part.parent, total - have, 0, self.part.stem)
            begin, received = time.monotonic(), 0
            block = response.read1(BLOCK)
            if not have and block[:1] not in (b"P", b""):  # before it replaces what was fetched
                raise _Refused("what it gave is no dataset (no npz archive)")
            look = {"unit": "B", "unit_scale": True, "disable": not self.progress}
            bar = tqdm(desc=self.part.stem, initial=have, total=total, **look)
            with bar, open(self.part, "ab" if appends else "wb") as file:
                while block:
                    bar.update(file.write(block))
                    received += len(block)
                    _require_small(have + received)
                    elapsed = time.monotonic() - begin
                    if elapsed > self.timeout:
                        if received < SLOWEST * elapsed:
                            raise _Refused(f"it gives {received / elapsed:.0f} bytes a second")
                        begin, received, have = time.monotonic(), 0, have + received
                    block = response.read1(BLOCK)
        return total is None or self.size == total

    def redirect_request(self, req: Any, fp: Any, code: Any, msg: Any, headers: Any, newurl: str):
        if not newurl.startswith("https://" if req.full_url.startswith("https:") else WEB):
            fp.close()
            raise _Refused(f"it redirects to {newurl}")
        self.look(headers)
        return super().redirect_request(req, fp, code, msg, headers, newurl)

    def look(self, headers: Any) -> None:
        found = SHA256.fullmatch(headers.get("X-Linked-Etag", ""))
        self.checksum = found[1] if found else self.checksum

    def ask(self, headers: dict[str, str]) -> Any:
        """The response, once its headers are there; a thread asks, as a socket limits each byte."""
        if not self.url.startswith(WEB):
            raise ValueError(f"{self.url} is no http or https address")
        request = urllib.request.Request(self.url, headers={"User-Agent": "chunkrl"} | headers)
        answers = queue.SimpleQueue()

        def ask() -> None:
            try:
                answers.put(urllib.request.build_opener(self).open(request, timeout=self.timeout))
            except Exception as error:
                answers.put(error)

        threading.Thread(target=ask, daemon=True).start()
        try:
            answer = answers.get(timeout=2 * self.timeout)  # connecting may take one of them
        except queue.Empty:
            raise urllib.error.URLError(f"no answer within {2 * self.timeout:.0f} s") from None
        if isinstance(answer, Exception):
            raise answer
        self.look(answer.headers)
        return answer
