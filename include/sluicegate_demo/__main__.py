"""`python -m sluicegate_demo`: what `make demo` runs; with --cluster what `make cluster-demo` runs."""

import argparse
import sys

from sluicegate.errors import SluicegateError
from sluicegate_demo.story import tell
from sluicegate_demo.world import local_place


def main() -> int:
    """Tell the whole story; an error is one sentence and exit status 1."""
    parser = argparse.ArgumentParser(prog="python -m sluicegate_demo", description="Three rollouts on real flights.")
    parser.add_argument("--cluster", action="store_true", help="in the cluster that KUBECONFIG points at, all steps in pods")
    parser.add_argument("--load", default="", metavar="COMMAND", help="brings an image of this machine to the cluster's nodes")
    parser.add_argument("--remove", action="store_true", help="take away what the demo made in the cluster, and nothing else")
    args = parser.parse_args()
    try:
        if args.cluster or args.remove:
            from sluicegate_demo.cluster_world import cluster_place, remove

            return remove() if args.remove else tell(cluster_place(args.load))
        return tell(local_place())
    except SluicegateError as e:
        print(f"{type(e).__name__}: {e}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
