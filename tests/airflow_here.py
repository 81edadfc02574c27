"""Airflow in the process of the tests: with a home of its own, which goes when they are over, and the plugin package on its path.

Imported before anything that imports Airflow, which reads its settings then; what warns of itself there does so only here.
"""

import atexit
import os
import shutil
import sys
import tempfile
import warnings
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]

if "AIRFLOW_HOME" not in os.environ:
    os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="sluicegate-airflow-")
    atexit.register(shutil.rmtree, os.environ["AIRFLOW_HOME"], ignore_errors=True)
os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
os.environ.setdefault("AIRFLOW__CORE__DAGS_FOLDER", str(PROJECT / "dags"))
os.environ.setdefault("AIRFLOW__CORE__PLUGINS_FOLDER", str(PROJECT / "plugins"))
if str(PROJECT / "plugins") not in sys.path:
    sys.path.insert(0, str(PROJECT / "plugins"))

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import airflow.sdk
    import airflow.sdk.definitions.dag
    import airflow.triggers.base  # noqa: F401
