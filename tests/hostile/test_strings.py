"""Names and texts that want to be more than text stay text: in folders, in the journal, in log lines, in reports."""

import contextlib
import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from sluicegate.actions.comparison.report import _template
from sluicegate.adapters.folder_dataset import FolderDataset
from sluicegate.adapters.folder_landing import FolderLanding, shown
from sluicegate.adapters.sql_journal import SqlJournal
from sluicegate.domain.spec import NAME
from sluicegate.errors import InputError, RefusedError
from sluicegate.folders import child
from sluicegate.serving.service_log import ServiceLog
from sluicegate.settings import Settings
from sluicegate.testing.hostile.strings import HOSTILE

PASSES = ("CON", "NaN", "null", "__proto__", "__class__")
"""Plain words that are names like any other to us."""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_hostile_text_is_a_models_name(text: str) -> None:
    assert not NAME.fullmatch(text) or text in PASSES


@pytest.mark.parametrize("text", [t for t in HOSTILE if t not in PASSES], ids=lambda t: repr(t[:20]))
def test_a_hostile_id_leads_to_no_folder_but_the_one_below(text: str, tmp_path: Path) -> None:
    try:
        found = child(tmp_path, text)
    except RefusedError:
        return
    assert found.parent == tmp_path
    assert found.name == text


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_file_with_a_hostile_name_lands_in_its_folder_or_not_at_all(text: str, settings: Settings, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("x\n1\n")
    try:
        FolderLanding(settings).drop("toy", text, source)
    except (InputError, RefusedError, OSError):
        assert not [name for name in files(tmp_path) if name != "source"]
        return
    (landed,) = [name for name in files(tmp_path) if name != "source"]
    assert landed == f"home/landing/toy/{text}"
    (arrival,) = FolderLanding(settings).waiting("toy")
    assert arrival.name == shown(text)
    assert arrival.name.isprintable()


@pytest.mark.parametrize("model", ["..", "../toy", "/etc", "a/b", "", "a\x00b", "a\nb"])
def test_a_hostile_model_name_reaches_no_data_of_others(model: str, settings: Settings) -> None:
    with pytest.raises(RefusedError):
        FolderLanding(settings).waiting(model)
    with pytest.raises(RefusedError):
        FolderDataset(settings).batches(model)


def test_hostile_authors_reasons_and_data_come_back_from_the_journal_as_they_were_or_are_refused(tmp_path: Path) -> None:
    journal, kept = SqlJournal(f"sqlite:///{tmp_path / 'journal.db'}"), []
    for text in HOSTILE:
        with contextlib.suppress(InputError):
            journal.append("toy", "r1", "TROUBLE", {"message": text, text: 1}, author=text, reason=text)
            kept.append(text)
    events = journal.events("toy")
    assert [(e.author, e.reason, e.data["message"]) for e in events] == [(t, t, t) for t in kept]
    assert [e.number for e in events] == list(range(1, len(kept) + 1))
    assert all("\0" in text or len(text) > 150 for text in set(HOSTILE) - set(kept))


def test_a_hostile_name_asks_the_journal_for_nothing_but_itself(tmp_path: Path) -> None:
    journal = SqlJournal(f"sqlite:///{tmp_path / 'journal.db'}")
    journal.append("toy", "r1", "OPENED", {}, author="test")
    for name in HOSTILE:
        assert journal.events(name) == journal.events("toy", name) == []
        assert journal.locks().get(name) is None
    assert len(journal.events("toy")) == 1


def test_a_hostile_message_is_one_line_of_the_service_log_and_forges_none(capsys: pytest.CaptureFixture[str]) -> None:
    for text in HOSTILE:
        ServiceLog("toy", "1").line("error", text)
    lines = capsys.readouterr().out.rstrip("\n").split("\n")
    assert [json.loads(line)["message"] for line in lines] == list(HOSTILE)
    assert {json.loads(line)["event"] for line in lines} == {"error"}


class Tags(HTMLParser):
    """Collects tags and attributes as a browser would see them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_text_is_no_markup_where_the_report_shows_it(text: str) -> None:
    page = _template().environment.from_string('<p title="{{ text }}">{{ text }}</p>').render(text=text)
    seen = Tags()
    seen.feed(page)
    assert (seen.tags, seen.attributes) == ({"p"}, {"title"})
