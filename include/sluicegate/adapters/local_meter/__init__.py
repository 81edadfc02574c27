"""The Meter port on one machine: the servers' own counters, the gateway's, and pairs joined from the prediction logs."""

from sluicegate.adapters.local_meter.meter import LocalMeter

__all__ = ["LocalMeter"]
