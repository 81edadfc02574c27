"""A person acts on the newest rollout of a model: choose what, say why.

    params (action, reason) → act

Started by hand only. The journal gets the name of the user who triggered the run, and the reason. The same verbs are on the command
line: `python -m sluicegate pause|resume|approve|abort|revert|reinstate|retire`.

- **pause** holds the weight: the judge goes on looking and, on harm, cuts; **resume** goes on.
- **approve** says yes to the present stage, where the plan asks for it or holds for a person.
- **abort** stops a rollout; **revert** too, and after a promotion takes the old champion back, like **reinstate**.
- **retire** stops the old champion before its time.

A verb that makes no sense now fails with one sentence and changes nothing.
"""

from datetime import timedelta

from airflow.sdk import DAG, Param

from sluicegate_airflow.discovery import about, valid_models
from sluicegate_airflow.operate import VERBS
from sluicegate_airflow.tasks import operate_task

PARAMS = {
    "action": Param("pause", type="string", enum=list(VERBS), title="What to do"),
    "reason": Param(type="string", minLength=3, maxLength=500, title="Why", description="Goes into the journal with your name"),
}

for spec in valid_models():
    with DAG(**about(spec, "operate", __doc__), schedule=None, params=PARAMS):
        operate_task(spec.model, execution_timeout=timedelta(minutes=5))
