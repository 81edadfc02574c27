"""What the gate counts, from requests and answers as they come: a second training would be seen."""

import threading
from collections.abc import Iterator

import pytest
from tests.cluster.pods.gate import Gate, Place


@pytest.fixture
def gate() -> Iterator[Gate]:
    with Gate(("127.0.0.1", 1), "127.0.0.1") as gate:
        yield gate


def ask(gate: Gate, client: str, what: str, answer: bytes = b"HTTP/1.1 200 OK\r\n\r\n") -> None:
    there, back = gate.heard((client, 1))
    there(f"{what} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    there(b"the body, which is no request")
    back(answer)


def train(gate: Gate, client: str, attempt: str) -> None:
    ask(gate, client, "GET /b/p/data/m/snapshots/files/s1/a0/data.parquet")
    for name in ("order.json", "package/model.onnx", "result.json"):
        ask(gate, client, f"PUT /b/p/results/files/k/{attempt}/{name}", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")


def test_one_training_is_one_and_two_are_two_even_in_one_pod(gate: Gate) -> None:
    train(gate, "10.0.0.1", "a1")
    assert (gate.began, gate.complete, gate.committed) == ({"10.0.0.1"}, {"a1"}, [])
    train(gate, "10.0.0.1", "a2")
    train(gate, "10.0.0.2", "a3")
    assert (gate.began, gate.complete) == ({"10.0.0.1", "10.0.0.2"}, {"a1", "a2", "a3"})


def test_a_commit_counts_when_the_store_has_made_the_marker_and_as_often(gate: Gate) -> None:
    marker = "PUT /b/p/results/committed/k"
    ask(gate, "10.0.0.1", marker, b"HTTP/1.1 412 Precondition Failed\r\n\r\n")
    assert gate.committed == []
    ask(gate, "10.0.0.1", marker)
    ask(gate, "10.0.0.2", marker)
    assert len(gate.committed) == 2


def test_a_result_that_was_not_taken_whole_is_no_complete_training(gate: Gate) -> None:
    ask(gate, "10.0.0.1", "PUT /b/p/results/files/k/a1/order.json")
    ask(gate, "10.0.0.1", "PUT /b/p/results/files/k/a1/result.json", b"HTTP/1.1 503 Slow Down\r\n\r\n")
    assert gate.complete == set()


def test_the_first_at_a_place_is_held_until_it_is_let_go_and_nobody_after_it(gate: Gate) -> None:
    gate.hold(Place.COMMITTING)
    held = threading.Thread(target=ask, args=(gate, "10.0.0.1", "PUT /b/p/results/committed/k"))
    held.start()
    gate.wait()
    ask(gate, "10.0.0.2", "PUT /b/p/results/committed/k")
    assert held.is_alive()
    gate.let_go()
    held.join()
    assert len(gate.committed) == 2
