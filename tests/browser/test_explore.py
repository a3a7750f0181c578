"""What people do with the pages: with a mouse, with a keyboard, on a phone, with and without scripts, from a disk."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, expect

from medproof.explore import Explorer, write_site
from medproof.explore.asking import EXAMPLES
from tests.browser.conftest import Watched, site_of
from tests.sdk.explore.seed import study_id

PATHS = {
    "overview": "",
    "cohort": f"cohort?{urlencode(EXAMPLES[1][1])}&trend=1",
    "few": "cohort?purpose=HRESCH&research=NRES&sensitivity=NONE_LABELLED",
    "wrong": "cohort?block=x&party=y&purpose=z",
    "coverage": "coverage",
    "studies": "studies",
    "study": f"study?id={study_id(1)}",
    "parties": "parties?sort=-kind",
    "match": "match",
    "evidence": "evidence",
    "missing": "nope",
}


@pytest.mark.parametrize("name", PATHS)
def test_axe_finds_nothing_wide_or_narrow_light_or_dark(browser: Browser, origin: str, name: str) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    watched = Watched(context, origin)
    page = watched.open(PATHS[name])
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert watched.violations() == []
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 390, "height": 844})
    assert watched.violations() == []
    for width in (390, 320):  # nothing is wider than the narrowest screen
        page.set_viewport_size({"width": width, "height": 640})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert [one for one in watched.faults if "status of 40" not in one] == []
    context.close()


def test_a_tick_changes_the_count_and_the_address(watched: Watched) -> None:
    page = watched.open(f"cohort?{urlencode(EXAMPLES[1][1])}")
    before = page.locator(".size").inner_text()
    page.evaluate("window.stays = true")
    page.locator("summary", has_text="Kind of data").click()
    page.get_by_role("checkbox", name="Genomics genomics").check()
    expect(page.locator(".size")).not_to_have_text(before)
    after = page.locator(".size").inner_text()
    assert "class=genomics" in page.url
    assert "block=" not in page.url  # fields that are empty are no part of it
    assert page.evaluate("window.stays")
    expect(page.locator("#announcement")).to_contain_text(f"{after} subjects permit this")
    expect(page.locator('[data-chosen="class"]')).to_have_text("Laboratory results, Medications, Genomics")
    page.reload()
    assert page.locator(".size").inner_text() == after
    assert page.locator("input[name=class][value=genomics]").is_checked()


def test_the_slider_moves_through_time_by_keyboard(watched: Watched) -> None:
    page = watched.open("cohort")
    slider = page.get_by_role("slider", name="Move through time")
    last = page.locator(".size").inner_text()
    slider.focus()
    for _ in range(4):
        page.keyboard.press("PageDown")
    expect(page.locator(".size")).not_to_have_text(last)
    block = page.get_by_label("As of block").input_value()
    assert block == slider.input_value()
    assert slider.get_attribute("aria-valuetext") == f"block {block}"
    assert f"block={block}" in page.url
    page.keyboard.press("Home")
    expect(page.locator(".size")).to_have_text("0")
    page.get_by_label("As of block").fill(block)
    expect(page.locator(".size")).not_to_have_text("0")
    assert slider.input_value() == block


def test_the_overview_moves_through_time(watched: Watched) -> None:
    page = watched.open()
    first = page.locator(".figures dd").first.inner_text()
    page.get_by_label("or as of a day (UTC)").fill("2025-08-01")
    expect(page.locator(".figures dd").first).not_to_have_text(first)
    expect(page.locator("#announcement")).to_contain_text("1 August 2025")
    expect(page.locator(".uplot")).to_have_count(1)


def test_what_is_wrong_is_said_while_it_is_typed(watched: Watched) -> None:
    page = watched.open("cohort")
    page.get_by_label("As of block").fill("99999999")
    expect(page.locator("#answer")).to_contain_text("is not known here")
    expect(page.locator("#announcement")).to_contain_text("Correct what is named")
    page.get_by_label("As of block").fill("")
    expect(page.locator(".size")).to_be_visible()
    watched.faults[:] = [one for one in watched.faults if "status of 400" not in one]


def test_charts_are_drawn_of_the_tables_beside_them(watched: Watched) -> None:
    page = watched.open("?block=19000")
    figure = page.locator("figure.chart")
    expect(figure.locator(".uplot canvas")).to_have_count(1)
    assert figure.locator(".plot").get_attribute("aria-hidden") == "true"
    assert figure.locator("table[data-chart] tbody tr").count() > 12
    drawn = page.evaluate(
        """() => { const canvas = document.querySelector(".uplot canvas"), context = canvas.getContext("2d");
        return new Set(context.getImageData(0, 0, canvas.width, canvas.height).data).size; }"""
    )
    assert drawn > 20
    page.emulate_media(color_scheme="dark")
    expect(page.locator(".uplot canvas")).to_have_count(1)


def test_everything_is_reached_by_keyboard_and_seen(watched: Watched) -> None:
    page = watched.open("cohort")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    seen = set()
    for _ in range(80):
        page.keyboard.press("Tab")
        found = page.evaluate(
            """() => { const one = document.activeElement, style = getComputedStyle(one);
            const box = one.getBoundingClientRect();
            const at = document.elementFromPoint(box.x + box.width / 2, box.y + Math.min(box.height / 2, 5));
            return [one.tagName, one.id || one.textContent.trim().slice(0, 20), style.outlineStyle, style.outlineWidth,
              one.contains(at) || at?.contains(one) || !at]; }"""
        )
        if found[0] == "BODY":
            break
        seen.add(found[1])
        assert found[2:] == ["solid", "3px", True], found
    assert {"slider", "block", "at", "kind", "group", "party"} <= seen
    assert any(one.startswith("Show how") for one in seen)


def test_the_address_is_copied(watched: Watched, origin: str) -> None:
    watched.page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=origin)
    page = watched.open("cohort")
    page.get_by_role("button", name="Copy Command").click()
    expect(page.locator("#announcement")).to_have_text("Command copied.")
    assert page.evaluate("navigator.clipboard.readText()") == page.locator("#command").inner_text()


def test_nothing_moves_where_that_is_asked_for(watched: Watched) -> None:
    page = watched.open("cohort")
    moving = page.evaluate(
        """() => [...document.querySelectorAll("*")].filter((one) => {
          const style = getComputedStyle(one);
          return style.transitionDuration !== "0s" || style.animationName !== "none";
        }).length"""
    )
    assert moving == 0


def test_without_scripts_the_pages_say_and_ask_the_same(browser: Browser, origin: str, watched: Watched) -> None:
    context = browser.new_context(java_script_enabled=False)
    plain = context.new_page()
    plain.goto(f"{origin}cohort?{urlencode(EXAMPLES[1][1])}")
    assert not plain.get_by_role("slider").is_visible()
    plain.locator("summary", has_text="Kind of data").click()
    plain.get_by_role("checkbox", name="Genomics genomics").check()
    plain.get_by_label("As of block").fill("18000")
    plain.get_by_role("button", name="Count").click()
    said = plain.locator(".size").inner_text()
    assert plain.url.endswith("block=18000") or "block=18000" in plain.url
    assert "party=" not in plain.url
    page = watched.open(plain.url.removeprefix(origin))
    assert page.locator(".size").inner_text() == said
    plain.goto(origin)
    assert plain.locator("table[data-chart] tbody tr").first.is_visible()
    plain.get_by_label("As of block").fill("x")
    plain.get_by_role("button", name="Show").click()
    assert plain.title().startswith("Error: ")
    context.close()


def test_hostile_names_do_nothing(watched: Watched) -> None:
    page = watched.open("parties?group=5")
    assert page.locator("script:not([src])").count() == 0
    assert "<script>" in page.locator("#group").inner_text()


def test_a_copy_is_read_from_a_disk(browser: Browser, explorer: Explorer, tmp_path: Path) -> None:
    folder = tmp_path / "a copy, with % and # in its path"
    names = write_site(explorer, folder)
    context = browser.new_context()
    watched = Watched(context, site_of(folder))
    visited, waiting = set(), ["index.html"]
    while waiting:
        name = waiting.pop()
        if name in visited:
            continue
        visited.add(name)
        page = watched.open(name)
        links = page.evaluate("[...document.querySelectorAll('a')].map((one) => one.getAttribute('href'))")
        waiting += [link for link in links if not link.startswith("#")]
        if page.locator("table[data-chart]").count():
            expect(page.locator(".uplot canvas")).to_have_count(page.locator("table[data-chart]").count())
        assert page.evaluate("getComputedStyle(document.body).fontSize") == "16px"
        assert page.locator("form").count() == 0
    assert visited == set(names)
    watched.open("cohort-2.html")
    assert watched.violations() == []
    assert watched.faults == []
    assert re.search("run\\s+medproof explore", watched.page.locator("footer").inner_text())
    context.close()
