"""A server that sends prepared bytes, right or wrong, and downloads from it."""

import hashlib
import socket
import threading
from types import SimpleNamespace

import pytest

from variability.errors import UserError
from variability.io.fetcher import Fetcher

BODY = hashlib.sha256(b"").digest() * 8000
CHECKSUM = "sha256:" + hashlib.sha256(BODY).hexdigest()
TAG = b'ETag: "one"\r\n'


def answer(body=BODY, status=b"200 OK", headers=b"", length=True):
    counted = b"Content-Length: %d\r\n" % len(body) if length is True else length or b""
    return b"HTTP/1.1 " + status + b"\r\n" + counted + headers + b"Connection: close\r\n\r\n" + body


class Drip(SimpleNamespace):
    """Bytes that are sent at once, and others that follow one by one, as often as the client listens."""


@pytest.fixture
def server():
    """A server that sends the next of its answers to each request, and the last one to all others."""
    made = SimpleNamespace(answers=[answer()], requests=[])
    listening = socket.create_server(("127.0.0.1", 0))
    made.url = f"http://127.0.0.1:{listening.getsockname()[1]}/file.bin"
    closed = threading.Event()

    def serve(connection):
        with connection:
            request = b""
            while b"\r\n\r\n" not in request:
                if not (received := connection.recv(4096)):
                    return
                request += received
            made.requests.append(request.decode())
            content = made.answers.pop(0) if len(made.answers) > 1 else made.answers[0]
            try:
                connection.sendall(content.first if isinstance(content, Drip) else content)
                while isinstance(content, Drip) and not closed.wait(0.01):
                    connection.sendall(content.then)
            except OSError:
                return

    def accept():
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    yield made
    closed.set()
    listening.close()


def fetcher(**settings):
    return Fetcher(**({"retries": 1, "pause": 0.001, "timeout": 5.0, "progress": False} | settings))


def refused(server, tmp_path, message, checksum=CHECKSUM, **settings):
    """Fetch and expect an error with the address that leaves no file; return its text."""
    with pytest.raises(UserError, match=message) as raised:
        fetcher(**settings).fetch(server.url, tmp_path / "got.bin", checksum)
    assert server.url in str(raised.value) and not (tmp_path / "got.bin").exists()
    return str(raised.value)


def fetched(server, tmp_path, checksum=CHECKSUM, **settings):
    fetcher(**settings).fetch(server.url, tmp_path / "got.bin", checksum)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["got.bin"]
    return (tmp_path / "got.bin").read_bytes()
