"""Slow servers: each download ends in one sentence, and soon."""

import threading
import time
from types import SimpleNamespace

import pytest
from raw_server import BODY, TAG, Drip, answer, fetched, refused

from variability.io import http_download
from variability.io.transfer_pace import OutOfTime, Pace, TooSlow, within

pytestmark = pytest.mark.slow

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
