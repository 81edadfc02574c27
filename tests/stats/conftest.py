"""The published data that several files check against."""

import csv
import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

ASAH = Path(__file__).resolve().parents[3] / "shared" / "data" / "asah.csv"


@pytest.fixture(scope="session")
def asah() -> SimpleNamespace:
    """113 patients with aneurysmal subarachnoid haemorrhage, from the R package pROC (Turck et al. 2010)."""
    if not ASAH.is_file():
        message = f"The pROC data set is not at ../shared/data/{ASAH.name} beside the repository: put asah.csv there."
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    with ASAH.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return SimpleNamespace(**{name: np.array([float(row[name]) for row in rows]) for name in ("outcome", "wfns", "s100b")})
