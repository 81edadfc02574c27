"""Trainings on a real cluster, whatever happens to them: one is completed, its result is committed once, and the log says what was."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from tests.cluster.pods.life import CONTEXT
from tests.cluster.pods.play import Record, Row, Seen, played
from tests.cluster.pods.rig import World
from tests.cluster.pods.rows import ROWS

AT_ONCE = 7
"""Rows played at the same time: most wait for the cluster most of the time."""


@pytest.fixture(scope="module")
def records(
    request: pytest.FixtureRequest, installation: World, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[Row], Record]]:
    """What was seen of a row; all that are asked for are played side by side."""
    CONTEXT.set_forkserver_preload(["tests.cluster.pods.life", "airflow.providers.cncf.kubernetes.operators.pod", "s3fs"])
    asked = [item.callspec.params["row"] for item in request.session.items if item.module is request.module]
    models, seen = tmp_path_factory.mktemp("installation") / "models", Seen(installation)
    models.mkdir()
    with seen.watching(), ThreadPoolExecutor(AT_ONCE) as pool:
        playing: dict[str, Future[Record]] = {row.name: pool.submit(played, row, installation, seen, models) for row in asked}
        yield lambda row: playing[row.name].result()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_training_that_is_hit_is_completed_once_and_its_log_says_by_what(row: Row, records: Callable[[Row], Record]) -> None:
    found = records(row)
    assert (found.pods, found.began, found.complete, found.committed) == (row.pods, row.began, row.complete, row.complete)
    assert found.last[0] == ("success" if row.complete else "skipped"), found.log
    assert sum(bool(re.search(row.says, line)) for line in found.log) >= row.said, found.log
    assert (found.asked_again, found.pods_asked_again) == (found.last, found.pods), "asked again, the result is there"
