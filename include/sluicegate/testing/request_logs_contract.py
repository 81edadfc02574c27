"""What everything that hands out logged requests keeps. Subclass, and give `requests` and `served`."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sluicegate.errors import InputError
from sluicegate.ports.request_logs import RequestLogs

Serve = Callable[[str, str, bytes], None]
"""Model, version, more bytes: what a server of the version logs now."""


def contents(paths: list[Path]) -> list[bytes]:
    return [path.read_bytes() for path in paths]


class RequestLogsContract:
    """Tests that every implementation of the RequestLogs port passes."""

    @pytest.fixture
    def requests(self) -> RequestLogs:
        raise NotImplementedError

    @pytest.fixture
    def serve(self) -> Serve:
        raise NotImplementedError

    def test_nothing_was_asked_before_somebody_asked(self, requests: RequestLogs) -> None:
        assert requests.served("flights") == []
        assert requests.history("flights") == []

    def test_what_servers_logged_is_found_byte_for_byte_and_for_its_model_alone(
        self, requests: RequestLogs, serve: Serve
    ) -> None:
        serve("flights", "1", b'{"a": 1}\n')
        serve("flights", "2", b'{"b": "\xc5\xbe"}\n')
        serve("claims", "1", b'{"c": 3}\n')
        assert sorted(contents(requests.served("flights"))) == [b'{"a": 1}\n', b'{"b": "\xc5\xbe"}\n']
        assert contents(requests.served("claims")) == [b'{"c": 3}\n']
        assert sorted(path.parent.name for path in requests.served("flights")) == ["1", "2"]

    def test_a_log_that_grows_is_the_same_log(self, requests: RequestLogs, serve: Serve) -> None:
        whole = b""
        for number in range(5):
            line = b'{"n": %d}\n' % number * (number + 1)
            serve("flights", "1", line)
            whole += line
            assert contents(requests.served("flights")) == [whole]

    def test_history_is_found_by_name_and_replaced_by_the_same_name(self, requests: RequestLogs, tmp_path: Path) -> None:
        for name, content in (("b.jsonl", "old\n"), ("a.jsonl", "a\n"), ("b.jsonl", "new\n")):
            (tmp_path / name).write_text(content)
            requests.keep("flights", tmp_path / name)
        assert [path.name for path in requests.history("flights")] == ["a.jsonl", "b.jsonl"]
        assert contents(requests.history("flights")) == [b"a\n", b"new\n"]
        assert requests.history("claims") == []

    def test_a_hidden_file_is_no_history(self, requests: RequestLogs, tmp_path: Path) -> None:
        (tmp_path / ".a.jsonl").write_text("x")
        with pytest.raises(InputError, match="without a leading dot"):
            requests.keep("flights", tmp_path / ".a.jsonl")
