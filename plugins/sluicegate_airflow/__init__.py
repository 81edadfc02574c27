"""The thin shell: translates Airflow's context to one call of one action, and its result to a task's end. Decides nothing.

discovery.py       models → Dags: which models there are, what their Dags have in common
assets.py          the three assets that chain the Dags, and what watches the landing area
errors.py          our errors → how a task ends and whether it is tried again
orders.py          a unit of work as a task; inputs.py what goes into each
ingest.py          land, quarantine, commit, publish
rollout.py         open, deploy, enter, promote, revert, outcome, retire; pauses.py the wait while a person holds it
operate.py         a person pauses, approves, aborts, takes back
gates.py           the deferrable gate between two stages
retention.py       the deferrable wait before the old champion goes
apply_settings.py  airflow_settings.yaml → a running Airflow

Heavy libraries (pandas, mlflow, great_expectations) are never imported here: what needs them is an order.
"""
