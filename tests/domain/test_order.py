"""An order's content key depends on what the order is made of, and on nothing else."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate.domain.order import Order, content_key
from sluicegate.errors import OrderError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON))
def test_the_order_of_the_keys_does_not_matter(inputs: dict[str, object]) -> None:
    shuffled = dict(reversed(inputs.items()))
    assert Order("train", "toy", inputs).key == Order("train", "toy", shuffled).key


@given(JSON, JSON)
def test_different_content_has_a_different_key(one: object, other: object) -> None:
    assert (content_key(one) == content_key(other)) == (json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True))


def test_an_order_survives_its_file() -> None:
    order = Order("train", "toy", {"seed": 7, "snapshot_id": "ab"})
    assert Order.from_json(order.to_json()) == order


@pytest.mark.parametrize("text", ["", "{", "[]", '{"action": "train"}', "null"])
def test_a_torn_order_is_refused_with_what_it_must_hold(text: str) -> None:
    with pytest.raises(OrderError, match="'action', 'model' and 'inputs'"):
        Order.from_json(text)


def test_a_missing_input_is_named() -> None:
    with pytest.raises(OrderError, match="'train' of model 'toy' lacks the input 'seed'"):
        Order("train", "toy").need("seed")
