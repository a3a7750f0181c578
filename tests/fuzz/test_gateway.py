"""Everything that the OpenAPI document lets a caller send, and what it does not, signed and unsigned."""

from __future__ import annotations

import json
import zlib
from typing import Any

import schemathesis
from schemathesis import Case, CheckContext, Response
from schemathesis.specs.openapi.checks import positive_data_acceptance

from medproof import hashing
from tests.fuzz.conftest import Target
from tests.sdk.gateway.conftest import observation

schema = schemathesis.pytest.from_fixture("api")


@schemathesis.check
def every_refusal_is_an_outcome(ctx: CheckContext, response: Response, case: Case) -> bool | None:
    """A refusal is an OperationOutcome with the code of a reason."""
    if response.status_code >= 400:
        [issue] = json.loads(response.content)["issue"]
        assert issue["details"]["coding"][0]["code"].isupper()
        assert response.headers["content-type"] == ["application/fhir+json"]
    return None


@schema.parametrize()
def test_the_gatekeeper_keeps_to_its_document(case: Case, target: Target) -> None:
    _make_known(case, target)
    # Where schemathesis leaves the header out, or has one of its own to try, nobody signs.
    unsigned = "Authorization" not in (case.headers or {}) or _number(case) % 8 == 0
    auth = None if unsigned else target.auth
    target.log.take()
    response = case.call(auth=auth)
    target.seen[response.status_code] += 1
    # Whether a record is FHIR is more than the document says: a body that fits it may be refused.
    case.validate_response(response, excluded_checks=[positive_data_acceptance], transport_kwargs={"auth": auth})
    _check_log(case, target)


def test_all_kinds_of_answers_were_met(target: Target) -> None:
    assert {200, 201, 400, 401, 403, 404, 422} <= set(target.seen)


def _number(case: Case) -> int:
    """The same for the same case."""
    return zlib.crc32(repr((case.path_parameters, case.query, case.body)).encode("utf-8", "replace"))


def _make_known(case: Case, target: Target) -> None:
    """Let half of the good cases speak of records that are there."""
    if case.meta is None or not case.meta.generation.mode.is_positive or _number(case) % 2:
        return
    for values in (case.path_parameters, case.query):
        for name in values or {}:
            if name in target.known:
                values[name] = target.known[name][_number(case) % len(target.known[name])]
    if case.method == "POST" and case.path_parameters.get("type") == "Observation":
        case.body = json.loads(hashing.canonical(observation().content))


def _texts(value: Any) -> set[str]:
    """Everything in a request that could be told from anything else."""
    if isinstance(value, dict):
        return {text for item in value.items() for one in item for text in _texts(one)}
    if isinstance(value, list | tuple):
        return {text for one in value for text in _texts(one)}
    return {value} if isinstance(value, str) and len(value) > 8 else set()


def _check_log(case: Case, target: Target) -> None:
    """Nothing that was sent stands in what was written; a text that is one of the project's own words may."""
    sent = _texts([dict(case.path_parameters or {}), dict(case.query or {}), dict(case.headers or {})])
    for line in target.log.take():
        written = [str(fact) for fact in json.loads(line).values() if fact not in target.words]
        for text in sent | _texts(case.body):
            assert not any(text in fact for fact in written), f"the log holds what was sent: {line}"
