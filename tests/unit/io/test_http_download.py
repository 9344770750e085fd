"""Servers that send slowly, wrongly or something else: each ends in the right file or in one sentence, and soon."""

import gzip
import hashlib
import socket
import threading
import time
from types import SimpleNamespace

import pytest

from variability.errors import UserError
from variability.io import http_answers, http_download
from variability.io.fetcher import Fetcher
from variability.io.files import write_json
from variability.io.transfer_pace import OutOfTime, Pace, TooSlow, within

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


# Slow servers ---------------------------------------------------------------------------------------------------------

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "drip",
    [
        Drip(first=answer()[:2000], then=b"x"),
        Drip(first=CHUNKED, then=b"1\r\nx\r\n"),
        Drip(first=CHUNKED + b"1\r\nx\r\n", then=b"0"),
    ],
    ids=["body", "chunks", "the size of a chunk"],
)
def test_a_body_that_drips_is_given_up_after_some_attempts_although_each_receives_bytes(server, tmp_path, drip):
    server.answers = [drip]
    start = time.monotonic()
    message = refused(server, tmp_path, "fewer than 50000 per second", least_speed=50_000, window=0.2)
    assert "tried 2 times" in message and time.monotonic() - start < 5


@pytest.mark.parametrize("first", [b"", b"HTTP/1.1 200 OK\r\nX: "], ids=["status", "header"])
def test_headers_that_drip_are_given_up(server, tmp_path, first):
    server.answers = [Drip(first=first, then=b"1")]
    start = time.monotonic()
    refused(server, tmp_path, r"no complete answer in 0\.4 s", timeout=0.1)
    assert time.monotonic() - start < 5


def test_a_slow_start_is_no_reason_to_give_up(server, tmp_path):
    server.answers = [Drip(first=answer()[:2000], then=b"x"), answer()]
    assert fetched(server, tmp_path, least_speed=50_000, window=0.2) == BODY


def test_a_server_that_closes_after_each_few_bytes_is_given_up(server, tmp_path):
    headers = b"HTTP/1.1 206 Partial\r\n" + TAG + b"Content-Range: bytes %d-255999/256000\r\n\r\nx"
    server.answers = [answer(headers=TAG)[:500], *(headers % position for position in range(400, 500))]
    refused(server, tmp_path, "tried 4 times", retries=3)
    assert len(server.requests) == 4


def test_all_attempts_together_have_a_total_time(server, tmp_path, monkeypatch):
    server.answers = [answer()[:-1]]
    monkeypatch.setattr(http_download, "_PROGRESS", -(10**9))  # Each attempt counts as progress.
    message = refused(server, tmp_path, r"it took more than 0\.0001 h; run the same command again", hours=1e-4)
    assert "downloads: {hours: ...}" in message


@pytest.mark.parametrize("first", [b"", CHUNKED], ids=["before the answer", "within the body"])
def test_the_total_time_is_the_reason_whatever_the_last_attempt_waits_for(server, tmp_path, first):
    server.answers = [Drip(first=first, then=b"")]
    refused(server, tmp_path, r"it took more than 0\.0001 h", hours=1e-4, retries=0, window=0.1, least_speed=0)


def test_the_pace_is_an_average_over_a_window_of_each_attempt():
    clock = SimpleNamespace(now=0.0)
    pace = Pace(least_speed=100, window=60, total=1000, clock=lambda: clock.now)
    for _ in range(59):  # Nothing for 59 seconds, then 6,000 bytes.
        clock.now += 1
        pace.add(0)
    clock.now += 1
    pace.add(6000)
    clock.now += 59
    pace.add(5899)
    clock.now += 1
    with pytest.raises(TooSlow, match="5899 bytes came in 60 s, fewer than 100 per second"):
        pace.check()
    pace.begin()
    pace.add(0)
    assert pace.remaining() == 880
    clock.now = 1000
    with pytest.raises(OutOfTime):
        pace.add(10**9)


def test_a_call_that_takes_too_long_is_left_alone_and_its_late_result_is_closed():
    closed, proceed = threading.Event(), threading.Event()

    def call():
        proceed.wait(5)
        return SimpleNamespace(close=closed.set)

    with pytest.raises(TimeoutError):
        within(0.01, call)
    proceed.set()
    assert closed.wait(5)
    assert within(5, lambda: 3) == 3
    with pytest.raises(KeyError):
        within(5, lambda: {}["a"])


# Headers --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "length",
    [b"", b"Content-Length: -5\r\n", b"Content-Length: many\r\n", b"Content-Length: \r\n", b"Content-Length: 1e5\r\n",
     b"Content-Length: " + b"9" * 5000 + b"\r\n", b"Content-Length: 256000, 256000\r\n"],
    ids=["missing", "negative", "a word", "empty", "a decimal", "digits", "twice"],
)  # fmt: skip
@pytest.mark.parametrize("checksum", [CHECKSUM, None], ids=["checked", "unchecked"])
def test_a_length_that_is_no_length_is_ignored(server, tmp_path, length, checksum):
    server.answers = [answer(length=length)]
    assert fetched(server, tmp_path, checksum) == BODY


def test_a_length_that_is_larger_than_the_body_is_an_error(server, tmp_path):
    server.answers = [answer(length=b"Content-Length: 256001\r\n")]
    refused(server, tmp_path, "the connection ended after 256000 of 256001 bytes", checksum=None)


def test_a_length_that_is_smaller_than_the_body_is_noticed_by_the_checksum(server, tmp_path):
    server.answers = [answer(length=b"Content-Length: 255999\r\n")]
    refused(server, tmp_path, "not the file expected")


def test_a_length_that_the_disk_has_no_room_for_is_refused_before_the_download(server, tmp_path):
    server.answers = [answer(length=b"Content-Length: 999999999999999999\r\n")]
    refused(server, tmp_path, r"need \d+ TB and the disk of .* has .* left; make room")
    assert len(server.requests) == 1


@pytest.mark.parametrize("checksum", [CHECKSUM, None], ids=["checked", "unchecked"])
@pytest.mark.parametrize("name", [b"gzip", b"x-gzip"])
def test_what_a_server_compressed_unasked_is_expanded(server, tmp_path, checksum, name):
    server.answers = [answer(gzip.compress(BODY), headers=b"Content-Encoding: %s\r\n" % name)]
    assert fetched(server, tmp_path, checksum) == BODY


def test_a_compressed_file_whose_compression_is_stated_stays_as_it_is(server, tmp_path):
    content = gzip.compress(BODY, mtime=0)
    server.answers = [answer(content, headers=b"Content-Encoding: gzip\r\n")]
    assert fetched(server, tmp_path, "sha256:" + hashlib.sha256(content).hexdigest()) == content
    server.url = server.url.replace("file.bin", "file.tar.gz")
    assert fetched(server, tmp_path, None) == content


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (b"x" * 100, b"br", "compressed by br, though it was asked not to"),
        (b"x" * 100, b"gzip", "its gzip content is damaged"),
        (gzip.compress(BODY)[:-9], b"gzip", "its gzip content is damaged"),
    ],
)
def test_a_compression_that_cannot_be_undone_is_an_error_and_nothing_is_resumed_from_it(
    server, tmp_path, content, name, message
):
    server.answers = [answer(content, headers=b"Content-Encoding: %s\r\n" % name + TAG)]
    refused(server, tmp_path, message, checksum=None)
    assert list(tmp_path.iterdir()) == []


def test_a_small_answer_does_not_expand_to_a_full_disk(server, tmp_path, monkeypatch):
    monkeypatch.setattr("variability.io.limits.HARMLESS_BYTES", 10**5)
    content = gzip.compress(b"\0" * 10**6)
    server.answers = [answer(content, headers=b"Content-Encoding: gzip\r\n")]
    refused(server, tmp_path, "expands to more than 200 times its size")


HALF = BODY[:128_000]


@pytest.mark.parametrize(
    "headers",
    [
        b"",
        b"Content-Range: bytes 0-127999/256000\r\n",
        b"Content-Range: bytes 128001-255999/256000\r\n",
        b"Content-Range: bytes 128000-100/256000\r\n",
        b"Content-Range: bytes 128000-256000/256000\r\n",
        b"Content-Range: 128000-255999/256000\r\n",
        b"Content-Range: bytes */256000\r\n",
        b"Content-Range: bytes 128000-" + b"9" * 5000 + b"/*\r\n",
        b"Content-Type: multipart/byteranges; boundary=x\r\n",
        b'Content-Range: bytes 128000-255999/256000\r\nETag: "two"\r\n',
    ],
)
@pytest.mark.parametrize("checksum", [CHECKSUM, None], ids=["checked", "unchecked"])
def test_another_part_than_the_requested_one_is_not_appended(server, tmp_path, headers, checksum):
    tag = b"" if b"ETag" in headers else TAG
    wrong = answer(b"y" * 128_000, b"206 Partial Content", tag + headers)
    server.answers = [answer(headers=TAG, length=b"Content-Length: 256000\r\n")[:-128_000], wrong, answer(headers=TAG)]
    assert fetched(server, tmp_path, checksum, retries=2) == BODY
    assert "Range: bytes=128000-" in server.requests[1] and 'If-Range: "one"' in server.requests[1]
    assert "Range" not in server.requests[2]


def test_without_a_checksum_a_part_without_the_tag_is_not_appended(server, tmp_path):
    right = answer(BODY[128_000:], b"206 Partial Content", b"Content-Range: bytes 128000-255999/256000\r\n")
    server.answers = [answer(headers=TAG)[:-128_000], right, answer(headers=TAG)]
    assert fetched(server, tmp_path, None, retries=2) == BODY
    assert len(server.requests) == 3
    server.answers = [answer(headers=TAG)[:-128_000], right]
    assert fetched(server, tmp_path, CHECKSUM) == BODY
    assert len(server.requests) == 3, "the file that is there has the checksum"


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified", b"300 Multiple Choices", b"302 Found"])
def test_another_success_is_no_file(server, tmp_path, status):
    server.answers = [answer(b"", status)]
    refused(server, tmp_path, f"HTTP {status[:3].decode()}", checksum=None)
    assert len(server.requests) == 1


def test_a_file_that_is_not_ready_yet_is_requested_again(server, tmp_path):
    server.answers = [answer(b"", b"202 Accepted"), answer()]
    assert fetched(server, tmp_path, None) == BODY


@pytest.mark.parametrize(
    "value", ["86400", "9" * 5000, "soon", "-3", "Fri, 31 Dec 9999 23:59:59 GMT", "1 Jan 99999", ""]
)
def test_a_server_does_not_decide_how_long_a_job_waits(server, tmp_path, value, monkeypatch):
    waits = []
    monkeypatch.setattr(http_download.time, "sleep", waits.append)
    server.answers = [answer(b"", b"503 Busy", f"Retry-After: {value}\r\n".encode()), answer()]
    assert fetched(server, tmp_path) == BODY
    assert len(waits) == 1 and 0 <= waits[0] <= 60


# Redirects and pages --------------------------------------------------------------------------------------------------


def redirect(target):
    return answer(b"", b"302 Found", f"Location: {target}\r\n".encode())


@pytest.mark.parametrize(
    "target",
    ["file:///etc/hostname", "ftp://127.0.0.1/x", "data:text/plain,x", "http://", "http://[::1", "http://a b/",
     "http://" + "x" * 70 + ".invalid/", "http://127.0.0.1:99999/", "//"],
)  # fmt: skip
def test_a_redirect_to_another_kind_of_address_is_refused(server, tmp_path, target):
    server.answers = [redirect(target)]
    message = refused(server, tmp_path, ".", checksum=None, retries=0)
    assert "could not fetch" in message


def test_a_redirect_in_a_circle_is_refused(server, tmp_path):
    server.answers = [redirect("/file.bin")]
    refused(server, tmp_path, "redirects", checksum=None)


def test_a_redirect_to_another_host_is_followed(server, tmp_path):
    server.answers = [redirect(server.url.replace("127.0.0.1", "localhost") + "?signed"), answer()]
    assert fetched(server, tmp_path) == BODY


def test_a_redirect_from_https_to_http_needs_a_checksum():
    answered = SimpleNamespace(status_code=200, reason="OK", url="http://x.invalid/a", headers={}, raw=None)
    download = http_download.HttpDownload()
    with pytest.raises(UserError, match=r"it redirects to http://x\.invalid/a.* no checksum"):
        download._require_success("https://x.invalid/a", answered, None)
    download._require_success("https://x.invalid/a", answered, object())
    download._require_success("http://x.invalid/a", answered, None)


@pytest.mark.parametrize("checksum", [CHECKSUM, None], ids=["checked", "unchecked"])
@pytest.mark.parametrize("page", [b"<!DOCTYPE html><p>Log in", b"\xef\xbb\xbf \n<HTML>not here"])
def test_a_web_page_is_not_the_file(server, tmp_path, page, checksum):
    server.answers = [answer(page, headers=TAG)]
    refused(server, tmp_path, "the server sent a web page", checksum, cache=tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache").iterdir() if path.is_file()]
    server.url = server.url.replace("file.bin", "page.html")
    assert fetched(server, tmp_path, None, cache=tmp_path / "cache") == page


# Damaged files of earlier attempts ------------------------------------------------------------------------------------

RECORDS = ["", "{", "[]", "null", "{}", '{"validator": 3}', '{"validator": "a\\nb"}', '{"validator": "\\u20ac"}',
           '{"validator": null, "encoding": 5}', "[" * 100_000]  # fmt: skip


@pytest.mark.parametrize("record", RECORDS, ids=lambda text: text[:30])
@pytest.mark.parametrize("checksum", [CHECKSUM, None], ids=["checked", "unchecked"])
def test_a_damaged_record_of_a_partial_file_counts_as_none(server, tmp_path, record, checksum):
    (tmp_path / "got.bin.part").write_bytes(b"y" * 1000)
    (tmp_path / "got.bin.part.json").write_text(record)
    assert fetched(server, tmp_path, checksum) == BODY
    assert "If-Range" not in server.requests[0]


@pytest.mark.parametrize("record", ["", "{", "[]", '{"sha256": ""}', '{"sha256": 3}', '{"sha256": "' + "0" * 64 + '"}'])
def test_a_damaged_record_in_the_cache_is_no_proof_of_a_file(server, tmp_path, record):
    cache = tmp_path / "cache"
    fetched(server, tmp_path, None, cache=cache)
    (entry,) = cache.glob("url-*.json")
    entry.write_text(record)
    (tmp_path / "got.bin").unlink()
    assert fetched(server, tmp_path, None, cache=cache) == BODY
    assert len(server.requests) == 2


@pytest.mark.parametrize("checksum", [CHECKSUM, None], ids=["checked", "unchecked"])
def test_an_entry_of_the_cache_that_is_empty_or_a_folder_is_replaced(server, tmp_path, checksum):
    cache = tmp_path / "cache"
    for number, damage in enumerate((lambda path: path.write_bytes(b""), lambda path: path.mkdir()), 2):
        fetched(server, tmp_path, checksum, cache=cache)
        (entry,) = cache.glob("*.whole")
        entry.unlink()
        damage(entry)
        (tmp_path / "got.bin").unlink()
        assert fetched(server, tmp_path, checksum, cache=cache) == BODY
        assert len(server.requests) == number


def test_a_partial_file_of_another_version_is_not_continued(server, tmp_path):
    (tmp_path / "got.bin.part").write_bytes(b"y" * 1000)
    write_json(tmp_path / "got.bin.part.json", {"validator": '"old"', "encoding": None})
    server.answers = [
        answer(BODY[1000:], b"206 Partial", TAG + b"Content-Range: bytes 1000-255999/256000\r\n"),
        answer(),
    ]
    assert fetched(server, tmp_path, None) == BODY


def test_headers_are_read_by_their_values_alone():
    assert http_answers.content_range({"Content-Range": " bytes 5-9/10 "}) == (5, 10)
    assert http_answers.content_range({"Content-Range": "bytes 5-9/*"}) == (5, None)
    assert http_answers.length({"Content-Length": "7", "Transfer-Encoding": "chunked"}) is None
    assert http_answers.validator({"ETag": 'W/"a"', "Last-Modified": "Mon"}) == "Mon"
    assert http_answers.encoding({"Content-Encoding": "Identity"}) is None
