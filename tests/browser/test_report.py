"""The report in a browser, opened from disk: quiet, offline, every number leads to its trials and traces."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from tests.browser.chromium import DESKTOP, PHONE, Browser
from tests.browser.conftest import Report

pytestmark = pytest.mark.browser
WIDTHS = pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
VIEWS = {"top": "", "contrast": "#trials?pair=1.0&system=0", "matrix": "#matrix", "trace": "#trial-1"}


def opened(browser: Browser, report: Report, fragment: str = "", size: tuple[int, int] = DESKTOP) -> Browser:
    browser.size(*size)
    browser.media()
    browser.open(report.address(fragment))
    if fragment.startswith("#trial-"):
        browser.wait("#shown[data-trial]")
    return browser


@WIDTHS
@pytest.mark.parametrize("view", VIEWS)
def test_every_view_is_quiet_offline_and_fits(
    browser: Browser, report: Report, pictures: Path, view: str, size: tuple[int, int]
) -> None:
    page = opened(browser, report, VIEWS[view], size)
    page.shot(pictures / f"{view}-{size[0]}.png")
    assert page.errors() == []
    beside = report.address().rsplit("/", 1)[0] + "/"
    assert all(address.startswith(beside) for address in page.drained())
    assert page.run("return document.documentElement.scrollWidth") <= size[0]
    assert page.run("return window.planted") is None


def test_a_contrast_leads_in_two_clicks_to_a_trace(browser: Browser, report: Report) -> None:
    page = opened(browser, report)
    entry = report.results["contrasts"][0]
    page.find(".answer a").click()
    told = page.find("#count").text
    assert told.startswith(f"{entry['pairs']} pairs of trials in {entry['scenarios']} scenarios")
    shown = float(re.search(r"recall ([+−-]?\d+\.\d+)", told).group(1).replace("−", "-"))  # type: ignore[union-attr]
    assert shown == pytest.approx(entry["estimate"], abs=0.006)
    assert len(page.all("#list tbody tr")) == entry["pairs"]
    page.find("#list tbody a").click()
    page.wait("#shown[data-trial]")
    assert page.find("#trial").text.startswith("Trial ")
    assert len(page.all(".timeline h4")) > 5
    assert page.errors() == []


def test_numbers_in_plots_and_tables_lead_to_as_many_trials(browser: Browser, report: Report) -> None:
    page = opened(browser, report)
    for arm in report.results["arms"]:
        rows = [one for one in report.records if (one.spec.model, one.spec.arm) == (arm["model"], arm["arm"])]
        link = page.find(
            f'a[href="#trials?system={int(arm["model"] == "sim_b")}&arm={page_arm(page, arm["arm"])}"]'
        )
        page.run("location.hash = arguments[0]", link.get_attribute("href").split("#")[1])
        assert page.find("#count").text.startswith(f"{len(rows)} of {len(report.records)} trials")
        shown = re.search(r"recall (\d+\.\d+), remediated (\d+\.\d+)", page.find("#count").text)
        assert shown is not None
        assert float(shown.group(1)) == pytest.approx(arm["recall"]["mean"], abs=0.006)
        assert float(shown.group(2)) == pytest.approx(arm["remediated"]["mean"], abs=0.006)
    counts = page.run(
        "return [...document.querySelectorAll('section[aria-labelledby=denominators] td a')]"
        ".map((link) => [link.getAttribute('href'), Number(link.textContent)])"
    )
    for address, number in counts:
        page.run("location.hash = arguments[0]", address)
        text = page.find("#count").text
        assert text.startswith(f"{number} of ") if number else text == "No trial has all of this."


def page_arm(page: Browser, name: str) -> int:
    """The number that the page's addresses give an arm."""
    return int(page.run("return data.arms.indexOf(arguments[0])", name))


def test_every_link_leads_somewhere(browser: Browser, report: Report) -> None:
    page = opened(browser, report)
    lost = page.run(
        """
        const links = new Set([...document.querySelectorAll("a")].map((one) => one.getAttribute("href")
          ?? one.getAttribute("xlink:href")));
        return [...links].filter((link) => {
          const [, trial] = /^#trial-(\\d+)$/.exec(link) ?? [];
          if (trial) return !trialByNumber.has(Number(trial));
          if (link.startsWith("#trials")) return false;
          return !byId(link.slice(1));
        });
        """
    )
    assert lost == []


def test_a_cell_of_the_matrix_leads_to_its_pairs(browser: Browser, report: Report) -> None:
    page = opened(browser, report, "#matrix")
    cell = page.find(".matrix tbody tr:nth-child(3) td:nth-child(3) a")
    scenario = page.find(".matrix tbody tr:nth-child(3) th").text
    assert scenario in cell.get_attribute("aria-label")
    page.run("arguments[0].click()", cell)
    page.wait("#list .pairs")
    assert {row.text for row in page.all("#list tbody td:first-child")} == {scenario}


def test_a_trace_shows_turns_guards_alerts_labels_and_verdict(browser: Browser, report: Report) -> None:
    marked = next(
        number
        for number, one in enumerate(report.records)
        if one.trace and one.verdict and any(label.present == "present" for label in one.labels)
    )
    page = opened(browser, report, f"#trial-{marked}")
    text = page.find("#trial-section").text
    for said in (
        "symptom",
        "cause",
        "collateral damage",
        "guard verifier_gate: deny on submission",
        "Turn 8",
    ):
        assert said in text
    assert "CheckoutHighErrorRate checkout" in page.find(".lanes").text
    assert len(page.all(".lane b")) == 2
    page.find('#shown a[aria-label$="event 4"]').click()
    here = page.wait(".timeline .here")
    assert here.get_attribute("id") == f"trial-{marked}.event-4"
    assert "marked" in here.get_attribute("class")
    assert page.run("return document.activeElement.id") == here.get_attribute("id")


def test_no_planted_script_runs_in_any_trace(browser: Browser, report: Report) -> None:
    page = opened(browser, report)
    for number in range(0, len(report.records), 7):
        page.run("location.hash = arguments[0]", f"trial-{number}")
        page.wait(f'#shown[data-trial="{number}"]')
        assert "window.planted" in page.find("#shown").get_attribute("textContent")
    assert page.run("return window.planted") is None
    assert page.run("return document.querySelectorAll('img').length") == 0
    assert page.errors() == []


def test_a_trace_that_is_gone_says_what_to_do(browser: Browser, report: Report) -> None:
    page = opened(browser, report)
    page.run("data.packed.length = 0; packed.clear(); data.directory = 'gone'; location.hash = 'trial-3'")
    assert "gone" in page.wait("#shown .problem").text


def test_the_keyboard_is_enough(browser: Browser, report: Report) -> None:
    page = opened(browser, report)
    body = page.find("body")
    body.send_keys(Keys.TAB)
    assert page.run("return document.activeElement.textContent") == "Skip to the results"
    page.run("location.hash = '#trials'")
    assert page.run("return document.activeElement.id") == "trials"
    button = page.find('#list th[data-column="recall"] button')
    button.send_keys(Keys.ENTER)
    assert page.find('#list th[data-column="recall"]').get_attribute("aria-sort") == "ascending"
    assert page.run("return document.activeElement.closest('th').dataset.column") == "recall"
    page.find("#filter-outcome").send_keys("✕")
    link = page.find("#list tbody a")
    link.send_keys(Keys.ENTER)
    page.wait("#shown[data-trial]")
    assert page.run("return document.activeElement.id") == "trial"


def test_everything_that_can_be_reached_has_a_name(browser: Browser, report: Report) -> None:
    page = opened(browser, report, "#trial-1")
    nodes = page.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    roles = {"link", "button", "combobox", "region", "heading", "table", "navigation"}
    named = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in nodes
        if not node.get("ignored") and node["role"]["value"] in roles
    ]
    assert len(named) > 100
    assert [role for role, name in named if not name.strip()] == []
    levels = page.run(
        "return [...document.querySelectorAll('h1,h2,h3,h4')].map((one) => Number(one.tagName[1]))"
    )
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(browser: Browser, report: Report, scheme: str) -> None:
    page = opened(browser, report)
    page.media(prefers_color_scheme=scheme)
    texts = {"ink": ("paper", "panel"), "soft": ("paper", "panel"), "accent": ("paper",), "worse": ("paper",)}
    texts |= {"better": ("paper", "panel"), "warn-ink": ("warn",)}
    for text, grounds in texts.items():
        for ground in grounds:
            assert contrast(colour(page, text), colour(page, ground)) >= 4.5, (scheme, text, ground)


def colour(page: Browser, name: str) -> list[float]:
    """A colour of the page as red, green and blue in [0, 1]."""
    text = page.run(
        "return getComputedStyle(document.documentElement).getPropertyValue('--' + arguments[0])", name
    )
    digits = text.strip().lstrip("#")
    return [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]


def contrast(one: list[float], other: list[float]) -> float:
    """Contrast ratio as WCAG 2.2 defines it (relative luminance of sRGB)."""

    def luminance(rgb: list[float]) -> float:
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in rgb]
        return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_print_leaves_out_what_paper_cannot_do(browser: Browser, report: Report) -> None:
    page = opened(browser, report)
    page.media(media="print")
    assert not page.find("nav").is_displayed()
    assert not page.find("#filters").is_displayed()
    assert page.find(".matrix").is_displayed()
    pdf = page.driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": False})
    assert len(pdf["data"]) > 50_000
