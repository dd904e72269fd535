"""A TCP proxy in front of a server, which can be stopped, frozen, black-holed or cut."""

from __future__ import annotations

import contextlib
import socket
import threading


class Proxy:
    """Passes connections on to a server; listens on a free port of 127.0.0.1 that stays its own.

    ``freeze()`` stops passing on, in both directions, until ``thaw()``; new connections are
    accepted. ``freeze("answers")`` does that to what the server says only.
    ``blackhole()`` swallows what comes and answers nothing. ``cut()`` resets the
    connections there are. ``stop()`` refuses new ones as well, until ``start()``.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._flowing = {"requests": threading.Event(), "answers": threading.Event()}
        self.thaw()
        self._listener: socket.socket | None = None
        self._lock = threading.Lock()
        self.port = 0
        #: Connections accepted so far.
        self.accepted = 0
        #: Bytes that came from clients and from the server, passed on or not.
        self.received = {"requests": 0, "answers": 0}

    def start(self) -> Proxy:
        """Listen; again on the same port as before."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(64)
        self.port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Close the port and reset all connections."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.cut()

    def cut(self) -> None:
        """Reset all connections; new ones are accepted."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                _reset(end)

    def freeze(self, *which: str) -> None:
        for name in which or self._flowing:
            self._flowing[name].clear()

    def thaw(self, *which: str) -> None:
        self._swallowing = False
        for name in which or self._flowing:
            self._flowing[name].set()

    def blackhole(self) -> None:
        self._swallowing = True

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _address = listener.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._target, timeout=10)
        except OSError:
            _reset(client)
            return
        server.settimeout(None)
        with self._lock:
            self._pairs.append((client, server))
        for way in ((client, server, "requests"), (server, client, "answers")):
            threading.Thread(target=self._pump, args=way, daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, what: str) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self.received[what] += len(data)
                while not self._flowing[what].wait(0.1) and source.fileno() != -1:
                    pass
                if not self._swallowing:
                    sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def _reset(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        end.shutdown(socket.SHUT_RDWR)
    end.close()
