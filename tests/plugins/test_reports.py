"""A comparison's report in the browser: a button on the task, a page for whoever may read the Dag, and nothing else."""

import json
import warnings
from types import SimpleNamespace

import pytest

with warnings.catch_warnings():  # Airflow's own, at import
    warnings.simplefilter("ignore")
    from airflow.api_fastapi.core_api.security import get_user
    from fastapi import FastAPI
    from fastapi.testclient import TestClient

from sluicegate.adapters.folder_results import FolderResults
from sluicegate.ports.orders import OrderStatus
from sluicegate.settings import Settings
from sluicegate_airflow import orders, reports
from sluicegate_airflow.links import REPORTS, ReportLink
from sluicegate_airflow.tasks import order_task
from sluicegate_plugin import SluicegatePlugin

KEY = "0123456789abcdef" * 2


@pytest.fixture
def browser(tmp_path, monkeypatch):
    """A signed-in browser, one committed comparison of the model toy, and a manager that lets people read the Dags it names."""
    settings = Settings(home=tmp_path)
    folder = tmp_path / "work"
    folder.mkdir()
    for name, text in (("report.html", "<p>PROMOTE</p>"), ("report.json", "{}"), ("secret.txt", "no")):
        (folder / name).write_text(text)
    (folder / "order.json").write_text(json.dumps({"action": "compare", "model": "toy"}))
    FolderResults(settings).commit(KEY, folder)
    readable = {"toy_retrain"}
    manager = SimpleNamespace(is_authorized_dag=lambda *, method, details, user: details.id in readable)
    monkeypatch.setattr(reports, "wire", lambda: SimpleNamespace(results=FolderResults(settings)))
    monkeypatch.setattr(reports, "get_auth_manager", lambda: manager)
    monkeypatch.setitem(reports.app.dependency_overrides, get_user, lambda: "somebody")
    return SimpleNamespace(get=TestClient(reports.app).get, readable=readable)


def test_the_report_of_a_committed_comparison_opens_and_may_run_nothing(browser) -> None:
    page = browser.get(f"/{KEY}/report.html")
    assert (page.status_code, page.text) == (200, "<p>PROMOTE</p>")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert browser.get(f"/{KEY}/report.json").json() == {}


@pytest.mark.parametrize(
    "path",
    [
        f"/{KEY}/secret.txt",
        f"/{KEY}/order.json",
        f"/{'f' * 32}/report.html",
        "/..%2f..%2fetc/report.html",
        f"/{KEY}/..%2f{KEY}%2freport.html",
        "/<script>/report.html",
    ],
)
def test_nothing_but_reports_is_given_away(browser, path: str) -> None:
    answer = browser.get(path)
    assert answer.status_code == 404
    assert "<script" not in answer.text or answer.headers["content-type"] == "application/json"


def test_whoever_may_not_read_the_dag_may_not_read_its_report(browser) -> None:
    browser.readable.clear()
    answer = browser.get(f"/{KEY}/report.html")
    assert answer.status_code == 403
    assert "toy_retrain" in answer.json()["detail"]


def test_whoever_is_not_signed_in_gets_nothing(browser, monkeypatch) -> None:
    monkeypatch.delitem(reports.app.dependency_overrides, get_user)
    assert browser.get(f"/{KEY}/report.html").status_code == 401


def test_the_button_of_a_finished_comparison_leads_to_its_report(monkeypatch) -> None:
    done = OrderStatus("done", result={"verdict": "promote"})
    port = SimpleNamespace(submit=lambda order: None, status=lambda order: done)
    monkeypatch.setattr(orders, "wire", lambda: SimpleNamespace(orders=port))
    monkeypatch.setitem(orders.INPUTS, "compare", lambda *_: {"train_key": "t"})
    task = order_task("toy", "compare")
    (link,) = task.operator_extra_links
    assert isinstance(link, ReportLink)
    assert link.get_link(task, ti_key=None) == ""
    key = task.execute({})["key"]
    assert link.get_link(task, ti_key=None) == f"/sluicegate/reports/{key}/report.html"


def test_the_plugin_puts_the_page_where_the_button_leads(browser) -> None:
    server = FastAPI()
    for page in SluicegatePlugin.fastapi_apps:
        server.mount(page["url_prefix"], page["app"])
    assert TestClient(server).get(f"{REPORTS}/{KEY}/report.html").text == "<p>PROMOTE</p>"


def test_only_a_comparison_has_the_button() -> None:
    assert order_task("toy", "train").operator_extra_links == ()
