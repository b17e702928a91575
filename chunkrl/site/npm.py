"""What pages need that is not Python, from packages of npm: fetched when the pages are made."""

import base64
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from chunkrl.errors import ConfigError

SECONDS = 300  # that npm may take


def files(package: str, version: str, sha512: str, names: tuple[str, ...]) -> dict[str, bytes]:
    """The files `names` of one version of an npm package, whose archive has this SHA-512 (base64).

    npm keeps what it has fetched, so that only the first call needs the network.  Raises
    ConfigError, with what to do, where npm is not installed, fails, or gives something else.
    """
    npm, what = shutil.which("npm"), f"{package} {version}"
    if npm is None:
        raise ConfigError(
            f"{what} comes from npm, which is not here: install Node.js, which brings it, and"
            " repeat the command"
        )
    with tempfile.TemporaryDirectory() as folder:
        words = [npm, "pack", f"{package}@{version}", "--prefer-offline", "--loglevel=error"]
        try:
            done = subprocess.run(
                words, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False
            )
            told = done.stderr.strip().splitlines()[:1]
        except subprocess.TimeoutExpired:
            told = [f"no answer in {SECONDS} seconds"]
        archives = list(Path(folder).glob("*.tgz"))
        if len(archives) != 1:
            cause = told[0] if told else "it says nothing"
            raise ConfigError(f"npm does not give {what} ({cause}): check the network, and repeat")
        data = archives[0].read_bytes()
        if base64.b64encode(hashlib.sha512(data).digest()).decode() != sha512:
            raise ConfigError(
                f"what npm gave as {what} is not what was published under this name: check which"
                " registry it asks (npm config get registry)"
            )
        with tarfile.open(archives[0]) as archive:
            members = {name: archive.extractfile(f"package/{name}") for name in names}
            return {name: member.read() for name, member in members.items() if member}
