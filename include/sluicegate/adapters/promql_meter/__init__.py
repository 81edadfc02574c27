"""The Meter port in a cluster: everything by PromQL from one Prometheus, which scrapes servers, gateway and joiner every second.

queries, prometheus   what is asked; one question over HTTP
table                 an answer as rows of buckets and facts of processes, or the sentence why it is none
arms, gateway, pairs  evidence from tables
meter                 one reading
joiner                pairs the answers of two versions beside the servers and tells Prometheus (`python -m sluicegate join`)
"""

from sluicegate.adapters.promql_meter.joiner import Joiner
from sluicegate.adapters.promql_meter.meter import PromqlMeter

__all__ = ["Joiner", "PromqlMeter"]
