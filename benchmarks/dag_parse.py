"""How long each Dag file takes to parse, beyond importing Airflow, for 1 and for 20 models. Prints a table; fails above the bar.

Every parse happens in a fresh fork of a process that has imported what the Dag processor has imported before it forks: Airflow's
authoring interface and nothing of ours. Seconds of CPU, so that a busy machine measures the same; the median of 5. Airflow's own
objects are frozen first, as the Dag processor does: a garbage collection that walks them would fall on any file.
"""

import gc
import importlib
import multiprocessing
import os
import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
BAR_S = 0.3
REPEATS = 5
MODELS = (1, 20)
BEFORE = ("airflow.dag_processing.processor", "airflow.sdk", "airflow.sdk.definitions.dag", "airflow.triggers.base")


def main() -> int:
    """Print file, models, seconds; 1 when a file is above the bar with one model."""
    with tempfile.TemporaryDirectory() as folder:
        _airflow(Path(folder))
        gc.collect()
        gc.freeze()
        slow = False
        print(f"{'file':20} {'models':>6} {'Dags':>5} {'seconds':>8}   (CPU; bar {BAR_S} with one model)")
        for count in MODELS:
            os.environ["SLUICEGATE_MODELS"] = str(_models(Path(folder) / str(count), count))
            for path in sorted((PROJECT / "dags").glob("*.py")):
                runs = [_parse(path) for _ in range(REPEATS)]
                seconds = statistics.median(s for s, _ in runs)
                print(f"{path.name:20} {count:6} {runs[0][1]:5} {seconds:8.3f}")
                slow |= count == 1 and seconds > BAR_S
    return int(slow)


def _airflow(folder: Path) -> None:
    os.environ |= {
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "SLUICEGATE_HOME": str(folder),
    }
    sys.path.insert(0, str(PROJECT / "plugins"))
    for name in BEFORE:
        importlib.import_module(name)
    from airflow.dag_processing.dagbag import DagBag

    DagBag(dag_folder=os.devnull)
    assert not [name for name in sys.modules if name.startswith("sluicegate")]


def _models(folder: Path, count: int) -> Path:
    """`count` models: the first one of the project under as many names."""
    source = next(p for p in sorted((PROJECT / "include" / "models").iterdir()) if (p / "spec.yaml").exists())
    for number in range(count):
        name = f"model_{number:02d}"
        shutil.copytree(source, folder / name)
        spec = folder / name / "spec.yaml"
        spec.write_text(spec.read_text().replace(f"model: {source.name}", f"model: {name}", 1))
    return folder


def _parse(path: Path) -> tuple[float, int]:
    """Seconds and number of Dags, in a fork of its own."""
    context = multiprocessing.get_context("fork")
    mine, theirs = context.Pipe()
    worker = context.Process(target=_measure, args=(path, theirs))
    worker.start()
    answer: tuple[float, int] = mine.recv()
    worker.join()
    return answer


def _measure(path: Path, answer: "multiprocessing.connection.Connection") -> None:
    from airflow.dag_processing.dagbag import DagBag

    with Path(os.devnull).open("w") as silent:
        os.dup2(silent.fileno(), 1)
        os.dup2(silent.fileno(), 2)
        started = time.process_time()
        bag = DagBag(dag_folder=str(path))
        answer.send((time.process_time() - started, len(bag.dags)))


if __name__ == "__main__":
    sys.exit(main())
