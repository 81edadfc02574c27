"""A candidate becomes champion by stages, or is taken back.

    open → deploy → begin → mirror[ enter → gate ] → weight_005[ enter → gate ] → … → promote → outcome → retention → retire
                      └ first_version ────────────────────────────────────────────────┘
    any gate without a PASS, any task that fails or is marked failed → revert → outcome

Starts when *retrain* publishes a candidate, or by hand with a version. One rollout of a model at a time.

- **open** takes the model's lock and writes down the plan; **deploy** starts its server and waits for deep health.
- **mirror** copies requests to the candidate, which answers nobody; **weight_…** gives it that percentage of the users.
- **gate** waits, without a worker, until the judge has seen enough: PASS goes on; harm cuts the traffic at once and then goes
  to **revert**. No verdict in time is never a PASS. A person may pause it, approve it or take it back in *operate*.
- **promote** makes the candidate champion; **revert** verifies the cut, stops the candidate and gives the lock back.
- **outcome** tells how it ended: a reverted rollout is a run that did its work.
- **retention** keeps the old champion warm; **retire** stops it.
"""

from datetime import timedelta

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Label, Param, TaskGroup, TriggerRule

from sluicegate_airflow.assets import candidates
from sluicegate_airflow.discovery import about, valid_models
from sluicegate_airflow.gates import GateSensor, patience
from sluicegate_airflow.retention import RetentionSensor
from sluicegate_airflow.rollout import PERSISTENT, BeginOperator, OutcomeOperator
from sluicegate_airflow.tasks import verb_task

VERSION = Param(
    None, type=["null", "string"], pattern="^[0-9]+$", title="Version", description="Registered version to release, e.g. 3"
)
SOON = timedelta(minutes=5)


def stage_group(spec, index, revert):
    """One stage of the plan: shift the traffic, then wait for the judge."""
    stage = spec.release.stages[index]
    mirrored = stage.kind == "mirror"
    what = "copy requests, answer nobody" if mirrored else f"{stage.weight} % of the users"
    title = f"mirror {stage.mirror} %" if mirrored else f"{stage.weight} % of users"
    wait = {"revert": revert.task_id, "patience": patience(stage)}
    with TaskGroup(stage.name, group_display_name=title, tooltip=f"Stage {index}: {what}, at least {stage.bake:g} s"):
        enter = verb_task(spec.model, "enter_stage", index, task_id="enter", execution_timeout=SOON)
        gate = GateSensor(task_id="gate", model=spec.model, index=index, **wait)
    enter >> gate >> Label("harm") >> revert
    return enter, gate


for spec in valid_models():
    with DAG(**about(spec, "release", __doc__), schedule=[candidates(spec.model)], params={"version": VERSION}):
        m, stages = spec.model, spec.release.stages
        opened = verb_task(m, "open").as_setup()
        deploy = verb_task(m, "deploy", execution_timeout=SOON)
        begin = BeginOperator(task_id="begin", model=m, first="first_version", last="promote")
        first = EmptyOperator(task_id="first_version", doc_md="Nobody to be compared with: the first version is put in service.")
        ends = {"retries": PERSISTENT, "execution_timeout": SOON}
        promote = verb_task(m, "promote", trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS, **ends)
        revert = verb_task(m, "revert", **ends).as_teardown(setups=opened)
        outcome = OutcomeOperator(task_id="outcome", model=m, trigger_rule=TriggerRule.ONE_SUCCESS)
        retention = RetentionSensor(task_id="retention", model=m, retention=spec.release.retention)
        retire = verb_task(m, "retire", execution_timeout=SOON)

        opened >> deploy >> begin >> Label("no champion yet") >> first >> promote
        before = begin
        for i in range(len(stages)):
            enter, gate = stage_group(spec, i, revert)
            before >> Label("pass" if i else "champion serves") >> enter
            before = gate
        before >> Label("pass") >> promote >> revert >> outcome
        promote >> outcome >> retention >> retire
