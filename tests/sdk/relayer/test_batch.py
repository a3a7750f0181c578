"""Which messages go in one batch, and in what order."""

from __future__ import annotations

from collections import Counter, defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st

from medproof.relayer.batch import mix, pick
from medproof.relayer.queue import Entry

CONTRACTS = ("ConsentRegistry", "RecordPointers")


def entry(arrival: int, subject: str, contract: str = CONTRACTS[0], share: int = 100, length: int = 300) -> Entry:
    return Entry(f"0x{arrival}", contract, "f", subject, bytes(length), 0, 0.0, share, arrival)


QUEUES = st.lists(
    st.tuples(st.sampled_from("abcde"), st.sampled_from(CONTRACTS), st.sampled_from([1, 2, 100])), max_size=30
).map(lambda rows: [entry(number, subject, contract, share) for number, (subject, contract, share) in enumerate(rows)])


@settings(max_examples=50)
@given(QUEUES, st.integers(1, 10), st.sets(st.sampled_from("abcde"), max_size=2))
def test_nobody_is_overtaken_by_itself(queue: list[Entry], size: int, busy: set[str]) -> None:
    picked, _ = pick(queue, CONTRACTS[0], busy=busy, size=size)
    assert len(picked) <= min([size, *(one.share for one in picked)])
    assert {one.contract for one in picked} <= {CONTRACTS[0]}
    assert not busy & {one.subject for one in picked}
    for one in queue:
        if one not in picked:
            assert not [late for late in picked if late.subject == one.subject and late.arrival > one.arrival]


@settings(max_examples=50)
@given(QUEUES)
def test_queue_never_starves(queue: list[Entry]) -> None:
    while queue:
        picked = [one for contract in CONTRACTS for one in pick(queue, contract, busy=(), size=5)[0]]
        assert queue[0] in picked
        queue = [one for one in queue if one not in picked]


@settings(max_examples=50)
@given(QUEUES)
def test_mixed_but_for_each_subjects_own(queue: list[Entry]) -> None:
    mixed = mix(queue)
    assert sorted(one.arrival for one in mixed) == [one.arrival for one in queue]
    turns = defaultdict(list)
    for one in mixed:
        turns[one.subject].append(one.arrival)
    assert all(order == sorted(order) for order in turns.values())


def test_every_order_is_equally_likely() -> None:
    entries = [entry(number, subject) for number, subject in enumerate("abc")]
    orders = Counter(tuple(one.subject for one in mix(entries)) for _ in range(1200))
    assert len(orders) == 6
    assert min(orders.values()) > 120  # 200 expected; as few as that once in 10^9 runs


def test_batch_is_bounded_by_its_bytes() -> None:
    picked, full = pick([entry(number, str(number)) for number in range(1000)], CONTRACTS[0], busy=(), size=1000)
    assert full
    assert sum(len(one.data) for one in picked) < 128 * 1024 < 450 * 300
    (large,), _ = pick([entry(0, "a", length=200_000)], CONTRACTS[0], busy=(), size=10)
    assert large.arrival == 0


def test_one_that_goes_alone_does_not_hurry_the_others() -> None:
    picked, full = pick([entry(0, "a"), entry(1, "b", share=1), entry(2, "c")], CONTRACTS[0], busy=(), size=10)
    assert ([one.subject for one in picked], full) == (["a", "c"], False)
    picked, full = pick([entry(0, "b", share=1), entry(1, "a")], CONTRACTS[0], busy=(), size=10)
    assert ([one.subject for one in picked], full) == (["b"], True)
