"""Fetch OGBench's official files: from several mirrors, resumed after cuts, checked."""

import difflib
import http.client
import os
import re
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterable
from pathlib import Path

from tqdm import tqdm

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
    an interruption continues there.  It gets its name only when the archive is whole (checksums)
    and `load` accepts it.  `timeout` is in seconds.  Raises DataError listing what was tried.
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
            if not file.exists():
                _fetch(file, file.relative_to(root).as_posix(), dead, progress, timeout)
    return target


def _require_known(name: str) -> None:
    """Raise ConfigError, with the nearest names, unless OGBench names a state-based set so."""
    from chunkrl.envs.ogbench import tasks

    known = sorted({tasks.get(task).dataset for task in tasks.names()})
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else f"names look like {known[0]}"
        raise ConfigError(f"OGBench has no state-based dataset {name!r}; {hint}")


def _fetch(file: Path, name: str, dead: dict[str, str], progress: bool, timeout: float) -> None:
    """One file, from the first mirror that gives a whole one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f"{file.name}.part")
    tried = []
    for mirror in mirrors():
        url = f"{mirror}/{name}"
        try:
            if mirror in dead:
                raise _Refused(dead[mirror])
            _obtain(url, part, progress, timeout)
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


def _obtain(url: str, part: Path, progress: bool, timeout: float) -> None:
    """A whole and valid file under the name `part`."""
    continued = part.exists()
    _transfer(url, part, progress, timeout)
    damage = _damage(part)
    if damage and continued:  # perhaps pieces of two different files: once more from the start
        part.unlink()
        _transfer(url, part, progress, timeout)
        damage = _damage(part)
    if damage:
        part.unlink()
        raise _Refused(f"what it gave is no dataset ({damage})")


def _damage(part: Path) -> str | None:
    """What is wrong with the archive, if anything: a checksum, or what `load` objects to."""
    try:
        with zipfile.ZipFile(part) as archive:
            if broken := archive.testzip():
                return f"checksum of {broken}"
        load(part)
    except Exception as error:  # zipfile answers damage with a dozen types
        return str(error)
    return None


def _transfer(url: str, part: Path, progress: bool, timeout: float) -> None:
    """Fetch until nothing is missing, through any number of cuts that still bring new bytes."""
    idle = 0
    while True:
        before = _size(part)
        try:
            if _continue(url, part, progress, timeout):
                return
            reason = "the connection was cut"
        except urllib.error.HTTPError as error:
            raise _Refused(f"HTTP {error.code} {error.reason}") from error
        except urllib.error.URLError as error:
            raise _Silent(str(error.reason)) from error
        except ValueError as error:
            raise _Silent(str(error)) from error  # not a URL
        except (OSError, http.client.HTTPException) as error:
            reason = f"{type(error).__name__}: {error}"
        idle = 0 if _size(part) > before else idle + 1
        if idle == ATTEMPTS:
            raise _Refused(f"{reason} at byte {_size(part)}, {ATTEMPTS} times in a row")


def _continue(url: str, part: Path, progress: bool, timeout: float) -> bool:
    """Append what `part` lacks; whether the file is complete after that."""
    have = _size(part)
    headers = {"User-Agent": "chunkrl"} | ({"Range": f"bytes={have}-"} if have else {})
    request = urllib.request.Request(url, headers=headers)
    try:
        response = urllib.request.urlopen(request, timeout=timeout)
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
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        with (
            open(part, "ab" if appends else "wb") as file,
            tqdm(
                desc=part.stem,
                initial=have,
                total=total,
                unit="B",
                unit_scale=True,
                disable=not progress,
            ) as bar,
        ):
            while block := response.read1(BLOCK):
                bar.update(file.write(block))
    return total is None or _size(part) == total


def _size(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0
