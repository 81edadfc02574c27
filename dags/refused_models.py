"""Every model whose spec.yaml or features.py is refused shows here as an import error of Airflow; all other models' Dags load.

Each line names the file, the key, its value and what would be valid. This file holds no Dag.
"""

from sluicegate.errors import SpecError
from sluicegate_airflow.discovery import refused_models

if refused := refused_models():
    raise SpecError("\n".join(refused))
