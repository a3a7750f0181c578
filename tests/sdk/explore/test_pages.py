"""What the pages say, against the index itself; and what an address may not ask."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode, urljoin

import httpx
import pytest

from medproof.client.incentives import Payee
from medproof.client.registrar import EVERYONE
from medproof.explore import Explorer, OfDataset
from medproof.explore.asking import EXAMPLES
from medproof.explore.explorer import SHOWN
from medproof.explore.matching import EXAMPLE
from medproof.explore.registry import AsOf, Registry, StudyRow
from medproof.indexer import IndexedDeployment, view
from medproof.policy.codes import (
    Action,
    CareSetting,
    Condition,
    DataClass,
    PartyKind,
    Purpose,
    ResearchUse,
    Sensitivity,
)
from medproof.policy.evaluation import decide
from medproof.policy.word import FLAG_FIELDS, Request, Rule, encode_request
from medproof.research import Dataset
from medproof.research.suppression import Suppression
from tests.sdk.explore.conftest import HOSTILE
from tests.sdk.explore.reading import Page
from tests.sdk.explore.seed import END, Chronicle, address, deployment_of, grant, number_at, seeded, study_id

ASKED = dict(EXAMPLES)[EXAMPLES[1][0]]
EVERY = ["", "cohort", "coverage", "studies", f"study?id={study_id(1)}", "parties", "match", "evidence"]
LATE = number_at(datetime(2026, 3, 1, tzinfo=UTC))


def read(http: httpx.Client, path: str, status: int = 200) -> Page:
    answer = http.get(f"/{path}")
    assert answer.status_code == status, answer.text[:2000]
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return Page(answer.text)


def size(page: Page, html: str) -> str:
    found = re.search(r'<p class="size">(.*?)</p>', html, re.DOTALL)
    assert found is not None
    return re.sub("<[^>]+>", "", found[1]).strip()


def oracle(indexed: IndexedDeployment, request: Request, kind: PartyKind, groups: tuple[int, ...], block: int) -> int:
    """How many subjects permit a request by any party of a kind, rule by rule."""
    state = view(indexed, block=block, at=moment_of(indexed, block))
    grantees = {f"0x{group:040x}" for group in (1, *groups)}
    rules: dict[str, list[int]] = {}
    for one in state.rules():
        if one.grantee.lower() in grantees:
            rules.setdefault(one.subject, []).append(one.word)
    return sum(decide(words, kind, state.at, encode_request(request)).permitted for words in rules.values())


def moment_of(indexed: IndexedDeployment, block: int) -> datetime:
    [known] = indexed.blocks_before(block + 1, 1)
    return datetime.fromtimestamp(known.time, UTC)


# -- what every page is ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", EVERY)
def test_a_page_is_whole_and_leads_to_the_others(http: httpx.Client, path: str) -> None:
    page = read(http, path)
    [html] = page.all("html")
    assert html["lang"] == "en"
    assert page.title.endswith(" \N{EN DASH} MedProof")
    assert len(page.all("h1")) == len(page.all("main")) == 1
    ids = [found["id"] for _, found in page.elements if "id" in found]
    assert len(ids) == len(set(ids))
    for found in page.all("label"):
        assert "for" not in found or found["for"] in ids
    local = {name.partition(" ")[2] for name in page.links if not name.startswith("form ")}
    for link in local:
        assert not re.match("[a-z]+:|//|/", link), link
        assert http.get(f"/{link.removeprefix('./')}").status_code == 200, link


@pytest.mark.parametrize("path", [*EVERY, "cohort?block=x", "nope"])
def test_a_page_may_load_nothing_from_elsewhere_and_has_no_script_or_style_inside(
    http: httpx.Client, path: str
) -> None:
    answer = http.get(f"/{path}")
    policy = answer.headers["content-security-policy"]
    assert policy.split("; ")[0] == "default-src 'self'"
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    page = Page(answer.text)
    assert not page.all("style")
    assert all("src" in found for found in page.all("script"))
    assert not [name for _, found in page.elements for name in found if name == "style" or name.startswith("on")]


def test_the_overview_says_what_the_index_says(http: httpx.Client, indexed: IndexedDeployment) -> None:
    state = view(indexed)
    rules = [one for one in state.rules() if not one.word & FLAG_FIELDS["revoked"].mask]
    permits = sum(not one.word & FLAG_FIELDS["deny"].mask for one in rules)
    said = read(http, "").said
    assert f"subjects with rules {len({one.subject for one in rules}):,}" in said
    assert f"permissions that stand {permits:,}" in said


# -- cohorts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", [None, number_at(datetime(2026, 1, 15, 7, tzinfo=UTC)), LATE])
def test_a_cohort_is_counted_as_the_contract_would_decide(
    http: httpx.Client, indexed: IndexedDeployment, block: int | None
) -> None:
    request = Request(
        Purpose.HRESCH,
        DataClass.LABORATORY | DataClass.MEDICATION,
        sensitivities=Sensitivity.NONE_LABELLED,
        actions=Action.ACCESS | Action.USE,
        research=ResearchUse.HMB | ResearchUse.IRB | ResearchUse.NCU | ResearchUse.NPU | ResearchUse.PUB,
    )
    expected = oracle(indexed, request, PartyKind.RESEARCHER, (), block or indexed.block)
    assert expected >= 11
    pairs = [*ASKED, *([("block", str(block))] if block else [])]
    answer = http.get(f"/cohort?{urlencode(pairs)}")
    assert size(Page(answer.text), answer.text) == str(expected)


def test_a_group_and_a_party_are_asked_for(http: httpx.Client, indexed: IndexedDeployment) -> None:
    request = Request(
        Purpose.HRESCH,
        DataClass.LABORATORY,
        sensitivities=Sensitivity.NONE_LABELLED,
        actions=Action.ACCESS,
        research=ResearchUse.DS | ResearchUse.MODIFIERS,
    )
    every = [("research", str(one.name)) for one in ResearchUse.DS | ResearchUse.MODIFIERS]
    pairs = [
        ("purpose", "HRESCH"),
        ("class", "laboratory"),
        ("sensitivity", "NONE_LABELLED"),
        ("action", "access"),
        *every,
    ]
    with_group = oracle(indexed, request, PartyKind.RESEARCHER, (3,), indexed.block)
    answer = http.get(f"/cohort?{urlencode([*pairs, ('kind', 'researcher'), ('group', '3')])}")
    assert size(Page(answer.text), answer.text) == str(with_group)
    state = view(indexed)
    party = next(
        address("party", number)
        for number in range(14, 23)
        if (found := state.active_party(address("party", number))) is not None and found.groups
    )
    subjects = {one.subject for one in state.rules()}
    by_party = sum(state.decide(subject, party, request).permitted for subject in subjects)
    assert by_party >= 11
    answer = http.get(f"/cohort?{urlencode([*pairs, ('party', party)])}")
    assert size(Page(answer.text), answer.text) == str(by_party)


def test_those_who_take_part_in_a_study_are_asked_for(http: httpx.Client, indexed: IndexedDeployment) -> None:
    state, study = view(indexed), study_id(1)
    opted_in: set[str] = set()
    for event in state.events("Studies"):
        if event.arguments.get("study") == study and event.name in ("OptedIn", "OptedOut"):
            (opted_in.add if event.name == "OptedIn" else opted_in.discard)(event.arguments["subject"])
    rules: dict[str, list[int]] = {}
    for one in state.rules():
        if int(one.grantee, 16) in (1, 3) and one.subject.lower() in opted_in:
            rules.setdefault(one.subject, []).append(one.word)
    request = Request(
        Purpose.HRESCH,
        DataClass.LABORATORY,
        sensitivities=Sensitivity.NONE_LABELLED,
        actions=Action.USE,
        research=ResearchUse.DS | ResearchUse.MODIFIERS,
    )
    word = encode_request(request)
    expected = sum(decide(words, PartyKind.RESEARCHER, state.at, word).permitted for words in rules.values())
    assert expected >= 11
    terms = [("research", str(one.name)) for one in request.research]
    pairs = [
        ("purpose", "HRESCH"),
        ("class", "laboratory"),
        ("sensitivity", "NONE_LABELLED"),
        ("action", "use"),
        ("group", "3"),
        *terms,
    ]
    answer = http.get(f"/cohort?{urlencode([*pairs, ('study', study), ('trend', '1')])}")
    assert size(Page(answer.text), answer.text) == str(expected)


def test_a_small_cohort_is_not_told(http: httpx.Client, indexed: IndexedDeployment) -> None:
    # Research without any restriction is permitted by few.
    request = Request(
        Purpose.HRESCH,
        DataClass.LABORATORY,
        Condition.CIRCULATORY,
        sensitivities=Sensitivity.NONE_LABELLED,
        actions=Action.ACCESS,
        research=ResearchUse.NRES | ResearchUse.MODIFIERS,
    )
    pairs = [
        ("purpose", "HRESCH"),
        ("class", "laboratory"),
        ("condition", "I00-I99"),
        ("sensitivity", "NONE_LABELLED"),
        ("action", "access"),
        ("kind", "researcher"),
        *(("research", str(one.name)) for one in request.research),
    ]
    expected = oracle(indexed, request, PartyKind.RESEARCHER, (), indexed.block)
    assert 0 < expected < 11
    answer = http.get(f"/cohort?{urlencode([*pairs, ('trend', '1')])}")
    assert size(Page(answer.text), answer.text) == "fewer than 11"
    section = answer.text.partition('id="answer"')[2].partition("The same elsewhere")[0]
    assert not re.search(rf"\b{expected}\b subjects|value=\"{expected}\"", section)
    assert "% of all" not in section
    assert answer.text.count("fewer than 11") > 5  # in the months, too


def test_the_first_question_is_shown_where_none_is_asked(http: httpx.Client) -> None:
    asked = http.get(f"/cohort?{urlencode(EXAMPLES[0][1])}").text
    assert size(Page(asked), asked) == size(Page(asked), http.get("/cohort").text)


def test_what_is_ticked_is_what_is_asked_for(http: httpx.Client) -> None:
    page = read(http, f"cohort?{urlencode(ASKED)}")
    ticked = {(one["name"], one["value"]) for one in page.all("input", type="checkbox") if "checked" in one}
    assert ticked == {pair for pair in ASKED if pair[0] != "kind"}


def test_an_icd_code_stands_for_its_chapter(http: httpx.Client) -> None:
    one, other = (http.get(f"/cohort?purpose=HRESCH&condition={code}").text for code in ("C50.1", "C00-D49"))
    assert size(Page(one), one) == size(Page(other), other)
    assert "Neoplasms" in Page(one).said


# -- as of when ------------------------------------------------------------------------------------------------------


def test_a_page_is_as_of_a_block_or_a_day(http: httpx.Client, dataset: Dataset) -> None:
    by_day = read(http, "?at=2026-03-01").said
    known = dataset.as_of(at=datetime(2026, 3, 1, tzinfo=UTC)).block
    assert f"As of block {known:,}, 1 March 2026." in by_day
    assert by_day.partition("Consent over time")[0] != read(http, "").said.partition("Consent over time")[0]


def test_a_block_in_which_nothing_happened_is_as_the_one_before(http: httpx.Client, dataset: Dataset) -> None:
    blocks = set(dataset.table("blocks").block.to_pyarrow().to_pylist())
    quiet = next(block for block in range(LATE, LATE + 500) if block not in blocks)
    before = max(block for block in blocks if block < quiet)
    assert f"As of block {before:,}," in read(http, f"?block={quiet}").said


def test_links_keep_the_block(http: httpx.Client) -> None:
    page = read(http, f"?block={LATE}")
    asked = [link for link in page.links if "cohort?" in link]
    assert len(asked) == len(EXAMPLES)
    assert all("&block=" in link for link in asked)


def test_a_study_is_as_of_its_day(http: httpx.Client) -> None:
    assert "27 August 2025 open" in read(http, f"study?id={study_id(0)}&at=2025-04-01").said
    assert "27 August 2025 over" in read(http, f"study?id={study_id(0)}").said
    early = http.get(f"/study?id={study_id(1)}&at=2025-04-01")
    assert early.status_code == 404
    assert "It was registered in block" in early.text


def test_the_studies_say_who_takes_part(http: httpx.Client, dataset: Dataset) -> None:
    choices = dataset.table("participations")
    choices = choices.filter(choices.opted_in, choices.until_block.isnull(), choices.study == study_id(1))
    taking_part = choices.count().to_pyarrow().as_py()
    assert taking_part >= 11
    said = read(http, f"study?id={study_id(1)}").said
    assert f"subjects take part {taking_part}" in said
    assert "2,000,000,000" in said  # paid
    assert "8,000,000,000" in said  # free
    listed = read(http, "studies").said
    assert "fewer than 11" in listed
    assert "closed" in listed


# -- the directory ---------------------------------------------------------------------------------------------------


def parties(http: httpx.Client, query: str) -> list[str]:
    return re.findall(r'<th scope="row" class="id">(0x[0-9a-f]{40})', http.get(f"/parties?{query}").text)


def test_parties_are_filtered_and_sorted(http: httpx.Client, indexed: IndexedDeployment) -> None:
    state = view(indexed)
    known = {address("party", number): state.party(address("party", number)) for number in range(32)}
    assert parties(http, "") == sorted(known)
    assert parties(http, "sort=-party") == sorted(known, reverse=True)
    researchers = {of for of, one in known.items() if one and one.kind is PartyKind.RESEARCHER}
    assert set(parties(http, "kind=researcher")) == researchers
    assert set(parties(http, "standing=suspended")) == {of for of, one in known.items() if one and one.suspended}
    assert set(parties(http, "group=4")) == {of for of, one in known.items() if one and 4 in one.groups}
    [one] = parties(http, f"account={address('party', 3)[:20].upper().replace('0X', '0x')}")
    assert one == address("party", 3)
    until = [state.party(of).valid_until for of in parties(http, "sort=valid")]  # type: ignore[union-attr]
    assert until == sorted(until)
    assert parties(http, "kind=payer&standing=suspended&group=3") == []


def test_what_a_group_is_called_does_nothing(http: httpx.Client) -> None:
    for path in ("parties", "cohort"):
        html = http.get(f"/{path}").text
        assert "<script>alert" not in html
        assert "<img" not in html
        assert HOSTILE in Page(html).text


# -- addresses that ask for what cannot be ---------------------------------------------------------------------------

WRONG = {
    "?block=99999999": "is not known here",
    "?block=5": "is not known here",
    "?block=-1": "is no block",
    "?block=1e3": "is no block",
    "?block=٣": "is no block",
    "?block=99999999999999999999999": "is no block",
    "?at=2026-02-30": "is no day",
    "?at=yesterday": "is no day",
    "?at=20260301": "is no day",
    "?at=2050-01-01": "is not known here",
    "?at=0001-01-01": "is not known here",
    "?at=2026-03-01&block=19000": "Give one of them",
    "?block=19000&block=18000": "Give it once",
    "?blok=1": "has no parameter",
    "coverage?at=9999-12-31": "is not known here",
    "parties?kind=king": "is not known here",
    "parties?page=77": "is no page",
    "parties?account=0xzz": "is no beginning",
    "parties?sort=credential": "is not known here",
    "parties?group=1' OR '1'='1": "is not known here",
    "cohort?purpose=HRESCH'; DROP TABLE rules;--": "is no code",
    "cohort?class=%00": "is no code",
    "cohort?research=DS&purpose=TREAT": "Choose HRESCH, CLINTRCH or DSRCH",
    "cohort?data-from=2026-01-01&data-until=2025-01-01": "Correct the days",
    "cohort?data-from=9999-12-31": "No rule speaks of data after 2149-06-05",
    "cohort?data-until=2149-06-06": "No rule speaks of data after 2149-06-05",
    "cohort?data-from=1969-01-01": "Correct the days",
    "cohort?party=0x00000000000000000000000000000000000000ff": "was never accredited",
    "cohort?party=alice": "is no account",
    "cohort?group=2147483648": "is not known here",
    "cohort?terms=5000": "is no number of terms",
    "cohort?moment=tomorrow": "is no day",
    "cohort?study=0x12": "is no study",
    "study?id=0x12": "is no study",
    "match?study=evil": "Choose from the list",
    "match?study=health&use=DS&rule=0x12": "is no word",
    f"match?study=health&rule={'f' * 64}": "reserved",
    "match?study=health&use=IRB": "permission",
    "match?study=health&use=DS&use-region=DE": "GS",
    "match?study=health&use=DS&disease=flu": "MONDO",
    "match?study=health&use=DS&months=0": "is no number",
    "match?study=ethics_approval&use=DS": "investigates",
}


@pytest.mark.parametrize("path", WRONG)
def test_a_page_says_what_is_wrong_and_beside_which_field(http: httpx.Client, path: str) -> None:
    page = read(http, path, 400)
    assert page.title.startswith("Error: ")
    assert WRONG[path] in page.said
    assert page.all("div", role="alert")
    named = [link["href"][1:] for link in page.all("a") if link.get("href", "").startswith("#")]
    ids = {found["id"] for _, found in page.elements if "id" in found}
    assert set(named) <= ids
    assert "Traceback" not in page.text
    for fault in page.all("input") + page.all("select"):
        if "aria-invalid" in fault:
            assert fault["aria-describedby"] in ids


@pytest.mark.parametrize("path", ["cohort", "", "parties", "match"])
def test_what_was_typed_is_escaped_and_not_answered(http: httpx.Client, path: str) -> None:
    html = http.get(f"/{path}?block=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&%3Cb%3E=1").text
    assert "<script>alert" not in html
    assert "<b>" not in html


def test_an_address_has_a_length(http: httpx.Client) -> None:
    assert "too long" in read(http, "cohort?" + urlencode([("class", "laboratory")] * 300), 400).said
    assert "characters" in read(http, f"parties?account=0x{'a' * 5000}", 400).said
    assert read(http, f"cohort?party={'a' * 20_000}", 431).title.startswith("Refused")


def test_a_study_that_is_not_there_is_said(http: httpx.Client) -> None:
    assert "No study 0x" in read(http, f"study?id=0x{'0' * 64}", 404).said
    assert "Choose one from the list" in read(http, "study", 404).said


# -- HTTP ------------------------------------------------------------------------------------------------------------


def test_a_page_is_sent_again_only_where_it_changed(http: httpx.Client) -> None:
    first = http.get("/coverage")
    tag = first.headers["etag"]
    again = http.get("/coverage", headers={"If-None-Match": tag})
    assert again.status_code == 304
    assert not again.content
    assert http.get(f"/coverage?block={LATE}", headers={"If-None-Match": tag}).status_code == 200
    assert "etag" not in http.get("/coverage?block=x").headers
    assert first.headers["cache-control"] == "no-cache"
    for name in ("explore.js", "page.css", "uPlot.iife.min.js", "inter-latin-wght-normal.woff2"):
        asset = http.get(f"/assets/{name}")
        assert asset.status_code == 200
        assert http.get(f"/assets/{name}", headers={"If-None-Match": asset.headers["etag"]}).status_code == 304


def test_empty_parameters_are_no_part_of_an_address(http: httpx.Client) -> None:
    answer = http.get("/cohort?block=&purpose=HRESCH&at=&party=%20")
    assert (answer.status_code, answer.headers["location"]) == (303, "cohort?purpose=HRESCH")
    assert http.get("/?block=").headers["location"] == "./"


@pytest.mark.parametrize(
    "path", ["nope", "a/b/c", "assets/../app.py", "assets/site.py", "assets/nope.js", ".git/config"]
)
def test_other_addresses_have_a_page_that_leads_back(http: httpx.Client, path: str) -> None:
    page = read(http, path, 404)
    [home] = [link["href"] for link in page.all("a") if link.get("href", "").endswith("./")][:1]
    assert http.get(urljoin(f"http://127.0.0.1/{path}", home)).status_code == 200


def test_nothing_is_taken(http: httpx.Client) -> None:
    for method in ("POST", "PUT", "DELETE"):
        answer = http.request(method, "/cohort")
        assert answer.status_code == 405
        assert "Open them with GET" in answer.text
    assert http.request("POST", "/cohort", content=b"x").status_code == 413
    assert http.head("/cohort").status_code == 200


def test_all_pages_are_looked_at_here() -> None:
    assert set(SHOWN) == {path.partition("?")[0] for path in EVERY}
    assert EXAMPLE


# -- small counts that other numbers of a page would tell ------------------------------------------------------------


def figures_of(dataset: Dataset, threshold: int) -> dict[str, int | None]:
    registry = Registry(dataset, suppression=Suppression(threshold))
    return {label: count.value for label, count in registry.figures(registry.last)}


def test_the_overview_leaves_no_few_over_between_its_figures_and_its_flow(tmp_path: Path) -> None:
    index = seeded(tmp_path / "index.db", subjects=60)
    indexed = deployment_of(index)
    told, when = Chronicle(dict(indexed.contracts)), END + timedelta(days=30)
    refusal = Rule(
        purposes=Purpose.HRESCH,
        classes=DataClass.GENOMICS,
        conditions=Condition.ALL,
        sensitivities=Sensitivity.NONE_LABELLED,
        settings=CareSetting.ALL,
        actions=Action.ALL,
        party_kinds=PartyKind.RESEARCHER,
        research=ResearchUse.PERMISSIONS,
        valid_from=END.replace(minute=0, second=0),
        deny=True,
    )
    for number in range(3):
        grant(told, when, address("refuses", number), EVERYONE, refusal)
    indexed.append(told.batch(indexed.block + 1, number_at(when) + 1))
    everything = Suppression(off="All of it is made up.")
    with Dataset.of_index(indexed) as grown:
        shown = Registry(grown, suppression=everything)
        *_, (_, standing, _, _) = shown.flow(shown.last)
        subjects = dict(shown.figures(shown.last))["subjects with rules"].value
        assert (subjects, standing.value) == (56, 53)
        assert figures_of(grown, 3)["subjects with rules"] == 56
        assert figures_of(grown, 4)["subjects with rules"] is None
    index.close()


def test_the_overview_does_not_count_what_few_people_permitted(dataset: Dataset) -> None:
    rules = dataset.table("rules")
    permits = rules.filter(rules.standing & ~rules.revoked & ~rules.deny)
    people, number = (int(one.to_pyarrow().as_py()) for one in (permits.subject.nunique(), permits.count()))
    assert people < number
    assert figures_of(dataset, people)["permissions that stand"] == number
    assert figures_of(dataset, people + 1)["permissions that stand"] is None


def test_a_bar_tells_nothing_beside_the_counts_that_are_shown(dataset: Dataset) -> None:
    registry = Registry(dataset, suppression=Suppression(40))
    for by in ("class", "purpose", "condition", "duo", "sensitivity"):
        found = registry.coverage(by, registry.last)
        most = max(one.size.value or 0 for one in found)
        assert [one.share for one in found] == [one.size.value / most if one.size.value else None for one in found]


@pytest.mark.parametrize(
    ("payee", "size", "due", "paid", "told"),
    [
        (Payee.SUBJECTS, 5, 10, 0, False),  # promised to five, each of whom gets two
        (Payee.SUBJECTS, 30, 40, 20, False),  # ten were paid
        (Payee.SUBJECTS, 40, 22, 58, True),
        (Payee.SUBJECTS, 5, 0, 0, False),  # what is free tells it, where all that was put up is a round sum
        (Payee.CUSTODIAN, 5, 2, 2, True),
    ],
)
def test_a_bounty_does_not_tell_how_few_a_cohort_has(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, payee: Payee, size: int, due: int, paid: int, told: bool
) -> None:
    [cohort] = Registry(dataset, suppression=Suppression()).cohorts(known_study(dataset), known_as_of(dataset))
    amounts = {"payment": "2", "free": "777", "due": str(due), "paid": str(paid), "refunded": "0"}
    bounty = {"token": address("token"), "payee": int(payee), "accept_until": datetime(2030, 1, 1, tzinfo=UTC)}
    monkeypatch.setattr(Registry, "cohorts", lambda *_: [{**cohort, "size": size}])
    monkeypatch.setattr(Registry, "bounties", lambda *_: [{**bounty, **amounts}])
    made = Explorer(OfDataset(dataset, suppression=Suppression())).page("study", [("id", study_id(1))])
    assert made.status == 200
    page = Page(made.text.decode())
    assert ("777" in page.said) is told
    assert page.said.count("not shown not shown") == (0 if told else 2)


def known_as_of(dataset: Dataset) -> AsOf:
    return Registry(dataset, suppression=Suppression()).last


def known_study(dataset: Dataset) -> StudyRow:
    registry = Registry(dataset, suppression=Suppression())
    [found] = [one for one, _ in registry.studies(registry.last) if one.id == study_id(1)]
    return found
