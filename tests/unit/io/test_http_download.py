"""Servers that send wrongly or something else: each download ends in the right file or in one sentence."""

import gzip
import hashlib
from types import SimpleNamespace

import pytest
from raw_server import BODY, CHECKSUM, TAG, answer, fetched, refused

from variability.errors import UserError
from variability.io import http_answers, http_download
from variability.io.files import write_json

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
