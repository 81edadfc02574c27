"""The joiner's command line: it says what it lacks, and serves its page without a Prometheus that answers."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sluicegate.__main__ import main
from sluicegate.commands import REFUSED
from sluicegate.testing.gateway import free_port, get
from sluicegate.testing.waiting import wait_until


def test_join_without_a_prometheus_says_which_setting_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SLUICEGATE_PROMETHEUS_URL", raising=False)
    assert main(["join", "--port", "1"]) == REFUSED
    assert "SLUICEGATE_PROMETHEUS_URL is not set" in capsys.readouterr().err


@pytest.mark.slow
def test_join_lives_without_a_prometheus_that_answers_says_so_once_and_stops_when_told(tmp_path: Path) -> None:
    port = free_port()
    environment = {**os.environ, "SLUICEGATE_PROMETHEUS_URL": "http://127.0.0.1:1"}
    with (tmp_path / "log").open("wb") as log:
        command = [sys.executable, "-m", "sluicegate", "join", "--port", str(port)]
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        wait_until(lambda: get(port, "/health/live") == b'{"status": "live"}', 60.0)
        wait_until(lambda: "is it running" in (tmp_path / "log").read_text(), 60.0)
        page = get(port, "/metrics/evidence").decode()
        process.send_signal(signal.SIGTERM)
        assert process.wait(30.0) == 0
    finally:
        process.kill()
        process.wait()
    assert 'fact="taken_at"' in page
    assert "pairs" not in page
    assert (tmp_path / "log").read_text().count("is it running") == 1
