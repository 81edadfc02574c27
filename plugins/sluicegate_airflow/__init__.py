"""The thin shell: translates Airflow's context to one call of one action, and its result to a task's end. Decides nothing.

discovery.py       models → Dags: which models there are, what their Dags have in common
assets.py          the three assets that chain the Dags, and what watches the landing area
errors.py          our errors → how a task ends and whether it is tried again
tasks.py           an order or a verb as a task: carried out here, or in a pod
orders.py          an order as a process; inputs.py what goes into each
pods.py            an order or a verb as a pod, pod_trigger.py what follows it
ingest.py          land, quarantine, commit, publish
rollout.py         open, deploy, enter, promote, revert, outcome, retire; pauses.py the wait while a person holds it
operate.py         a person pauses, approves, aborts, takes back
gates.py           the deferrable gate between two stages
retention.py       the deferrable wait before the old champion goes
apply_settings.py  airflow_settings.yaml → a running Airflow

Heavy libraries (pandas, mlflow, great_expectations) are never imported here: what needs them is an order.
"""
