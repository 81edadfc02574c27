"""One contract, every landing area; and what only folders can get wrong."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sluicegate.adapters.folder_landing import FolderLanding
from sluicegate.errors import RefusedError
from sluicegate.settings import Settings
from sluicegate.testing.landing import MemoryLanding
from sluicegate.testing.landing_contract import LandingContract, dropped


class TestMemoryLanding(LandingContract):
    @pytest.fixture
    def landing(self, tmp_path: Path) -> MemoryLanding:
        return MemoryLanding(tmp_path)


class TestFolderLanding(LandingContract):
    @pytest.fixture
    def landing(self, tmp_path: Path) -> FolderLanding:
        return FolderLanding(Settings(home=tmp_path / "home"))

    @pytest.fixture
    def area(self, tmp_path: Path) -> Path:
        folder = tmp_path / "home" / "landing" / "flights"
        folder.mkdir(parents=True)
        return folder

    @pytest.mark.parametrize(
        "name",
        [b"a b.csv", b"-rf.csv", b"new\nline.csv", b"\xff\xfe.csv", "žluťoučký.csv".encode(), b"x" * 255, b"$(reboot).csv", b"~"],
    )
    def test_a_hostile_name_is_taken_and_told_as_printable_text(self, landing: FolderLanding, area: Path, name: bytes) -> None:
        (Path(os.fsdecode(os.fsencode(area) + b"/" + name))).write_bytes(b"x")
        (arrival,) = landing.waiting("flights")
        assert arrival.name.isprintable()
        arrival.name.encode()
        assert landing.take(arrival).read_bytes() == b"x"
        assert landing.waiting("flights") == []

    def test_a_file_that_is_still_being_written_does_not_wait(self, landing: FolderLanding, area: Path) -> None:
        with (area / "slow.csv").open("wb") as slow:
            slow.write(b"half")
            slow.flush()
            assert landing.waiting("flights") == []
        assert [a.size for a in landing.waiting("flights")] == [4]

    def test_links_folders_and_hidden_files_are_not_taken(self, landing: FolderLanding, area: Path) -> None:
        (area / "link.csv").symlink_to("/etc/hostname")
        (area / "folder").mkdir()
        (area / ".part").write_text("x")
        os.mkfifo(area / "pipe.csv")
        assert landing.waiting("flights") == []

    def test_a_file_that_changed_after_it_was_seen_stays_and_waits_as_another_batch(
        self, landing: FolderLanding, area: Path
    ) -> None:
        (area / "a.csv").write_text("first")
        (seen,) = landing.waiting("flights")
        (area / "a.csv").write_text("second")
        with pytest.raises(RefusedError, match="changed"):
            landing.take(seen)
        assert [a.size for a in landing.waiting("flights")] == [6]

    def test_a_model_name_cannot_lead_out_of_the_landing_area(self, landing: FolderLanding) -> None:
        with pytest.raises(RefusedError, match="slash"):
            landing.waiting("../../etc")

    def test_of_eight_that_take_at_once_all_get_the_one_file(self, landing: FolderLanding, tmp_path: Path) -> None:
        dropped(landing, tmp_path, "a.csv", b"bytes")
        (arrival,) = landing.waiting("flights")
        places: list[Path] = []
        takers = [threading.Thread(target=lambda: places.append(landing.take(arrival))) for _ in range(8)]
        for taker in takers:
            taker.start()
        for taker in takers:
            taker.join()
        assert len(places) == 8
        assert len(set(places)) == 1
        assert len(landing.taken("flights")) == 1

    @pytest.mark.slow
    def test_kill_9_at_any_instant_of_taking_leaves_the_file_waiting_or_taken(self, tmp_path: Path) -> None:
        settings = Settings(home=tmp_path / "home")
        landing = FolderLanding(settings)
        for turn in range(6):
            dropped(landing, tmp_path, f"{turn}.csv", b"%d" % turn)
            _killed_while(tmp_path, delay=0.002 * turn)
        left = {a.batch_id for a in landing.waiting("flights")} | {a.batch_id for a in landing.taken("flights")}
        assert len(left) == 6
        for arrival in landing.waiting("flights"):
            landing.take(arrival)
        assert sorted(landing.take(a).read_bytes() for a in landing.taken("flights")) == [b"%d" % turn for turn in range(6)]


TAKER = """
import sys, pathlib
from sluicegate.adapters.folder_landing import FolderLanding
from sluicegate.settings import Settings
landing = FolderLanding(Settings(home=pathlib.Path(sys.argv[1])))
print("ready", flush=True)
for arrival in landing.waiting("flights"):
    landing.take(arrival)
"""


def _killed_while(root: Path, delay: float) -> None:
    with subprocess.Popen([sys.executable, "-c", TAKER, str(root / "home")], stdout=subprocess.PIPE) as taker:
        assert taker.stdout is not None
        taker.stdout.readline()
        time.sleep(delay)
        taker.send_signal(signal.SIGKILL)
