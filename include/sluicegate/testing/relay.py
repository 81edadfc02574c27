"""A way to a server that can be cut: what is behind it is away then, for those who come this way and for nobody else."""

import contextlib
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

CHUNK = 1 << 16
Address = tuple[str, int]
Heard = Callable[[bytes], None]


class Relay:
    """Hands on bytes between an address of this machine and a server.

    Parameters
    ----------
    to : the server.
    host : where it is reached from; loopback unless others than this machine shall come this way.
    """

    def __init__(self, to: Address, host: str = "127.0.0.1") -> None:
        self._to, self.host = to, host
        self._listener = socket.create_server((host, 0))
        self.port = int(self._listener.getsockname()[1])
        self._open: set[socket.socket] = set()
        self._away, self._over = False, False
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over = True
        _end(self._listener)
        self._break()
        for thread in list(self._threads):
            thread.join()
        self._listener.close()

    def cut(self) -> None:
        """Every connection breaks, and so does each new one."""
        self._away = True
        self._break()

    def mend(self) -> None:
        """New connections are carried again."""
        self._away = False

    def heard(self, client: Address) -> tuple[Heard, Heard]:
        """Called with what goes to the server, and with what comes back, before it is handed on."""
        return _nothing, _nothing

    def _break(self) -> None:
        for one in list(self._open):
            _end(one)

    def _accept(self) -> None:
        while not self._over:
            try:
                near, client = self._listener.accept()
            except OSError:
                return
            carrier = threading.Thread(target=self._carry, args=(near, client), daemon=True)
            self._threads.append(carrier)
            carrier.start()

    def _carry(self, near: socket.socket, client: Address) -> None:
        with near, contextlib.suppress(OSError), socket.create_connection(self._to) as far:
            self._open |= {near, far}
            try:
                if self._away or self._over:
                    return
                there, back = self.heard(client)
                way = threading.Thread(target=_pump, args=(near, far, there), daemon=True)
                way.start()
                _pump(far, near, back)
                way.join()
            finally:
                self._open -= {near, far}


def _pump(source: socket.socket, sink: socket.socket, heard: Heard) -> None:
    """Until either side ends; then neither goes on."""
    with contextlib.suppress(OSError):
        while content := source.recv(CHUNK):
            heard(content)
            sink.sendall(content)
    _end(source)
    _end(sink)


def _end(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)


def _nothing(_: bytes) -> None:
    return
