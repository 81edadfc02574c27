"""Registers Sluicegate with Airflow; everything it registers is in the package beside it."""

from airflow.plugins_manager import AirflowPlugin


class SluicegatePlugin(AirflowPlugin):
    """Its name shows under Admin → Plugins; pages and listeners are added here as they come."""

    name = "sluicegate"
