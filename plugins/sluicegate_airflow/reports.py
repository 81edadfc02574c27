"""The comparison's report in the browser: a button on the task, and the page behind it, for whoever may read the Dag."""

import json
import re
from typing import Annotated, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagDetails
from airflow.api_fastapi.core_api.security import get_user
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import FileResponse

from sluicegate.wiring import wire

KEY = re.compile(r"^[0-9a-f]{32}$")
FILES = ("report.html", "report.json")
HEADERS = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'", "X-Content-Type-Options": "nosniff"}
"""The page holds text and pictures from data: nothing in it may run or be fetched."""

app = FastAPI(title="Sluicegate reports")


@app.get("/{key}/{name}")
def report(key: str, name: str, user: Annotated[Any, Depends(get_user)]) -> FileResponse:
    """A file of the report of the order with that content key."""
    folder = wire().results.find(key) if KEY.fullmatch(key) and name in FILES else None
    if folder is None or not (folder / name).is_file():
        raise HTTPException(404, f"there is no report '{name[:20]}' of an order '{key[:40]}'")
    dag = f"{json.loads((folder / 'order.json').read_text())['model']}_retrain"
    if not get_auth_manager().is_authorized_dag(method="GET", details=DagDetails(id=dag), user=user):
        raise HTTPException(403, f"this report belongs to the Dag {dag}, which you may not read")
    return FileResponse(folder / name, headers=HEADERS)
