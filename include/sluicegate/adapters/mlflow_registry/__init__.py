"""MLflow as the registry: one run and one model version a package, found again by its tags, aliases champion and candidate."""

from sluicegate.adapters.mlflow_registry.registry import MlflowRegistry as MlflowRegistry
