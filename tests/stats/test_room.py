"""The room as a whole: names, signatures, examples, cost of the import."""

import ast
import doctest
import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from sluicegate import stats

PROMISED = {
    "delong_test": "(y, champion, candidate, *, clusters=None, alpha=0.05)",
    "delong_covariance": "(y, scores, *, clusters=None)",
    "mcnemar_test": "(b, c, *, method='exact')",
    "tango_interval": "(b, c, n, alpha=0.05)",
    "non_inferiority": "(difference, standard_error, margin, alpha=0.05)",
    "corrected_resampled_t": "(differences, n_train, n_test)",
    "churn": "(old, new, y)",
    "spiegelhalter_test": "(y, p, *, clusters=None)",
    "hommel": "(p_values)",
    "best_rho": "(v_opt, alpha)",
    "normal_mixture_log_value": "(s, v, *, v_opt, alpha, sides=2)",
    "normal_mixture_bound": "(v, *, v_opt, alpha, sides=2)",
    "beta_binomial_log_value": "(s, v, *, v_opt, alpha, g, h, sides=2)",
    "beta_binomial_bound": "(v, *, v_opt, alpha, g, h, sides=2)",
    "quantile_ab_p_value": "(a, b, q, *, t_opt, alpha)",
    "mcnemar_e_value": "(b, c)",
    "ratio_difference": "(numerator, denominator, arm, bucket)",
    "MultinomialTest": "(theta, concentration)",
}


@pytest.mark.parametrize("name", PROMISED)
def test_promised_signature_is_kept(name):
    signature = inspect.signature(getattr(stats, name))
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values()]
    assert str(inspect.Signature(bare)) == PROMISED[name]


def test_names_for_the_type_checker_are_the_names_that_load():
    tree = ast.parse(Path(stats.__file__).read_text())
    typed = {
        (node.module.rsplit(".", 1)[1], alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("sluicegate.stats.")
        for alias in node.names
    }
    assert typed == {(room, name) for name, room in stats._HOME.items()}


@pytest.mark.parametrize("room", sorted(set(stats._HOME.values())))
def test_examples_in_docstrings_are_true(room):
    assert doctest.testmod(import_module(f"sluicegate.stats.{room}")).failed == 0


@pytest.mark.parametrize("name", sorted(stats.__all__))
def test_public_name_has_a_docstring_and_is_not_its_module(name):
    value = getattr(stats, name)
    assert value.__doc__
    assert not inspect.ismodule(value)


def test_importing_the_room_imports_no_heavy_library():
    code = "import sys, sluicegate.stats; print(sorted({m.split('.')[0] for m in sys.modules} & {'numpy', 'scipy', 'pandas'}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(AttributeError, match=r"no 'delong'; it has .*delong_test"):
        stats.delong  # noqa: B018
