import errno
import hashlib
import logging
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from variability.errors import UserError
from variability.io import download_cache
from variability.io.fetcher import Fetcher
from variability.io.files import read_json, write_json
from variability.stages.download import download

BODY = bytes(range(256)) * 4000
OTHER = bytes(reversed(range(256))) * 4000


def sha256(content=BODY):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def md5(content=BODY):
    return "md5:" + hashlib.md5(content).hexdigest()


class Server:
    """A web server with one file whose next answers can be made to fail: each request uses up one fault."""

    def __init__(self):
        self.body, self.tag, self.ranges = BODY, '"one"', True
        self.faults, self.requests = [], []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.answer(self)

            def log_message(self, *_):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/data/file.bin"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def answer(self, request):
        requested = request.headers.get("Range")
        self.requests.append(requested)
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, int):
            request.send_error(fault)
            return
        start = 0
        if requested and self.ranges and request.headers.get("If-Range", self.tag) == self.tag:
            start = int(requested.removeprefix("bytes=").removesuffix("-"))
        if start >= len(self.body):
            request.send_response(416)
            request.send_header("Content-Range", f"bytes */{len(self.body)}")
            request.end_headers()
            return
        content = self.body[start:]
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(self.body) - 1}/{len(self.body)}")
        if self.tag:
            request.send_header("ETag", self.tag)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content[: len(content) // 2] if fault == "drop" else content)


@pytest.fixture
def server():
    made = Server()
    yield made
    made.http.shutdown()
    made.http.server_close()


def fetcher(**settings):
    return Fetcher(**({"retries": 2, "pause": 0.001, "timeout": 5.0, "progress": False} | settings))


def files_in(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_file_is_fetched_whole_and_nothing_else_is_left(server, tmp_path):
    fetcher().fetch(server.url, tmp_path / "new" / "got.bin", sha256())
    assert (tmp_path / "new" / "got.bin").read_bytes() == BODY
    assert files_in(tmp_path) == ["got.bin"]


def test_a_dropped_connection_is_resumed_where_it_broke(server, tmp_path):
    server.faults = ["drop", "drop"]
    fetcher().fetch(server.url, tmp_path / "got.bin")
    assert (tmp_path / "got.bin").read_bytes() == BODY
    half = len(BODY) // 2
    assert server.requests == [None, f"bytes={half}-", f"bytes={half + half // 2}-"]
    assert files_in(tmp_path) == ["got.bin"]


def test_a_server_without_ranges_sends_the_whole_file_again(server, tmp_path):
    server.ranges, server.faults = False, ["drop"]
    fetcher().fetch(server.url, tmp_path / "got.bin", sha256())
    assert (tmp_path / "got.bin").read_bytes() == BODY


def test_without_a_tag_or_a_checksum_nothing_is_spliced(server, tmp_path):
    server.tag, server.faults = None, ["drop"]
    fetcher().fetch(server.url, tmp_path / "got.bin")
    assert (tmp_path / "got.bin").read_bytes() == BODY
    assert server.requests == [None, None]


def test_a_file_that_changed_since_the_first_half_is_not_spliced(server, tmp_path):
    cache = tmp_path / "cache"
    server.faults = ["drop"]
    with pytest.raises(UserError, match="the connection ended"):
        fetcher(retries=0, cache=cache).fetch(server.url, tmp_path / "got.bin")
    server.body, server.tag = OTHER, '"two"'
    fetcher(cache=cache).fetch(server.url, tmp_path / "got.bin")
    assert (tmp_path / "got.bin").read_bytes() == OTHER


def test_a_partial_file_stays_in_the_cache_for_the_next_job(server, tmp_path):
    server.faults = ["drop"]
    with pytest.raises(UserError, match=f"the connection ended after {len(BODY) // 2} of {len(BODY)} bytes"):
        fetcher(retries=0, cache=tmp_path / "cache").fetch(server.url, tmp_path / "got" / "got.bin", sha256())
    assert files_in(tmp_path / "got") == []
    fetcher(cache=tmp_path / "cache").fetch(server.url, tmp_path / "got" / "got.bin", sha256())
    assert server.requests[1] == f"bytes={len(BODY) // 2}-"
    assert (tmp_path / "got" / "got.bin").read_bytes() == BODY
    assert not list((tmp_path / "cache").glob("*.part*"))


@pytest.mark.parametrize("checksum", [sha256(), sha256()[:15], md5(), None], ids=["sha256", "start", "md5", "none"])
def test_a_cached_file_is_neither_downloaded_nor_stored_twice(server, tmp_path, checksum):
    for folder in ("first", "second"):
        fetcher(cache=tmp_path / "cache").fetch(server.url, tmp_path / folder / "got.bin", checksum)
        shutil.rmtree(tmp_path / "first", ignore_errors=True)
    got = tmp_path / "second" / "got.bin"
    assert got.read_bytes() == BODY
    assert len(server.requests) == 1
    assert any(each.samefile(got) for each in (tmp_path / "cache").iterdir())


def test_the_record_of_a_partial_file_that_a_killed_job_left_is_removed(server, tmp_path):
    cache = tmp_path / "cache"
    fetcher(cache=cache).fetch(server.url, tmp_path / "got.bin", sha256())
    partial = download_cache.DownloadCache(cache).partial_path(server.url, server.url.rpartition("/")[2])
    record = partial.with_name(f"{partial.name}.json")
    record.write_text("{}")
    fetcher(cache=cache).fetch(server.url, tmp_path / "again.bin", sha256())
    assert not record.exists()


def test_a_data_set_whose_outputs_were_deleted_is_restored_without_network(server, tmp_path):
    options = {"url": server.url, "sha256": sha256().removeprefix("sha256:")}
    for _ in range(2):
        shutil.rmtree(tmp_path / "data", ignore_errors=True)
        manifest = tmp_path / "data" / "manifest.json"
        download("npz", options, tmp_path / "data" / "files", manifest, fetcher(cache=tmp_path / "cache"))
        assert read_json(manifest)["files"] == {"data.npz": options["sha256"]}
    assert len(server.requests) == 1


@pytest.mark.parametrize("checksum", [sha256(), None], ids=["checked", "unchecked"])
def test_a_cached_file_that_was_changed_is_downloaded_again(server, tmp_path, checksum):
    fetcher(cache=tmp_path / "cache").fetch(server.url, tmp_path / "got.bin", checksum)
    (tmp_path / "got.bin").write_bytes(b"edited, and with it the file it is linked to")
    fetcher(cache=tmp_path / "cache").fetch(server.url, tmp_path / "again.bin", checksum)
    assert (tmp_path / "again.bin").read_bytes() == BODY
    assert len(server.requests) == 2


def test_a_cached_file_is_not_used_for_another_checksum_or_address(server, tmp_path):
    fetcher(cache=tmp_path / "cache").fetch(server.url, tmp_path / "got.bin")
    fetcher(cache=tmp_path / "cache").fetch(server.url + "?other", tmp_path / "got.bin")
    server.body = OTHER
    fetcher(cache=tmp_path / "cache").fetch(server.url, tmp_path / "got.bin", sha256(OTHER))
    assert (tmp_path / "got.bin").read_bytes() == OTHER
    assert len(server.requests) == 3


def test_without_hard_links_a_cached_file_is_copied(server, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EXDEV, "another file system")

    monkeypatch.setattr(download_cache.os, "link", refuse)
    for name in ("a.bin", "b.bin"):
        fetcher(cache=tmp_path / "cache").fetch(server.url, tmp_path / name, sha256())
        assert (tmp_path / name).read_bytes() == BODY
    assert len(server.requests) == 1


def test_the_oldest_files_of_a_full_cache_are_removed(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download_cache, "MAX_BYTES", 2 * len(BODY))
    for name in "abc":
        fetcher(cache=tmp_path / "cache").fetch(f"{server.url}?{name}", tmp_path / name)
    assert sum(path.is_file() for path in (tmp_path / "cache").iterdir()) == 4, "two files, each with its record"
    for name in "bca":
        fetcher(cache=tmp_path / "cache").fetch(f"{server.url}?{name}", tmp_path / name)
    assert len(server.requests) == 4


def test_a_failed_job_removes_unchecked_files_from_the_cache_and_no_others(server, tmp_path):
    for _ in range(2):
        with pytest.raises(RuntimeError), fetcher(cache=tmp_path / "cache") as fetching:
            fetching.fetch(server.url, tmp_path / "checked.bin", sha256())
            fetching.fetch(server.url, tmp_path / "page.html")
            raise RuntimeError
        (tmp_path / "checked.bin").unlink()
    assert len(server.requests) == 3


@pytest.mark.parametrize("part", [BODY, BODY + b"more", OTHER[:1000]], ids=["complete", "too long", "of another file"])
def test_a_partial_file_of_any_content_ends_in_the_right_file(server, tmp_path, part):
    (tmp_path / "got.bin.part").write_bytes(part)
    write_json(tmp_path / "got.bin.part.json", {"validator": server.tag})
    fetcher().fetch(server.url, tmp_path / "got.bin", sha256())
    assert (tmp_path / "got.bin").read_bytes() == BODY
    assert files_in(tmp_path) == ["got.bin"]


def test_a_transient_server_error_is_retried(server, tmp_path):
    server.faults = [500, 503]
    fetcher().fetch(server.url, tmp_path / "got.bin", sha256())
    assert (tmp_path / "got.bin").read_bytes() == BODY


def test_a_lasting_server_error_names_the_address_and_the_mirrors(server, tmp_path):
    server.faults = [503] * 9
    with pytest.raises(UserError, match="HTTP 503") as raised:
        fetcher().fetch(server.url, tmp_path / "got.bin")
    assert all(part in str(raised.value) for part in (server.url, "tried 3 times", "VARIABILITY_MIRROR", "mirrors:"))
    assert files_in(tmp_path) == []


def test_a_missing_file_is_requested_only_once(server, tmp_path):
    server.faults = [404]
    with pytest.raises(UserError, match="HTTP 404"):
        fetcher().fetch(server.url, tmp_path / "got.bin")
    assert server.requests == [None]
    assert files_in(tmp_path) == []


def test_an_unreachable_host_names_the_address_and_the_mirror(tmp_path, server):
    server.http.server_close()
    with pytest.raises(UserError) as raised:
        fetcher().fetch(server.url, tmp_path / "got.bin")
    assert server.url in str(raised.value)
    assert "VARIABILITY_MIRROR" in str(raised.value)
    assert files_in(tmp_path) == []


def test_a_wrong_checksum_leaves_no_file_and_shows_both_digests(server, tmp_path):
    with pytest.raises(UserError) as raised:
        fetcher().fetch(server.url, tmp_path / "got.bin", sha256(OTHER))
    assert sha256()[7:] in str(raised.value)
    assert sha256(OTHER)[7:] in str(raised.value)
    assert files_in(tmp_path) == []


def test_a_file_that_was_there_survives_a_failed_fetch(server, tmp_path):
    (tmp_path / "got.bin").write_bytes(b"old")
    with pytest.raises(UserError):
        fetcher().fetch(server.url, tmp_path / "got.bin", sha256(OTHER))
    assert (tmp_path / "got.bin").read_bytes() == b"old"


def test_a_file_that_is_there_already_is_not_fetched_again(server, tmp_path):
    (tmp_path / "got.bin").write_bytes(BODY)
    fetcher().fetch(server.url, tmp_path / "got.bin", sha256())
    assert server.requests == []


def test_the_first_digits_of_a_sha256_suffice(server, tmp_path):
    fetcher().fetch(server.url, tmp_path / "got.bin", sha256()[:15])
    with pytest.raises(UserError, match="not the file expected"):
        fetcher().fetch(server.url, tmp_path / "other.bin", sha256(OTHER)[:15])


@pytest.mark.parametrize("text", ["sha256:abc", "md5:0123456789", "sha1:" + "0" * 40, "0" * 64])
def test_a_checksum_of_unknown_form_is_refused(tmp_path, text):
    with pytest.raises(UserError, match="checksum"):
        fetcher().fetch("http://127.0.0.1/file", tmp_path / "got.bin", text)


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/file.bin", "data:text/plain,hello", "s3://bucket/file.bin"])
def test_other_kinds_of_address_are_refused(tmp_path, url):
    with pytest.raises(UserError, match="only http, https and file"):
        fetcher().fetch(url, tmp_path / "got.bin")


def test_a_file_in_a_mirror_is_not_downloaded(server, tmp_path):
    (tmp_path / "mirror" / "deep").mkdir(parents=True)
    (tmp_path / "mirror" / "deep" / "file.bin").write_bytes(BODY)
    fetcher(mirrors=[tmp_path / "mirror"]).fetch(server.url, tmp_path / "got.bin", sha256())
    assert (tmp_path / "got.bin").read_bytes() == BODY
    assert server.requests == []


def test_the_checksum_decides_between_mirror_files_of_one_name(server, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    for name, content in (("a", OTHER), ("b", BODY)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file.bin").write_bytes(content)
    mirrored = fetcher(mirrors=[tmp_path / "a", tmp_path / "b"])
    mirrored.fetch(server.url, tmp_path / "got.bin", sha256())
    assert server.requests == []
    assert f"{tmp_path / 'a' / 'file.bin'} is not the requested file" in caplog.text
    mirrored.fetch(server.url, tmp_path / "got.bin")
    assert server.requests == [None], "without a checksum only the address identifies the file"


def test_a_mirror_file_with_another_checksum_is_ignored(server, tmp_path):
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "file.bin").write_bytes(OTHER)
    fetcher(mirrors=[tmp_path / "mirror"]).fetch(server.url, tmp_path / "got.bin", sha256())
    assert (tmp_path / "got.bin").read_bytes() == BODY


def test_a_mirror_is_also_searched_by_the_filename_argument(tmp_path):
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "renamed.bin").write_bytes(BODY)
    mirrored = fetcher(mirrors=[tmp_path / "mirror"])
    mirrored.fetch("https://nowhere.invalid/file.bin", tmp_path / "got.bin", filename="renamed.bin")
    assert (tmp_path / "got.bin").read_bytes() == BODY


def test_a_file_address_is_copied_and_checked(tmp_path):
    source = tmp_path / "a file.bin"
    source.write_bytes(BODY)
    fetcher().fetch(source.as_uri(), tmp_path / "got.bin", sha256())
    assert (tmp_path / "got.bin").read_bytes() == BODY
    with pytest.raises(UserError, match="not the file expected"):
        fetcher().fetch(source.as_uri(), tmp_path / "other.bin", sha256(OTHER))
    with pytest.raises(UserError, match="no such file"):
        fetcher().fetch((tmp_path / "absent").as_uri(), tmp_path / "other.bin")
    assert files_in(tmp_path) == ["a file.bin", "got.bin"]


def test_jobs_that_download_one_file_at_the_same_time_make_one_request(server, tmp_path):
    def fetch(name):
        fetcher(cache=tmp_path / "cache").fetch(server.url, tmp_path / name, sha256())

    threads = [threading.Thread(target=fetch, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.requests == [None]
    assert all((tmp_path / name).read_bytes() == BODY for name in "abcd")


def test_a_short_download_prints_nothing(server, tmp_path, capfd):
    fetcher(progress=True).fetch(server.url, tmp_path / "got.bin")
    captured = capfd.readouterr()
    assert captured.out + captured.err == ""


def test_with_a_filename_and_no_checksum_the_name_in_the_url_is_not_searched(tmp_path):
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "model.safetensors").write_bytes(b"of another model")
    request = ("hub://x/model.safetensors", tmp_path / "got", None, "net.safetensors")
    with pytest.raises(UserError, match="only http, https and file"):
        fetcher(mirrors=[tmp_path / "mirror"]).fetch(*request)
    (tmp_path / "mirror" / "net.safetensors").write_bytes(b"the one")
    fetcher(mirrors=[tmp_path / "mirror"]).fetch(*request)
    assert (tmp_path / "got").read_bytes() == b"the one"
