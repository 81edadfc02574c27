"""The local gateway: a real Envoy, driven by files that are replaced atomically.

    <settings.gateway>/
        routes/<model>.json     what was asked for, a file a model: the truth; the rest is made from it
        lock                    held (flock) by whoever writes
        guard                   touched at every look of the lease guard: without it no weight is given
        bootstrap.json          listener, admin, limits: fixed while Envoy runs
        clusters.json           CDS: three clusters a model, `<model>/champion`, `<model>/candidate`, `<model>/mirror`
        endpoints/*.json        EDS: one file a cluster
        routes.json             RDS: the weights of all models
        standby.json            the same with every model cut: what a cut renames into place when the disk is full

`<model>/candidate` has the champion as its second priority: a request that the candidate fails is answered by the champion.
`<model>/mirror` has the candidate alone: copies that it fails are nobody's loss, and its counters are not mixed with users' ones.
"""

from sluicegate.adapters.envoy_router.bootstrap import bootstrap, envoy_command
from sluicegate.adapters.envoy_router.replica import Names, Replica
from sluicegate.adapters.envoy_router.router import GUARD_WITHIN_S, EnvoyRouter, guard_age, prepare

__all__ = ["GUARD_WITHIN_S", "EnvoyRouter", "Names", "Replica", "bootstrap", "envoy_command", "guard_age", "prepare"]
