"""The meter of the local profile: counters of both servers and of Envoy, read directly, and pairs joined from the prediction logs.

meter.py    the Meter port
http.py     counters over HTTP: the servers' /evidence, Envoy's per-host statistics
logs.py     new lines of growing prediction logs, from a time on
pairs.py    the join of champion's answers and candidate's mirrored answers by request id
"""

from sluicegate.adapters.local_meter.meter import LocalMeter

__all__ = ["LocalMeter"]
