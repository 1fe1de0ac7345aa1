from benchmarks.measure.in_turn import in_turn


def test_each_goes_first_and_the_warm_up_does_not_count():
    order = []

    def visit(thing):
        order.append(thing)
        return len(order)

    found = in_turn(visit, {"a": "A", "b": "B"}, repeats=2)
    assert order == ["A", "B", "B", "A", "A", "B"]
    assert found == {"a": [4, 5], "b": [3, 6]}
    assert in_turn(visit, {"a": "A"}, repeats=1, warm_up=0) == {"a": [7]}
