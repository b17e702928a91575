"""Drives JupyterLab in headless Chromium: runs notebooks, moves sliders, measures waits."""

import json
import os
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHROMIUM_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    # Cells out of sight stay in the page, so that every explorer can be found.
    "notebook-extension/tracker": {"windowingMode": "none"},
}

# From the key press to the first animation frame in which another picture is loaded.
WATCH = """
([picture, limit]) => {
  window.__wait = null;
  const before = picture.src;
  document.addEventListener("keydown", () => {
    const start = performance.now();
    const look = (now) => {
      if (picture.src !== before && picture.complete && picture.naturalWidth > 0)
        window.__wait = performance.now() - start;
      else if (now - start < limit) requestAnimationFrame(look);
      else window.__wait = -1;
    };
    requestAnimationFrame(look);
  }, { once: true, capture: true });
}
"""
WAIT_MS = 5000.0


def unavailable() -> str:
    """Why there is no browser to drive here, or "" when there is one."""
    try:
        import playwright  # noqa: F401
    except ImportError:
        return "playwright is not installed: pip install playwright"
    if chromium() is None:
        return "no Chromium on the PATH: apt-get install chromium"
    return ""


def chromium() -> str | None:
    return (
        shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )


@contextmanager
def jupyterlab(folder: Path, state: Path) -> Iterator[str]:
    """A JupyterLab of `folder` on the loopback address; all that it writes lies in `state`.

    Yields the address with its token.
    """
    for name, values in SETTINGS.items():
        file = state / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    environment = os.environ | {
        "CHUNKRL_HOME": str(state / "home"),
        "IPYTHONDIR": str(state / "ipython"),
        "JUPYTER_CONFIG_DIR": str(state / "config"),
        "JUPYTER_RUNTIME_DIR": str(state / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(state / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(state / "workspaces"),
    }
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root",
        "--expose-app-in-browser",
        "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0",
        f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}",
        "--ServerApp.terminals_enabled=False",
    ]  # fmt: skip
    with (state / "jupyterlab.log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            _wait_until_up(f"http://127.0.0.1:{port}/api/status?token={token}", server, state)
            yield f"http://127.0.0.1:{port}/lab/tree/{{}}?token={token}&reset"
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _wait_until_up(address: str, server: subprocess.Popen, state: Path) -> None:
    for _ in range(240):
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.25)
    raise RuntimeError(
        f"JupyterLab did not start:\n{(state / 'jupyterlab.log').read_text()[-2000:]}"
    )


@contextmanager
def browser_page() -> Iterator[Any]:
    """A page of a fresh headless Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_ARGS)
        try:
            yield browser.new_page(viewport={"width": 1300, "height": 1000})
        finally:
            browser.close()


@dataclass
class Panel:
    """One explorer in a page."""

    root: Any  # the locator of its box
    waits: list[float] = field(
        default_factory=list
    )  # ms, one for each key press that moved a slider

    @property
    def picture(self) -> Any:
        return self.root.locator("img").first

    @property
    def handles(self) -> list[Any]:
        return self.root.locator(".noUi-handle").all()

    def press(self, handle: Any, key: str) -> float | None:
        """ms from pressing `key` to a new picture; None where the slider did not move."""
        page = self.root.page
        before = handle.get_attribute("aria-valuenow")
        handle.focus()
        page.evaluate(WATCH, [self.picture.element_handle(), WAIT_MS])
        page.keyboard.press(key)
        if handle.get_attribute("aria-valuenow") == before:
            return None
        page.wait_for_function("window.__wait !== null", timeout=2 * WAIT_MS)
        wait = page.evaluate("window.__wait")
        assert wait >= 0, f"the picture did not change within {WAIT_MS:.0f} ms of {key}"
        page.wait_for_timeout(60)
        self.waits.append(wait)
        return wait

    def choose(self, menu: Any, option: int) -> None:
        """Choose an option and wait for another picture; nothing where it was chosen already."""
        if menu.evaluate("menu => menu.selectedIndex") == option:
            return
        before = self.picture.get_attribute("src")
        menu.select_option(index=option)
        self.root.page.wait_for_function(
            "([picture, before]) => picture.src !== before",
            arg=[self.picture.element_handle(), before],
            timeout=WAIT_MS,
        )

    def sweep(self) -> None:
        """Move every slider to both ends, choose every option: each changes the picture."""
        menus = self.root.locator("select").all()
        assert menus or self.handles, "an explorer without controls"
        for menu in menus:
            for option in range(menu.locator("option").count()):
                self.choose(menu, option)
        for handle in self.handles:
            moved = [self.press(handle, key) for key in ("Home", "End")]
            assert any(wait is not None for wait in moved), "a slider did not move"

    def move(self) -> None:
        """Move one control, a slider where there is one: the picture changes."""
        if self.handles:
            moved = (self.press(self.handles[0], key) for key in ("Home", "End"))
            assert any(wait is not None for wait in moved), "a slider did not move"
        else:
            menu = self.root.locator("select").first
            self.choose(menu, 1 - min(1, menu.evaluate("menu => menu.selectedIndex")))

    def corners(self) -> list[float]:
        """Visit all corners, one slider at a time (a Gray code); ms for each move."""
        handles = self.handles
        for handle in handles:
            self.press(handle, "Home")
        ends, waits = [False] * len(handles), []
        for step in range(1, 2 ** len(handles)):
            index = (step & -step).bit_length() - 1
            ends[index] = not ends[index]
            wait = self.press(handles[index], "End" if ends[index] else "Home")
            assert wait is not None, "a slider did not move"
            waits.append(wait)
        return waits


def run_notebook(page: Any, address: str, timeout_s: float = 180.0) -> list[Panel]:
    """Run a notebook, answer its predictions, return its explorers; an error shown raises."""
    page.goto(address)
    page.wait_for_function(
        "window.jupyterapp && window.jupyterapp.shell.currentWidget"
        " && window.jupyterapp.shell.currentWidget.sessionContext"
        " && window.jupyterapp.shell.currentWidget.sessionContext.session"
        " && window.jupyterapp.shell.currentWidget.sessionContext.session.kernel"
        " && window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'idle'",
        timeout=60_000,
    )
    page.set_default_timeout(timeout_s * 1000)
    page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
    page.wait_for_timeout(500)  # the last output is painted
    for question in page.locator(".chunkrl-question").all():
        question.locator("input[type=text]").fill("1")
        question.get_by_role("button", name="Record my guess").click()
        question.locator(".chunkrl-explorer img").wait_for()
    complain(page)
    return [Panel(root) for root in page.locator(".chunkrl-explorer").all()]


def complain(page: Any) -> None:
    """Raise AssertionError with the text of any error that a reader would see."""
    shown = page.locator(
        ".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error'],"
        ".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr'],"
        ".chunkrl-explorer [role=alert], .chunkrl-question [role=alert],"
        " :text('Error displaying widget'), :text('Error creating widget')"
    ).all_inner_texts()
    assert not shown, "\n".join(shown)


def close_notebook(page: Any) -> None:
    """Shut the notebook's kernel down."""
    page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")


def quantiles(waits: list[float]) -> tuple[float, float]:
    """Median and 90 % point."""
    ordered = sorted(waits)
    return statistics.median(ordered), ordered[min(len(ordered) - 1, int(0.9 * len(ordered)))]
