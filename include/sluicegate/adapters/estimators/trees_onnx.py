"""Writes boosted trees as ONNX, node by node, from XGBoost's own JSON.

Written here instead of with a converter because the shape must be exact: no class labels, no dictionary output, the missing-value
direction of every split kept, and no dependence on which base score layout a converter knows.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from onnx import TensorProto, checker, helper

OPSET, ML_OPSET, IR_VERSION = 15, 3, 8
LINKS: Mapping[str, tuple[str, Callable[[float], float]]] = {
    "binary:logistic": ("Sigmoid", lambda p: math.log(p / (1 - p))),
    "reg:logistic": ("Sigmoid", lambda p: math.log(p / (1 - p))),
    "count:poisson": ("Exp", math.log),
    "reg:gamma": ("Exp", math.log),
    "reg:tweedie": ("Exp", math.log),
}
"""Objective -> (ONNX operator from margin to score, inverse for the base score); others are the identity."""


def trees_to_onnx(learner: Mapping[str, Any]) -> bytes:
    """ONNX bytes of a booster.

    Parameters
    ----------
    learner
        The `learner` object of XGBoost's JSON model (gbtree, one target).

    Returns
    -------
    bytes
        Model with input `x` float32 [rows, features] and output `score` float32 [rows].
    """
    width = int(learner["learner_model_param"]["num_feature"])
    axes = helper.make_tensor("axes", TensorProto.INT64, [1], [1])
    graph = helper.make_graph(
        _nodes(learner),
        "boosted_trees",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, width])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, [None])],
        [axes],
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="sluicegate")
    checker.check_model(model)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _nodes(learner: Mapping[str, Any]) -> list[Any]:
    """Sum of the trees, link function, and the column turned to a vector."""
    operator, inverse = LINKS.get(learner["objective"]["name"], ("Identity", lambda value: value))
    base = float(str(learner["learner_model_param"]["base_score"]).strip("[]"))
    trees = helper.make_node(
        "TreeEnsembleRegressor",
        ["x"],
        ["margin"],
        domain="ai.onnx.ml",
        n_targets=1,
        aggregate_function="SUM",
        post_transform="NONE",
        base_values=[inverse(base)],
        **_ensemble(learner["gradient_booster"]["model"]["trees"]),
    )
    return [trees, helper.make_node(operator, ["margin"], ["column"]), helper.make_node("Squeeze", ["column", "axes"], ["score"])]


def _ensemble(trees: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Attributes of TreeEnsembleRegressor: one entry a node, trees one after the other."""
    parts = [_tree(number, tree) for number, tree in enumerate(trees)]
    return {name: np.concatenate([p[name] for p in parts]).tolist() for name in parts[0] if name != "nodes_modes"} | {
        "nodes_modes": [mode for p in parts for mode in p["nodes_modes"]]
    }


def _tree(number: int, tree: Mapping[str, Any]) -> dict[str, Any]:
    """One tree. XGBoost goes left when value < condition and, for a missing value, when default_left."""
    keep = _reachable(tree["left_children"], tree["right_children"])
    place = np.full(len(tree["left_children"]) + 1, 0)
    place[keep] = np.arange(len(keep))
    left, right = np.asarray(tree["left_children"])[keep], np.asarray(tree["right_children"])[keep]
    leaf = left == -1
    value = np.asarray(tree["split_conditions"], dtype=np.float32)[keep]
    ids = np.arange(len(keep))
    return {
        "nodes_treeids": np.full(len(keep), number),
        "nodes_nodeids": ids,
        "nodes_featureids": np.where(leaf, 0, np.asarray(tree["split_indices"])[keep]),
        "nodes_values": np.where(leaf, np.float32(0), value),
        "nodes_hitrates": np.ones(len(keep), dtype=np.float32),
        "nodes_modes": ["LEAF" if is_leaf else "BRANCH_LT" for is_leaf in leaf],
        "nodes_truenodeids": np.where(leaf, 0, place[left]),
        "nodes_falsenodeids": np.where(leaf, 0, place[right]),
        "nodes_missing_value_tracks_true": np.where(leaf, 0, np.asarray(tree["default_left"], dtype=int)[keep]),
        "target_treeids": np.full(int(leaf.sum()), number),
        "target_nodeids": ids[leaf],
        "target_ids": np.zeros(int(leaf.sum()), dtype=int),
        "target_weights": value[leaf],
    }


def _reachable(left: list[int], right: list[int]) -> list[int]:
    """Node numbers below the root; pruned nodes stay in XGBoost's arrays but nothing leads to them."""
    found, queue = [], [0]
    while queue:
        node = queue.pop()
        found.append(node)
        if left[node] != -1:
            queue += [right[node], left[node]]
    return found
