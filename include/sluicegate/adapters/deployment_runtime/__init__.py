"""Model servers as Deployments, each with a Service, an autoscaler, a disruption budget and a network policy that live and die with it.

manifests   what a version's objects say: the same spec and settings give the same objects
runtime     the Runtime port
troubles    why a server is not ready, from what its pods tell
"""

from sluicegate.adapters.deployment_runtime.runtime import DeploymentRuntime as DeploymentRuntime
