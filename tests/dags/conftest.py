"""Airflow with a home of its own, and the plugin package on the path as Airflow puts it."""

import os
import sys
import tempfile
import warnings
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="sluicegate-airflow-"))
os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
os.environ.setdefault("AIRFLOW__CORE__DAGS_FOLDER", str(PROJECT / "dags"))
os.environ.setdefault("AIRFLOW__CORE__PLUGINS_FOLDER", str(PROJECT / "plugins"))
if str(PROJECT / "plugins") not in sys.path:
    sys.path.insert(0, str(PROJECT / "plugins"))

with warnings.catch_warnings():  # Airflow's own, at import
    warnings.simplefilter("ignore")
    import airflow.sdk
    import airflow.sdk.definitions.dag
    import airflow.triggers.base  # noqa: F401
