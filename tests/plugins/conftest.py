"""Tests of what Airflow runs."""

import tests.airflow_here  # noqa: F401
