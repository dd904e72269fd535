"""The processes of the demo: started, watched, started again when they die, and all ended."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

PROJECT = Path(__file__).resolve().parents[2]
MOST_FALSE_STARTS = 3
SECONDS_TO_END = 10


class DidNotStartError(Exception):
    """A process ended, again and again, before it answered."""


class Child:
    """One process that is kept running, in a process group of its own.

    ``command`` gets a port (0: any). ``answers`` looks at the child and returns its
    address, or whatever else shows that it is there; an empty string as long as it is not.
    """

    def __init__(
        self,
        name: str,
        command: Callable[[int], list[str]],
        answers: Callable[[Child], str],
        port: int = 0,
    ) -> None:
        self.name = name
        self.command = command
        self.answers = answers
        self.port = port if port and _is_free(port) else 0
        self.address = ""
        self.starts = 0
        self.next_start = 0.0
        self.log = Path()
        self.process: subprocess.Popen[bytes] | None = None

    def spawn(self, folder: Path, environment: dict[str, str]) -> None:
        self.starts += 1
        self.log = folder / f"{self.name}-{self.starts}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-u", *self.command(self.port)],
                cwd=PROJECT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def log_match(self, pattern: str) -> str:
        """Return what ``pattern`` finds in the log of the running process, or nothing."""
        found = re.search(pattern, self.log_text())
        return found.group(0) if found else ""

    def log_text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.is_file() else ""

    def kill_group(self) -> None:
        """End the process and all it has started; return when they are gone."""
        end = time.monotonic() + SECONDS_TO_END
        with suppress(ProcessLookupError, PermissionError):
            while time.monotonic() < end:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.poll()
                time.sleep(0.01)


class House:
    """All processes of the demo. Leaving the ``with`` block ends every one of them.

    Only the watching thread starts processes: Ctrl-C interrupts the main thread, and so
    can never strike between the start of a process and the note that it runs.
    """

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        self.folder = folder
        self.environment = dict(os.environ, PYTHONUNBUFFERED="1")
        self._say = say
        self._children: list[Child] = []
        self._closing = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="watcher")

    def __enter__(self) -> House:
        self._watcher.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        self._closing.set()
        self._watcher.join()
        running = [child for child in self._children if child.process]
        for child in running:
            child.process.terminate()
        self._wait_for_the_end(running)
        for child in running:
            child.kill_group()

    def start(self, child: Child, patience: float) -> str:
        """Start a process and return its address once it answers.

        Raises `DidNotStartError` after ``patience`` seconds or too many false starts.
        """
        self._children.append(child)
        end = time.monotonic() + patience
        while not child.address:
            if time.monotonic() > end or child.starts > MOST_FALSE_STARTS:
                raise DidNotStartError(f"The {child.name} did not start.")
            time.sleep(0.05)
        return child.address

    def run(self, *command: str) -> None:
        """Run ``manage.py`` with these words and wait; raise if it fails."""
        log = self.folder / f"{command[0]}.log"
        with log.open("wb") as output:
            code = subprocess.call(
                [sys.executable, "manage.py", *command],
                cwd=PROJECT,
                env=self.environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        if code:
            raise DidNotStartError(f"manage.py {' '.join(command)} ended with {code}.")

    def log_tails(self, lines: int = 15) -> str:
        """Return the end of every log, for whoever wants to know what went wrong."""
        tails = []
        for log in sorted(self.folder.glob("*.log"), key=lambda path: path.stat().st_mtime):
            text = log.read_text(errors="replace").splitlines()[-lines:]
            tails.append("\n".join([f"--- {log.name}", *text]))
        return "\n".join(tails)

    def _watch(self) -> None:
        while not self._closing.wait(0.05):
            for child in list(self._children):
                self._care_for(child)

    def _care_for(self, child: Child) -> None:
        if child.process is None:
            if time.monotonic() >= child.next_start:
                self._spawn(child)
        elif child.process.poll() is not None:
            self._bury(child)
        elif not child.address:
            child.address = child.answers(child)
            child.port = _port_of(child.address) or child.port

    def _spawn(self, child: Child) -> None:
        child.spawn(self.folder, self.environment)
        again = "started again" if child.starts > 1 else "started"
        self._say(f"{child.name} {again}, pid {child.process.pid}")

    def _bury(self, child: Child) -> None:
        self._say(f"{child.name} ended ({_how(child.process.returncode)})")
        child.kill_group()
        child.process = None
        child.next_start = time.monotonic() + min(child.starts - 1, 5)
        if not child.address:
            child.port = 0  # perhaps somebody else took the port meanwhile

    def _wait_for_the_end(self, running: list[Child]) -> None:
        end = time.monotonic() + SECONDS_TO_END
        for child in running:
            with suppress(subprocess.TimeoutExpired):
                child.process.wait(max(0, end - time.monotonic()))


def _is_free(port: int) -> bool:
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _port_of(address: str) -> int:
    found = re.search(r":(\d+)/?$", address)
    return int(found.group(1)) if found else 0


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
