"""The Merkle log against RFC 6962: its definitions written once more, its example, and proofs that were altered."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from eth_utils.crypto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from medproof.errors import MerkleLeafError, MerkleProofError, MerkleSizeError
from medproof.merkle import EMPTY_ROOT, MerkleLog, leaf_hash, node_hash, verify_consistency, verify_inclusion

LEAVES = [keccak(bytes([number])) for number in range(200)]
SIZES = range(1, 65)


# -- RFC 6962, section 2.1, as it stands there, with keccak and leaves of 32 bytes -----------------------------------


def split(n: int) -> int:
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def mth(d: Sequence[bytes]) -> bytes:
    if not d:
        return keccak(b"")
    if len(d) == 1:
        return keccak(d[0])
    k = split(len(d))
    return keccak(mth(d[:k]) + mth(d[k:]))


def path(m: int, d: Sequence[bytes]) -> list[bytes]:
    if len(d) == 1:
        return []
    k = split(len(d))
    return [*path(m, d[:k]), mth(d[k:])] if m < k else [*path(m - k, d[k:]), mth(d[:k])]


def subproof(m: int, d: Sequence[bytes], known: bool) -> list[bytes]:
    if m == len(d):
        return [] if known else [mth(d)]
    k = split(len(d))
    if m <= k:
        return [*subproof(m, d[:k], known), mth(d[k:])]
    return [*subproof(m - k, d[k:], False), mth(d[:k])]


@pytest.fixture(scope="module")
def log() -> MerkleLog:
    return MerkleLog(LEAVES)


@pytest.fixture(scope="module")
def roots() -> list[bytes]:
    return [mth(LEAVES[:size]) for size in range(len(LEAVES) + 1)]


def test_every_root_is_the_standards(log: MerkleLog, roots: list[bytes]) -> None:
    assert [log.root(size) for size in range(len(log) + 1)] == roots
    assert log.root(0) == EMPTY_ROOT == MerkleLog().root()
    assert log.root() == roots[-1]


def test_every_inclusion_proof_is_the_standards_and_verifies(log: MerkleLog, roots: list[bytes]) -> None:
    for size in SIZES:
        for index in range(size):
            proof = log.inclusion_proof(index, size)
            assert list(proof) == path(index, LEAVES[:size])
            verify_inclusion(LEAVES[index], index, size, proof, roots[size])


def test_every_consistency_proof_is_the_standards_and_verifies(log: MerkleLog, roots: list[bytes]) -> None:
    for second in SIZES:
        for first in range(1, second + 1):
            proof = log.consistency_proof(first, second)
            assert list(proof) == subproof(first, LEAVES[:second], True)
            verify_consistency(first, second, proof, roots[first], roots[second])


def test_example_of_the_standard(log: MerkleLog) -> None:
    """RFC 6962, 2.1.3: the tree of seven leaves, its audit paths and its consistency proofs."""
    a, b, c, d, e, f, j = map(leaf_hash, LEAVES[:7])
    g, h, i = node_hash(a, b), node_hash(c, d), node_hash(e, f)
    k, l = node_hash(g, h), node_hash(i, j)  # noqa: E741 - the standard's name

    assert log.root(7) == node_hash(k, l)
    assert [log.inclusion_proof(index, 7) for index in (0, 3, 4, 6)] == [(b, h, l), (c, g, l), (f, j, k), (i, k)]
    assert [log.consistency_proof(first, 7) for first in (3, 4, 6)] == [(c, d, g, l), (l,), (i, j, k)]


def test_published_value() -> None:
    """The one hash that everyone knows; the rest of the tree follows from it."""
    assert EMPTY_ROOT.hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"


@settings(max_examples=40)
@given(sizes=st.lists(st.integers(0, 40), max_size=6))
def test_appending_one_by_one_and_in_bulk_are_the_same(sizes: list[int]) -> None:
    single, bulk, leaves = MerkleLog(), MerkleLog(), iter(LEAVES * 2)
    for size in sizes:
        batch = [next(leaves) for _ in range(size)]
        first = len(bulk)
        bulk.extend(iter(batch))
        assert [single.append(leaf) for leaf in batch] == list(range(first, first + size))
        assert single.root() == bulk.root()
    assert [single.root(size) for size in range(len(single) + 1)] == [bulk.root(size) for size in range(len(bulk) + 1)]


def test_more_leaves_than_are_hashed_at_a_time() -> None:
    count = (1 << 16) + 3
    log = MerkleLog(index.to_bytes(32, "big") for index in range(count))
    proof = log.inclusion_proof(count - 1)

    assert len(log) == count
    verify_inclusion((count - 1).to_bytes(32, "big"), count - 1, count, proof, log.root())
    verify_consistency(1 << 16, count, log.consistency_proof(1 << 16), log.root(1 << 16), log.root())


# -- proofs that were altered ------------------------------------------------------------------------------------


def altered(proof: Sequence[bytes]) -> list[list[bytes]]:
    """A proof with every hash changed, left out, doubled or swapped with its neighbour, and with one more."""
    kinds = [[*proof, bytes(32)], [bytes(32), *proof]]
    for place, value in enumerate(proof):
        before, after = list(proof[:place]), list(proof[place + 1 :])
        kinds += [[*before, keccak(value), *after], [*before, *after], [*before, value, value, *after]]
        kinds += [[*before, after[0], value, *after[1:]]] if after and after[0] != value else []
    return kinds


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13])
def test_altered_inclusion_proof_is_refused(log: MerkleLog, roots: list[bytes], size: int) -> None:
    for index in range(size):
        proof = log.inclusion_proof(index, size)
        for other in altered(proof):
            with pytest.raises(MerkleProofError):
                verify_inclusion(LEAVES[index], index, size, other, roots[size])
        for place in set(range(-1, size + 2)) - {index}:  # the same leaf elsewhere
            with pytest.raises(MerkleProofError):
                verify_inclusion(LEAVES[index], place, size, proof, roots[size])
        with pytest.raises(MerkleProofError):
            verify_inclusion(LEAVES[index + 1], index, size, proof, roots[size])
        with pytest.raises(MerkleProofError):
            verify_inclusion(LEAVES[index], index, size, proof, keccak(roots[size]))


@pytest.mark.parametrize("second", [2, 3, 5, 8, 13])
def test_altered_consistency_proof_is_refused(log: MerkleLog, roots: list[bytes], second: int) -> None:
    for first in range(1, second + 1):
        proof = log.consistency_proof(first, second)
        for other in altered(proof):
            with pytest.raises(MerkleProofError):
                verify_consistency(first, second, other, roots[first], roots[second])
        for one, another in ((keccak(roots[first]), roots[second]), (roots[first], keccak(roots[second]))):
            with pytest.raises(MerkleProofError):
                verify_consistency(first, second, proof, one, another)


@settings(max_examples=60)
@given(data=st.data())
def test_rewritten_log_has_no_consistency_proof(data: st.DataObject) -> None:
    """Whatever is edited, deleted, inserted or swapped before `first`: no proof leads to the old root."""
    second = data.draw(st.integers(2, 40))
    first = data.draw(st.integers(1, second))
    place = data.draw(st.integers(0, first - 1))
    edit = data.draw(st.sampled_from(["edit", "delete", "insert", "swap"]))
    rewritten = list(LEAVES[:second])
    if edit == "edit":
        rewritten[place] = keccak(rewritten[place])
    elif edit == "delete":
        del rewritten[place]
        rewritten.append(LEAVES[second])
    elif edit == "insert":
        rewritten.insert(place, LEAVES[100])
    else:
        other = second - 1 if place < second - 1 else 0
        rewritten[place], rewritten[other] = rewritten[other], rewritten[place]
    old, new = MerkleLog(LEAVES[:first]), MerkleLog(rewritten)

    with pytest.raises(MerkleProofError):
        verify_consistency(first, len(new), new.consistency_proof(first), old.root(), new.root())


def test_node_is_no_leaf(log: MerkleLog) -> None:
    """The second preimage: both hashes below a node as if they were a leaf's 64 bytes, or its hash as a leaf."""
    left, right = leaf_hash(LEAVES[0]), leaf_hash(LEAVES[1])
    with pytest.raises(MerkleLeafError):
        verify_inclusion(left + right, 0, 2, log.inclusion_proof(0, 4)[1:], log.root(4))
    with pytest.raises(MerkleProofError):
        verify_inclusion(node_hash(left, right), 0, 2, log.inclusion_proof(0, 4)[1:], log.root(4))


def test_empty_log_begins_every_log(log: MerkleLog, roots: list[bytes]) -> None:
    assert log.consistency_proof(0, 5) == log.consistency_proof(5, 5) == log.consistency_proof(0, 0) == ()
    verify_consistency(0, 5, (), EMPTY_ROOT, roots[5])
    verify_consistency(0, 0, (), EMPTY_ROOT, EMPTY_ROOT)
    for root, proof in ((roots[1], ()), (EMPTY_ROOT, (roots[1],))):
        with pytest.raises(MerkleProofError):
            verify_consistency(0, 5, proof, root, roots[5])


@pytest.mark.parametrize("leaf", [b"", bytes(31), bytes(33), bytes(64)])
def test_leaf_has_32_bytes(leaf: bytes) -> None:
    log = MerkleLog(LEAVES[:3])
    with pytest.raises(MerkleLeafError, match=f"Leaf 4 has {len(leaf)} bytes"):
        log.extend([LEAVES[3], leaf])
    with pytest.raises(MerkleLeafError):
        log.append(leaf)
    with pytest.raises(MerkleLeafError):
        leaf_hash(leaf)
    assert len(log) == 3
    assert log.root() == mth(LEAVES[:3])


def test_hash_of_another_length_is_refused(log: MerkleLog, roots: list[bytes]) -> None:
    """Else 32 bytes could move from one hash to the next without a trace."""
    one, two = log.inclusion_proof(0, 4)
    with pytest.raises(MerkleProofError, match="hash 0 has 31 bytes"):
        verify_inclusion(LEAVES[0], 0, 4, (one[:31], one[31:] + two), roots[4])
    with pytest.raises(MerkleProofError, match="hash 1 has 33 bytes"):
        verify_consistency(3, 7, (one, b"\0" + two), roots[3], roots[7])


def test_sizes_that_the_log_never_had(log: MerkleLog) -> None:
    for wrong in (-1, len(log) + 1):
        with pytest.raises(MerkleSizeError):
            log.root(wrong)
        with pytest.raises(MerkleSizeError):
            log.inclusion_proof(0, wrong)
        with pytest.raises(MerkleSizeError):
            log.consistency_proof(0, wrong)
    for index in (-1, 5):
        with pytest.raises(MerkleSizeError):
            log.inclusion_proof(index, 5)
    for first in (-1, 6):
        with pytest.raises(MerkleSizeError):
            log.consistency_proof(first, 5)
    with pytest.raises(MerkleProofError):
        verify_consistency(6, 5, (), bytes(32), bytes(32))
