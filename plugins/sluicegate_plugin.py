"""Registers Sluicegate with Airflow; everything it registers is in the package beside it."""

from typing import Any

from airflow.plugins_manager import AirflowPlugin

from sluicegate_airflow.links import REPORTS


async def reports(scope: Any, receive: Any, send: Any) -> None:
    """The pages of reports; loaded by the first request, because every process of Airflow loads its plugins."""
    from sluicegate_airflow.reports import app

    await app(scope, receive, send)


class SluicegatePlugin(AirflowPlugin):
    """Its name shows under Admin → Plugins; pages and listeners are added here as they come."""

    name = "sluicegate"
    fastapi_apps = [{"app": reports, "url_prefix": REPORTS, "name": "Sluicegate reports"}]  # noqa: RUF012 - Airflow's shape
