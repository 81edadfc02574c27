"""Release plans to start from: `release: {preset: bank}`. What the spec says beside it replaces the preset's."""

from collections.abc import Mapping
from typing import Any

PRESETS: Mapping[str, Mapping[str, Any]] = {
    # A model that refuses transactions: an hour at every ten percent, tight margins, a person decides what the evidence does not.
    "bank": {
        "stages": [
            {"mirror": 20, "bake": "1h", "deadline": "24h", "min_requests": 1000},
            *({"weight": w, "bake": "1h", "deadline": "24h", "min_requests": 1000} for w in (*range(5, 100, 10), 100)),
        ],
        "gates": {"p95_ms": 80, "error_rate": {"margin": "1pp"}, "score": {"within": "5%"}, "decision_rate": {"margin": "1pp"}},
        "undecided": "hold",
        "look_every": "5s",
        "lease": "30s",
        "retention": "24h",
    },
    # A model behind a web page: a day's work, and what a request costs is watched as well.
    "web": {
        "stages": [
            {"mirror": 10, "bake": "30m", "deadline": "6h", "min_requests": 500},
            {"weight": 5, "bake": "30m", "deadline": "6h", "min_requests": 500},
            {"weight": 25, "bake": "30m", "deadline": "6h", "min_requests": 1000},
            {"weight": 50, "bake": "1h", "deadline": "12h", "min_requests": 2000},
            {"weight": 100, "bake": "1h", "deadline": "12h", "min_requests": 2000},
        ],
        "gates": {
            "p95_ms": 200,
            "error_rate": {"margin": "0.5pp"},
            "score": {"margin": 0.03},
            "decision_rate": {"margin": "2pp"},
            "throughput": {"margin": "20%"},
            "cpu_ms": {"margin": "20%"},
        },
        "undecided": "revert",
        "look_every": "2s",
        "lease": "15s",
        "retention": "24h",
    },
    # A model whose mistakes are cheap: half an hour, wide margins.
    "fast": {
        "stages": [
            {"mirror": 50, "bake": "5m", "min_requests": 200},
            {"weight": 10, "bake": "5m", "min_requests": 100},
            {"weight": 50, "bake": "10m", "min_requests": 500},
            {"weight": 100, "bake": "5m", "min_requests": 500},
        ],
        "gates": {"p95_ms": 100, "error_rate": {"margin": "2pp"}, "score": {"margin": 0.05}, "decision_rate": {"margin": "5pp"}},
        "undecided": "revert",
        "look_every": "1s",
        "lease": "10s",
        "retention": "1h",
    },
}


def expanded(raw: Any) -> Any:
    """A release as written with its preset filled in: a key beside the preset replaces the preset's, gates one by one.

    A gate is replaced whole, and removed by null; anything that is not a mapping is left for the parser to refuse.
    """
    if not isinstance(raw, Mapping) or raw.get("preset") is None:
        return raw
    name = raw["preset"]
    if not isinstance(name, str) or name not in PRESETS:
        raise ValueError(f"there is no preset {name!r}: the known ones are {', '.join(sorted(PRESETS))}")
    preset, gates = PRESETS[name], raw.get("gates", {})
    return {**preset, **raw, "gates": {**preset["gates"], **gates} if isinstance(gates, Mapping) else gates}
