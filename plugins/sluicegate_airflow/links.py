"""Buttons on tasks."""

from typing import Any

import attrs
from airflow.sdk import BaseOperator, BaseOperatorLink

REPORTS = "/sluicegate/reports"
"""Where the web server answers with reports; relative, so that it works behind any host name."""


@attrs.define()
class ReportLink(BaseOperatorLink):
    """Opens the report of the comparison that the task has made."""

    name = "Report"
    xcom_key = "report_link"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        """The page; empty, and no button, while there is no result."""
        key = getattr(operator, "reported", "")
        return f"{REPORTS}/{key}/report.html" if key else ""
