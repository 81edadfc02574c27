"""The model server and the package it opens: one code path from a raw row to a score, for training, comparison and service.

manifest, features, package     what a model is on disk, checked byte by byte; features.py row by row; ONNX scores
schema, counters, log, metrics  what a request must look like; evidence; the prediction log; what Prometheus reads
service, http, pulse, main      one request; the wire; health beside it; the process
evidence_page, recent, watched  what a watcher in a cluster reads: the judge's counters, the newest answers
depot                           packages on their way to a pod
"""
