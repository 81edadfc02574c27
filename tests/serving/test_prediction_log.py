"""The log never holds up an answer, tells what it lost, and keeps lines whole."""

import os
import time
from pathlib import Path

import pytest

from sluicegate.serving.prediction_log import PredictionLog
from sluicegate.testing.waiting import wait_until


def content(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.glob("*.jsonl")))


class Told(list[str]):
    """Sentences that the log told."""


def test_lines_are_on_disk_within_a_tenth_of_a_second(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path, Told().append)
    log.start()
    time.sleep(0.07)
    log.append(b'{"a":1}\n')
    begun = time.monotonic()
    wait_until(lambda: content(tmp_path) == b'{"a":1}\n', within=2)
    assert time.monotonic() - begun < 0.5  # 0.1 on an idle machine
    log.close()
    assert log.written == 1


def test_closing_writes_what_is_queued(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path, Told().append, flush_every=60)
    log.start()
    for number in range(1000):
        log.append(b"%d\n" % number)
    log.close()
    assert content(tmp_path).split() == [b"%d" % n for n in range(1000)]


def test_a_full_queue_drops_counts_and_tells(tmp_path: Path) -> None:
    told = Told()
    log = PredictionLog(tmp_path, told.append, most_queued_bytes=100, flush_every=60)
    log.start()
    for _ in range(30):
        log.append(b"123456789\n")
    log.close()
    assert (log.written, log.dropped) == (10, 20)
    assert content(tmp_path) == b"123456789\n" * 10
    assert told == ["20 prediction log lines were dropped (the queue is full): check the disk"]


def test_room_in_the_queue_comes_back_after_a_flush(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path, Told().append, most_queued_bytes=20)
    log.start()
    for number in range(1, 6):
        log.append(b"123456789\n")
        wait_until(lambda number=number: log.written == number)
    log.close()
    assert log.dropped == 0


def test_a_new_hour_begins_a_new_file_named_by_utc(tmp_path: Path) -> None:
    now = [1_372_681_800.0]
    log = PredictionLog(tmp_path, Told().append, clock=lambda: now[0])
    log.start()
    log.append(b"one\n")
    wait_until(lambda: log.written == 1)
    now[0] += 3600
    log.append(b"two\n")
    log.close()
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {
        f"20130701T12-{os.getpid()}.jsonl": b"one\n",
        f"20130701T13-{os.getpid()}.jsonl": b"two\n",
    }


def test_after_a_torn_line_the_next_one_stands_on_its_own(tmp_path: Path) -> None:
    (tmp_path / f"20130701T12-{os.getpid()}.jsonl").write_bytes(b'whole\n{"half')
    log = PredictionLog(tmp_path, Told().append, clock=lambda: 1_372_681_800.0)
    log.start()
    log.append(b"next\n")
    log.close()
    assert content(tmp_path) == b'whole\n{"half\nnext\n'


def test_a_disk_that_refuses_loses_lines_loudly_and_is_tried_again(tmp_path: Path) -> None:
    hour, told = [1_372_681_800.0], Told()
    log = PredictionLog(tmp_path / "log", told.append, clock=lambda: hour[0])
    log.start()
    (tmp_path / "log" / f"20130701T13-{os.getpid()}.jsonl").mkdir()  # in the way of the next hour's file
    hour[0] += 3600
    log.append(b"lost\n")
    wait_until(lambda: log.dropped == 1)
    wait_until(lambda: told)
    hour[0] += 3600
    log.append(b"kept\n")
    log.close()
    assert (log.dropped, log.written) == (1, 1)
    assert "cannot be written" in told[0]
    assert (tmp_path / "log" / f"20130701T14-{os.getpid()}.jsonl").read_bytes() == b"kept\n"


def test_a_folder_that_cannot_be_made_is_known_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        PredictionLog(tmp_path / "file" / "log", Told().append)
