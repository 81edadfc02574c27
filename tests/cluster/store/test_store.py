"""What only a real S3 store on a network can get wrong: races of processes, uploads cut off, pages, sizes, names, outages."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import s3fs

from sluicegate.adapters.object_store import ObjectStore
from sluicegate.adapters.object_store.drivers import S3Objects
from sluicegate.commands import UNAVAILABLE
from sluicegate.errors import InputError, RefusedError, UnavailableError
from sluicegate.settings import Settings
from sluicegate.testing.waiting import wait_until

COMMITTER = """
import pathlib, sys
from sluicegate.adapters.object_store import ObjectStore
from sluicegate.settings import Settings
url, home, folder = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
store = ObjectStore(Settings(home=home, store_url=url))
store.results.find("other")
print("ready", flush=True)
sys.stdin.readline()
found = store.results.commit("k", folder)
print((found / "result.json").read_text(), flush=True)
"""
LARGE = 128 << 20
"""Bytes: many parts; what a larger file needs no more memory for."""


@pytest.fixture
def processes() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def committer(stack: ExitStack, url: str, home: Path, folder: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", COMMITTER, url, str(home), str(folder)]
    process = stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
    stack.callback(process.kill)
    return process


def go(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def said(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def objects_below(url: str) -> list[str]:
    found: list[str] = s3fs.S3FileSystem(use_listings_cache=False).find(url)
    return found


def unfinished(url: str) -> list[str]:
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    told = s3fs.S3FileSystem().call_s3("list_multipart_uploads", Bucket=bucket, Prefix=prefix)
    return [one["Key"] for one in told.get("Uploads", [])]


def test_of_four_processes_that_commit_at_once_one_wins_for_all(url: str, tmp_path: Path, processes: ExitStack) -> None:
    writers = []
    for number in range(4):
        folder = tmp_path / f"work{number}"
        folder.mkdir()
        (folder / "result.json").write_text(str(number))
        writers.append(committer(processes, url, tmp_path / f"home{number}", folder))
    assert [said(writer) for writer in writers] == ["ready"] * 4
    for writer in writers:
        go(writer)
    assert len({said(writer) for writer in writers}) == 1
    assert len(objects_below(url)) == 2  # the winner's file and its marker


def test_kill_9_in_the_middle_of_an_upload_leaves_nothing_to_see_and_nothing_for_long(
    url: str, store: ObjectStore, tmp_path: Path, processes: ExitStack
) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "result.json").write_text("whole")
    (folder / "a-large-file").write_bytes(os.urandom(1 << 20) * 384)
    writer = committer(processes, url, tmp_path / "home", folder)
    assert said(writer) == "ready"
    go(writer)
    wait_until(lambda: unfinished(url) or writer.poll() is not None, within=60, pause=0.002)
    writer.kill()
    writer.wait()
    assert unfinished(url)
    assert store.results.find("k") is None
    assert (store.results.commit("k", folder) / "result.json").read_text() == "whole"
    assert unfinished(url) == []
    assert len(objects_below(url)) == 3


def test_a_listing_of_more_than_a_page_is_whole(url: str, store: ObjectStore) -> None:
    fs = s3fs.S3FileSystem(use_listings_cache=False)
    fs.pipe({f"{url.removeprefix('s3://')}/landing/flights/{n:04d}.csv": b"x" for n in range(1100)})
    assert len(store.landing.look("flights")) == 1100


def test_a_large_file_travels_both_ways_in_little_memory(url: str, tmp_path: Path) -> None:
    source = tmp_path / "large"
    with source.open("wb") as file:
        for _ in range(LARGE >> 20):
            file.write(os.urandom(1 << 20))
    told = subprocess.run([sys.executable, "-c", MOVER, url, str(source)], capture_output=True, text=True, check=True)
    before, after = map(int, told.stdout.split())
    assert after < 200 << 10, f"{after >> 10} MiB, of which {before >> 10} MiB before anything moved"


MOVER = r"""
import filecmp, pathlib, re, sys
from sluicegate.adapters.object_store.drivers import S3Objects
peak = lambda: int(re.search(r"VmHWM:\s+(\d+) kB", pathlib.Path("/proc/self/status").read_text())[1])
objects, source = S3Objects(sys.argv[1]), pathlib.Path(sys.argv[2])
objects.read("nothing")
before = peak()
objects.upload("large", source)
objects.download("large", source.with_name("back"))
assert filecmp.cmp(source, source.with_name("back"), shallow=False)
print(before, peak())
"""


@pytest.mark.parametrize(
    "name",
    [
        "a b.csv",
        "-rf.csv",
        "žluťoučký.csv",
        "$(reboot).csv",
        "a%2F..%2Fb.csv",
        "a#b&c=d+e.csv",
        "[ab]*?.csv",
        "'\";--.csv",
        "~",
        "x" * 255,
    ],
)
def test_a_hostile_name_lands_and_is_taken_as_it_is(store: ObjectStore, tmp_path: Path, name: str) -> None:
    source = tmp_path / "source"
    source.write_bytes(name.encode())
    assert store.landing.drop("flights", name, source) == name
    (arrival,) = store.landing.waiting("flights")
    assert arrival.name == name
    assert store.landing.take(arrival).read_bytes() == name.encode()
    assert store.landing.waiting("flights") == []


@pytest.mark.parametrize("name", ["x" * 256, "a?versionId=1", "new\nline.csv", "\udcff.csv", "a/../../b"])
def test_a_name_that_no_object_can_bear_is_refused(store: ObjectStore, url: str, tmp_path: Path, name: str) -> None:
    (tmp_path / "source").write_text("x")
    with pytest.raises((InputError, RefusedError)):
        store.landing.drop("flights", name, tmp_path / "source")
    assert objects_below(url) == []


@pytest.fixture
def _opened_anew() -> Iterator[None]:
    """The driver keeps what it has opened; here it shall look at the environment again."""
    s3fs.S3FileSystem.clear_instance_cache()
    yield
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.mark.usefixtures("_opened_anew")
def test_a_store_that_does_not_answer_says_so_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ENDPOINT_URL": "http://127.0.0.1:1", "ACCESS_KEY_ID": "k", "SECRET_ACCESS_KEY": "s"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    store = ObjectStore(Settings(home=tmp_path, store_url="s3://bucket/prefix"))
    with pytest.raises(
        UnavailableError, match=r"^the store s3://bucket/prefix could not read results/committed/k \([^\n]*\): try again$"
    ):
        store.results.find("k")


def test_a_pod_whose_store_does_not_answer_is_worth_another_try(tmp_path: Path) -> None:
    away = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}
    env = {**os.environ, **Settings(home=tmp_path, store_url="s3://bucket/prefix").to_environment(), **away}
    url = f"s3://bucket/prefix/orders/{'0' * 32}/order.json"
    command = [sys.executable, "-m", "sluicegate", "work", "--order-url", url]
    told = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert told.returncode == UNAVAILABLE
    assert told.stderr.startswith("UnavailableError: the store s3://bucket/prefix could not read orders/")


@pytest.mark.usefixtures("_opened_anew")
def test_wrong_credentials_are_told_as_such(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as meanwhile:
        meanwhile.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
        with pytest.raises(InputError, match=r"does not let us read .*: check its credentials \(AWS_\*\)"):
            S3Objects(f"{url}/x").read("results/committed/k")
