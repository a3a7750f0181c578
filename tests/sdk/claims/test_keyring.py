"""The consortium's keys: one nullifier a service for ever, rotation, a key that others learned, and the file."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from medproof.claims import Identifier
from medproof.claims.keyring import Keyring, KeyVersion
from medproof.claims.names import Names
from medproof.claims.nullifier import claim_nullifier, soft_key
from medproof.errors import NullifierKeyError
from tests.sdk.claims.bills import BILL, DAY

TODAY = date(2026, 6, 1)
NEXT = date(2026, 7, 1)


def test_a_service_keeps_its_nullifier_through_rotations() -> None:
    ring = Keyring.create()
    before = {day: ring.nullifier(replace(BILL, start=day)) for day in (date.min, DAY, NEXT - timedelta(days=1))}
    later = ring.rotated(NEXT, today=TODAY).rotated(date(2027, 1, 1), today=date(2026, 12, 1))
    assert {day: later.nullifier(replace(BILL, start=day)) for day in before} == before
    assert [later.version(day).number for day in (NEXT - timedelta(days=1), NEXT, date(2026, 12, 31), date.max)] == [
        1,
        2,
        2,
        3,
    ]
    assert later.former_nullifiers(BILL) == ()
    assert later.rekeyed([BILL]) == {}


def test_both_keys_are_of_the_version_of_the_day() -> None:
    ring = Keyring.create().rotated(NEXT, today=TODAY)
    for day, version in ((DAY, ring.versions[0]), (NEXT, ring.versions[1])):
        claim = replace(BILL, start=day)
        assert ring.nullifier(claim) == claim_nullifier(claim, version.secret)
        assert ring.soft_key(claim) == soft_key(claim, version.secret)
        assert ring.nullifier(claim, registered="x") == claim_nullifier(claim, version.secret, registered="x")


@pytest.mark.parametrize("day", [TODAY, TODAY - timedelta(days=1), TODAY + timedelta(days=2), date.min])
def test_no_key_is_rotated_for_days_that_have_come(day: date) -> None:
    with pytest.raises(NullifierKeyError, match="Give a later day"):
        Keyring.create().rotated(day, today=TODAY)
    assert len(Keyring.create().rotated(TODAY + timedelta(days=3), today=TODAY).versions) == 2


def test_no_rotation_comes_before_one_that_is_ahead() -> None:
    ring = Keyring.create().rotated(NEXT + timedelta(days=9), today=TODAY)
    with pytest.raises(NullifierKeyError, match="cannot count from 2026-07-01"):
        ring.rotated(NEXT, today=TODAY)


def test_a_key_that_others_learned_is_replaced_for_its_days_alone() -> None:
    ring = Keyring.create().rotated(NEXT, today=TODAY)
    after, earlier = replace(BILL, start=NEXT), BILL
    mended = ring.replaced(2)
    assert mended.nullifier(earlier) == ring.nullifier(earlier)
    assert mended.nullifier(after) != ring.nullifier(after)
    assert mended.former_nullifiers(after) == (ring.nullifier(after),)
    assert mended.rekeyed([after, earlier]) == {ring.nullifier(after): mended.nullifier(after)}
    again = mended.replaced(3)
    assert again.former_nullifiers(after) == (mended.nullifier(after), ring.nullifier(after))
    assert again.rekeyed([after]) == {
        ring.nullifier(after): again.nullifier(after),
        mended.nullifier(after): again.nullifier(after),
    }
    assert ring.replaced(1).version(date.max).number == 2


def test_rekeying_takes_what_a_claim_was_registered_under() -> None:
    ring = Keyring.create()
    mended = ring.replaced(1)
    assert mended.rekeyed([BILL, BILL], registered=["x"]) == {
        ring.nullifier(BILL, registered="x"): mended.nullifier(BILL, registered="x"),
        ring.nullifier(BILL): mended.nullifier(BILL),
    }
    with pytest.raises(NullifierKeyError, match="no version 7"):
        ring.replaced(7)


def test_services_before_the_first_key_have_none() -> None:
    with pytest.raises(NullifierKeyError, match="before 2026-03-02"):
        Keyring.create(first_day=DAY + timedelta(days=1)).nullifier(BILL)


def version(number: int, day: date, secret: bytes = b"") -> KeyVersion:
    return KeyVersion(number, day, secret or bytes([number]) * 32)


@pytest.mark.parametrize(
    ("versions", "why"),
    [
        ((), "numbered"),
        ((version(2, DAY),), "numbered"),
        ((version(1, DAY), version(1, NEXT)), "numbered"),
        ((version(1, DAY, b"short"),), "32 random bytes"),
        ((version(1, DAY, bytes(32)),), "32 random bytes"),
        ((version(1, DAY, b"k" * 32), version(2, NEXT, b"k" * 32)), "share one key"),
        ((version(1, date.min), version(2, NEXT), version(3, DAY)), "among the days"),
        ((version(1, NEXT), version(2, DAY)), "among the days"),
    ],
)
def test_versions_that_leave_a_doubt_are_refused(versions: tuple[KeyVersion, ...], why: str) -> None:
    with pytest.raises(NullifierKeyError, match=why):
        Keyring(versions)


def test_file_is_for_its_owner_alone_and_reads_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    names = Names(
        systems={"urn:here": "urn:there"},
        billing=("urn:tariff",),
        identifiers={Identifier("", "Patient/1"): Identifier("urn:members", "M-1")},
    )
    ring = Keyring.create(names=names)
    ring.save(path, new=True)
    assert path.stat().st_mode & 0o777 == 0o600
    assert Keyring.load(path) == ring
    longer = ring.rotated(NEXT, today=TODAY).replaced(1)
    longer.save(path)
    assert Keyring.load(path) == longer
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_file_is_never_overwritten_by_other_keys(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    first = Keyring.create().rotated(NEXT, today=TODAY)
    first.save(path)
    kept = path.read_bytes()
    with pytest.raises(NullifierKeyError, match="is there already"):
        Keyring.create().save(path, new=True)
    for other in (Keyring.create(), Keyring(first.versions[:1])):
        with pytest.raises(NullifierKeyError, match="holds other keys"):
            other.save(path)
    assert path.read_bytes() == kept


def test_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    Keyring.create().save(path)
    path.chmod(0o640)
    with pytest.raises(NullifierKeyError, match="chmod 600"):
        Keyring.load(path)


def test_crash_in_the_middle_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "keys.json"
    ring = Keyring.create()
    ring.save(path)

    def fail(descriptor: int) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="no space"):
            ring.rotated(NEXT, today=TODAY).save(path)
    assert Keyring.load(path) == ring
    (tmp_path / ".keys.json.new").touch()  # as a killed process leaves it
    with pytest.raises(NullifierKeyError, match=r"Remove .*\.keys\.json\.new if nobody does"):
        ring.save(path)


GOOD = {
    "kind": "medproof-nullifier-keys",
    "version": 1,
    "keys": [{"number": 1, "from": "2026-01-01", "secret": "ab" * 32}],
    "names": {"systems": {}, "billing": [], "identifiers": []},
}
GIVEN = {"system": "", "value": "Patient/1"}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"\xff",
        json.dumps(GOOD)[:-9].encode(),
        json.dumps({**GOOD, "version": 2}).encode(),
        json.dumps({**GOOD, "more": 1}).encode(),
        json.dumps({**GOOD, "keys": None}).encode(),
        *(
            json.dumps({**GOOD, "names": names}).encode()
            for names in (
                None,
                {},
                {"systems": {}, "billing": [], "identifiers": [], "more": 1},
                {"systems": [], "billing": [], "identifiers": []},
                {"systems": {"a": 1}, "billing": [], "identifiers": []},
                {"systems": {}, "billing": [7], "identifiers": []},
                {"systems": {}, "billing": [], "identifiers": [{"given": GIVEN}]},
                {
                    "systems": {},
                    "billing": [],
                    "identifiers": [{"given": GIVEN, "agreed": {"system": 1, "value": "x"}}],
                },
            )
        ),
        json.dumps({**GOOD, "keys": [[]]}).encode(),
        json.dumps({**GOOD, "keys": [{"number": 1, "from": "2026-13-01", "secret": "ab" * 32}]}).encode(),
        json.dumps({**GOOD, "keys": [{"number": 1, "from": "2026-01-01", "secret": "xy" * 32}]}).encode(),
        json.dumps({**GOOD, "keys": [{"number": 1, "from": 20260101, "secret": "ab" * 32}]}).encode(),
    ],
)
def test_file_that_is_no_keyring_is_refused_and_shows_nothing(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "keys.json"
    path.write_bytes(text)
    path.chmod(0o600)
    with pytest.raises(NullifierKeyError) as caught:
        Keyring.load(path)
    assert "abab" not in str(caught.value)


def test_missing_file_and_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(NullifierKeyError, match="cannot be read"):
        Keyring.load(tmp_path / "none.json")
    with pytest.raises(NullifierKeyError, match="cannot be written"):
        Keyring.create().save(tmp_path / "none" / "keys.json")


def test_no_representation_shows_a_key() -> None:
    ring = Keyring.create()
    assert ring.versions[0].secret.hex() not in repr(ring)
    assert str(ring.versions[0].secret) not in repr(ring)


def test_a_payer_sees_whether_a_claim_has_the_keys_of_its_service() -> None:
    ring = Keyring.create().rotated(NEXT, today=TODAY)
    after = replace(BILL, start=NEXT)
    for bill in (BILL, after):
        keys = ring.nullifier(bill), ring.soft_key(bill)
        assert ring.gave(bill, *keys)
        assert ring.replaced(1).replaced(2).gave(bill, *keys)  # billed before the keys were replaced
        assert not ring.gave(bill, keys[0], bytes(32))
        assert not ring.gave(bill, bytes(32), keys[1])
        assert not ring.gave(bill, *keys, registered="another")
    stale = Keyring(ring.versions[:1])  # a member that has not got the new version yet
    assert not ring.gave(after, stale.nullifier(after), stale.soft_key(after))
