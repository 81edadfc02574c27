"""What pods exchange, in one object store that all of them reach: batches, snapshots, taken files, results, orders, request logs.

landing/<model>/<name>                              files that wait
data/<model>/{landed,batches,snapshots}/...         committed folders, see shelf.py
data/<model>/history/<name>                         request logs of former systems
results/...                                         committed folders
orders/<key>/{order.json,log,error.json}            orders and what came of them
models/<digest>/{spec.yaml,features.py}             models as pods work with them
predictions/<model>/<version>/<log>/<first byte>    prediction logs, piece by piece
incidents/<model>/<key>.json
"""

from sluicegate.adapters.object_store.sources import ObjectSources
from sluicegate.adapters.object_store.store import ObjectStore

__all__ = ["ObjectSources", "ObjectStore"]
