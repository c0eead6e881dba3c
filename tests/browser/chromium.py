"""Headless Chromium for tests of pages: what it logged, what it asked for, how long it took."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

DESKTOP, PHONE = (1280, 900), (390, 844)
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
    "--force-device-scale-factor=1",
)  # fmt: skip


def found() -> tuple[str, str] | None:
    """Where the browser and its driver are installed; None without either."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    return (browser, driver) if browser and driver else None


class Browser:
    """One page at a time, and everything that a test wants to know of it."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def size(self, width: int, height: int) -> None:
        """Set the viewport, as a device of that size has it."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def media(self, **features: str) -> None:
        """Set what the page is told about its reader: `prefers_color_scheme="dark"`; `media="print"`."""
        medium = features.pop("media", "")
        told = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": medium, "features": told})

    def open(self, address: str) -> None:
        """Open an address anew."""
        self.driver.get("about:blank")
        self.drained()
        self.errors()
        self.driver.get(address)

    def find(self, css: str) -> Any:
        """The first element that matches; raises NoSuchElementException."""
        return self.driver.find_element(By.CSS_SELECTOR, css)

    def all(self, css: str) -> list[Any]:
        """All elements that match."""
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def run(self, script: str, *values: Any) -> Any:
        """The value that a script returns."""
        return self.driver.execute_script(script, *values)

    def wait(self, css: str) -> Any:
        """The first element that matches, once there is one."""
        return WebDriverWait(self.driver, 10).until(lambda driver: driver.find_element(By.CSS_SELECTOR, css))

    def shot(self, path: Path) -> None:
        """A picture of the viewport."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.driver.save_screenshot(str(path))

    def errors(self) -> list[str]:
        """What the console holds since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def drained(self) -> list[str]:
        """Addresses that were asked for since the last call, beside `data:` and `about:`."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = [one["params"] for one in messages if one["method"] == "Network.requestWillBeSent"]
        addresses = [params["request"]["url"] for params in sent]
        return [address for address in addresses if not address.startswith(("data:", "about:"))]


@contextmanager
def chromium(profile: Path) -> Iterator[Browser]:
    """A browser with an empty profile. Raises TypeError where none is installed: ask `found` first."""
    binary, driver_path = found() or (None, None)
    options = webdriver.ChromeOptions()
    options.binary_location = str(binary)
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(str(driver_path)))
    try:
        yield Browser(driver)
    finally:
        driver.quit()
