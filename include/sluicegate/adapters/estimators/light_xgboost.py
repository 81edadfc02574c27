"""XGBoost, imported without scikit-learn and pandas.

XGBoost imports both only so that its own classes fit their interfaces. Training here goes through its native interface, and
those two imports take two seconds (2.3 s against 0.3 s measured), as long as a small training. Where scikit-learn is loaded
already, as in a process that also trains a classical estimator, nothing is hidden from XGBoost.
"""

import importlib
import os
import sys
from typing import Any


def _import() -> Any:
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before it loads: waiting threads must not burn the servers' cores
    if "sklearn" in sys.modules or "xgboost" in sys.modules:
        return importlib.import_module("xgboost")
    sys.modules["sklearn"] = None  # type: ignore[assignment] # documented: makes the import fail, which XGBoost expects
    try:
        return importlib.import_module("xgboost")
    finally:
        del sys.modules["sklearn"]


xgboost: Any = _import()
