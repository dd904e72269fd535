"""A headless Chromium, driven over a pipe by its own protocol: needs no driver and no package."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
#: Nothing but this machine is reached, and nothing of the person who runs the tests is used.
FLAGS = (
    "--headless=new",
    "--remote-debugging-pipe",
    "--no-sandbox",
    "--no-first-run",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    "--window-size=1200,900",
)
#: Chromium reads from file descriptor 3 and writes to 4.
LAUNCH = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.dup2(int(sys.argv[2]), 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


def find() -> str | None:
    """Return the path of a Chromium, or ``None``."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


class Chromium:
    """One browser with one tab."""

    def __init__(self, program: str, profile: Path) -> None:
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (theirs_in, theirs_out)]
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-c", LAUNCH, *map(str, ends)),
                *(program, *FLAGS, f"--user-data-dir={profile}", "about:blank"),
            ],
            pass_fds=ends,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in (theirs_in, theirs_out, *ends):
            os.close(end)
        self._buffer = b""
        self._number = 0
        self._session = ""
        self._attach()

    def _attach(self) -> None:
        target = self._send("Target.createTarget", url="about:blank")["targetId"]
        attached = self._send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        self._send("Page.enable")

    def close(self) -> None:
        """End the browser."""
        try:
            self._session = ""
            self._send("Browser.close")
            self._process.wait(timeout=20)
        except (AssertionError, OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        os.close(self._in)
        os.close(self._out)

    def open(self, url: str) -> None:
        """Go to a page and wait until it is there."""
        failed = self._send("Page.navigate", url=url).get("errorText")
        assert not failed, f"{url}: {failed}"
        self.wait("document.readyState === 'complete'")

    def js(self, expression: str) -> Any:
        """Return the value of a JavaScript expression in the page."""
        answer = self._send("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, f"{expression}: {answer}"
        return answer["result"].get("value")

    def wait(self, expression: str, within: float = 60) -> None:
        """Wait until an expression is true of a whole page; fail after so many seconds."""
        whole = f"document.readyState === 'complete' && ({expression})"
        ends = time.monotonic() + within
        while time.monotonic() < ends:
            try:
                if self.js(whole):
                    return
            except AssertionError:
                pass  # the page is being replaced
            time.sleep(0.05)
        raise AssertionError(f"not within {within} s: {expression}\n{self.text()}")

    def size(self, width: int, height: int = 900) -> None:
        """Make the window as wide as a screen, or as a phone; light, whatever the machine is."""
        self._send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 500,
        )
        light = [{"name": "prefers-color-scheme", "value": "light"}]
        self._send("Emulation.setEmulatedMedia", features=light)

    def picture(self, path: Path) -> None:
        """Store the whole page as a PNG."""
        shot = self._send("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def text(self) -> str:
        """Return what can be read on the page."""
        found: str = self.js("document.body.innerText")
        return found

    def click(self, selector: str) -> None:
        """Press the mouse on an element, as a person would."""
        chosen = f"document.querySelector({json.dumps(selector)})"
        self.wait(f"{chosen} !== null")
        self.js(f"{chosen}.scrollIntoView({{block: 'center', behavior: 'instant'}})")
        box = self.js(
            f"(b => [b.x + b.width / 2, b.y + b.height / 2])({chosen}.getBoundingClientRect())"
        )
        there = {"x": box[0], "y": box[1], "button": "left", "clickCount": 1}
        self._send("Input.dispatchMouseEvent", type="mousePressed", **there)
        self._send("Input.dispatchMouseEvent", type="mouseReleased", **there)

    def type(self, selector: str, text: str) -> None:
        """Click into a field and type."""
        self.click(selector)
        self._send("Input.insertText", text=text)

    def choose(self, selector: str, value: str) -> None:
        """Choose an option of a select element."""
        self.js(f"document.querySelector({json.dumps(selector)}).value = {json.dumps(value)}")

    def _send(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer['error']['message']}"
                result: dict[str, Any] = answer["result"]
                return result

    def _receive(self, within: float = 60) -> dict[str, Any]:
        ends = time.monotonic() + within
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._in], [], [], max(0, ends - time.monotonic()))
            assert ready, f"Chromium was silent for {within} s"
            read = os.read(self._in, 1 << 16)
            assert read, "Chromium has ended"
            self._buffer += read
        message, self._buffer = self._buffer.split(b"\0", 1)
        answer: dict[str, Any] = json.loads(message)
        return answer
