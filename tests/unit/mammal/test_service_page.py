"""The page of the service in a real browser: headless Chromium, driven through its pipe of the DevTools protocol."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SECONDS = 30
KEY = "a key of the page's test"

pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason="no chromium, chromium-browser or google-chrome on the PATH"),
    pytest.mark.slow,
]


class Browser:
    """A headless browser with one page."""

    def __init__(self, folder: Path):
        to_browser, self._out = os.pipe()
        self._in, from_browser = os.pipe()
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--user-data-dir={folder}"]
        flags += ["--disable-background-networking", "--remote-debugging-pipe", "--disable-dev-shm-usage"]
        line = f'exec "$0" "$@" 3<&{to_browser} 4>&{from_browser}'
        self.process = subprocess.Popen(
            ["bash", "-c", line, str(BROWSER), *flags, "about:blank"],
            pass_fds=(to_browser, from_browser),
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(to_browser)
        os.close(from_browser)
        self._number, self._read, self.messages = 0, b"", []
        targets = self.send("Target.getTargets")["targetInfos"]
        page = next(one["targetId"] for one in targets if one["type"] == "page")
        self._session = self.send("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Sends a command and returns its result. Events in between are kept in `messages`."""
        self._number += 1
        session = {"sessionId": self._session} if hasattr(self, "_session") else {}
        command = {"id": self._number, "method": method, "params": parameters, **session}
        os.write(self._out, json.dumps(command).encode() + b"\0")
        while True:
            while b"\0" not in self._read:
                chunk = os.read(self._in, 1 << 16)
                assert chunk, "the browser has ended"
                self._read += chunk
            text, _, self._read = self._read.partition(b"\0")
            message = json.loads(text)
            if message.get("id") == self._number:
                assert "error" not in message, message
                return message["result"]
            self.messages.append(message)

    def open(self, url: str, width: int = 1200, height: int = 900, *, first: str = "") -> None:
        """Opens a page. `first` is a script that runs before those of the page."""
        added = self.send("Page.addScriptToEvaluateOnNewDocument", source=first)["identifier"]
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700}
        self.send("Emulation.setDeviceMetricsOverride", **metrics)
        self.send("Page.navigate", url=url)
        self.wait(f"location.href === {json.dumps(url)} && document.readyState === 'complete'")
        self.send("Page.removeScriptToEvaluateOnNewDocument", identifier=added)

    def run(self, script: str) -> Any:
        """The value of an expression in the page."""
        done = self.send("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    def wait(self, script: str) -> Any:
        """Waits until an expression is true."""
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            if found := self.run(script):
                return found
            time.sleep(0.05)
        raise AssertionError(f"never true: {script}\n{self.run('document.body.innerText')}")

    def write(self, text: str) -> None:
        """Types text into the element that has the focus."""
        self.send("Input.insertText", text=text)

    def press(self, key: str, code: int) -> None:
        for kind in ("rawKeyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def screenshot(self, file: Path) -> None:
        size = self.send("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        taken = self.send("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(taken["data"]))

    def problems(self) -> list[str]:
        """Errors of scripts, refused resources, and requests to other servers."""
        found = []
        for message in self.messages:
            entry = message.get("params", {}).get("entry", {})
            if message["method"] == "Log.entryAdded" and entry["level"] == "error":
                found.append(f"{entry['text']} {entry.get('url', '')}")
            if message["method"] == "Runtime.exceptionThrown":
                found.append(json.dumps(message["params"]["exceptionDetails"]))
            if message["method"] == "Network.requestWillBeSent":
                url = message["params"]["request"]["url"]
                if not url.startswith(("http://127.0.0.1:", "data:", "blob:", "about:", "chrome:")):
                    found.append(f"asks another server: {url}")
        return found

    def close(self) -> None:
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(10)
        os.close(self._in)
        os.close(self._out)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    opened = Browser(tmp_path_factory.mktemp("browser"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of screenshots: MAMMAL_SCREENSHOTS, or a temporary one."""
    folder = os.environ.get("MAMMAL_SCREENSHOTS")
    return tmp_path_factory.mktemp("pictures") if folder is None else Path(folder)


def choose(browser: Browser, task: str) -> None:
    browser.wait("document.querySelectorAll('#task option').length > 2")
    browser.run(
        "{const s = document.getElementById('task');"
        f"s.value = [...s.options].find(o => o.text === {json.dumps(task)}).value;"
        "s.dispatchEvent(new Event('change', {bubbles: true}));}"
    )


def submit(browser: Browser, rows: str | None) -> None:
    """Writes rows and starts with the keyboard alone."""
    browser.run("document.getElementById('results').hidden = true")
    if rows is not None:
        browser.run("document.getElementById('rows').value = ''; document.getElementById('rows').focus()")
        browser.write(rows)
    browser.run("document.getElementById('run').focus()")
    browser.press("Enter", 13)
    browser.send("Input.dispatchKeyEvent", type="char", text="\r", key="Enter")
    browser.wait("!document.getElementById('results').hidden && !document.getElementById('run').disabled")


def test_molecules_are_predicted_drawn_and_refused_with_the_reason(
    browser: Browser, service_process: Callable[..., Any], tiny_bundle: Path, pictures: Path
):
    service = service_process(tiny_bundle)
    service.until_ready()
    browser.open(service.url + "/")
    choose(browser, "melting point")
    submit(browser, "CC(=O)Oc1ccccc1C(=O)O\nC1CC\nCn1cnc2c1c(=O)n(C)c(=O)n2C")
    assert browser.run("document.getElementById('summary').textContent") == "2 of 3 rows answered"
    assert browser.run("document.querySelectorAll('td.drawing svg path').length") > 20
    assert "unclosed ring" in browser.run("document.querySelector('td.reason').textContent")
    expected = service.post("/predict", {"data": ["CC(=O)Oc1ccccc1C(=O)O"], "task": "melting_point"})[1]["rows"][0]
    seen = browser.run("document.querySelector('td.value').firstChild.textContent")
    assert float(seen) == pytest.approx(expected["prediction"], rel=1e-3)
    browser.screenshot(pictures / "desktop.png")
    browser.open(service.url + "/", width=390, height=844)
    choose(browser, "bbbp")
    submit(browser, "CCO\nC1CC")
    assert browser.run("document.documentElement.scrollWidth") <= 390
    browser.screenshot(pictures / "phone.png")
    assert browser.problems() == []


def test_tables_samples_and_downloads(
    browser: Browser, service_process: Callable[..., Any], tiny_bundle: Path, tmp_path: Path, pictures: Path
):
    service = service_process(tiny_bundle)
    service.until_ready()
    browser.messages.clear()
    browser.open(service.url + "/")
    choose(browser, "bbbp")
    browser.run("document.querySelector('input[value=csv]').click()")
    submit(browser, 'id,smiles,note\n7,CCO,"a, b"\n8,C1CC,x\n')
    browser.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    browser.run("document.getElementById('download').click()")
    file = tmp_path / "bbbp.csv"
    end = time.monotonic() + SECONDS
    while not file.is_file() and time.monotonic() < end:
        browser.run("1")
        time.sleep(0.05)
    header, first, second = file.read_text().splitlines()
    assert header == "id,smiles,note,prediction,probability,error"
    assert first.startswith('7,CCO,"a, b",') and second.startswith("8,C1CC,x,,,")
    choose(browser, "molecules")
    submit(browser, None)
    assert browser.run("document.querySelectorAll('tbody tr').length") == 8
    browser.screenshot(pictures / "samples.png")
    choose(browser, "Properties of molecules")
    browser.run("document.querySelector('input[value=values]').click()")
    submit(browser, "CCO")
    assert "46.07" in browser.run("document.querySelector('tbody').innerText")
    assert browser.problems() == []


EXPLAINED = {
    "name": "words",
    "kind": "classification",
    "mode": "decoder",
    "labels": ["no", "<b>yes</b>"],
    "prompt": {
        "input": "<BBBP><SENTINEL_ID_0> {note:text} {protein:protein}",
        "target": "<SENTINEL_ID_0> {y:label} <SENTINEL_ID_1> {z:label}",
    },
}


@pytest.fixture(scope="module")
def guarded(service_process: Callable[..., Any], small_bundle: Callable[..., Path]) -> Any:
    """A service that needs a key, for `EXPLAINED` and `bbbp`."""
    service = service_process(small_bundle("bbbp", EXPLAINED), env={"MAMMAL_API_KEY": KEY})
    service.until_ready()
    return service


def explain(browser: Browser, row: int) -> None:
    """Opens the explanation of a row with the keyboard alone, and waits for it."""
    browser.run(f"document.querySelectorAll('td.explain button')[{row}].focus()")
    browser.press("Enter", 13)
    browser.send("Input.dispatchKeyEvent", type="char", text="\r", key="Enter")
    browser.wait("document.querySelector('.explanation figure') !== null")


def test_a_row_is_explained_with_coloured_atoms(
    browser: Browser, service_process: Callable[..., Any], tiny_bundle: Path, pictures: Path
):
    pytest.importorskip("captum")
    service = service_process(tiny_bundle)
    service.until_ready()
    browser.messages.clear()
    browser.open(service.url + "/")
    choose(browser, "melting point")
    submit(browser, "CC(=O)Oc1ccccc1C(=O)O\nC1CC\nCCO")
    assert browser.run("document.querySelectorAll('td.explain button').length") == 2, "one for each answered row"
    explain(browser, 0)
    drawing = "document.querySelector('.explanation figure svg')"
    assert browser.run(f"{drawing}.querySelectorAll('ellipse').length") > 3
    answer = service.post("/explain", {"data": ["CC(=O)Oc1ccccc1C(=O)O"], "task": "melting_point"})[1]["rows"][0]
    text = browser.run("document.querySelector('.explanation').innerText")
    assert f"tm (K): {answer['output']:.4g}"[:12] in text and answer["read"] in text
    largest = max(answer["attribution"], key=abs)
    assert f"{float(f'{largest:.4g}'):g}" in text.replace("+", ""), "the strongest atoms are listed as text"
    browser.screenshot(pictures / "explained.png")
    browser.run("document.querySelector('.explanation select[name=method]').value = 'occlusion'")
    browser.run("document.querySelector('.explanation select[name=method]').dispatchEvent(new Event('change'))")
    browser.wait("document.querySelector('.explanation figure + .hint')?.innerText.includes('c1ccccc1')")
    browser.open(service.url + "/", width=390, height=844)
    choose(browser, "bbbp")
    submit(browser, "CC(=O)Oc1ccccc1C(=O)O")
    explain(browser, 0)
    assert browser.run("document.documentElement.scrollWidth") <= 390
    browser.screenshot(pictures / "explained_phone.png")
    browser.run("document.querySelector('td.explain button').click()")
    assert browser.run("document.querySelector('.explanation') === null"), "the same button hides it"
    assert browser.problems() == []


def test_explained_text_never_becomes_markup(browser: Browser, guarded: Any, pictures: Path):
    browser.messages.clear()
    browser.open(guarded.url + "/", 390, 844, first=f"sessionStorage.setItem('mammal-key', {json.dumps(KEY)})")
    choose(browser, "words")
    protein = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQAPILSRVGDGTQDNLSGAEKAVQ"
    submit(browser, f"id,note,protein\n<i>1</i>,a <b bold</b word,{protein}\n2,<b>bold</b>,GIGKF\n")
    assert "holds the tag '<b>'" in browser.run("document.querySelector('td.reason').textContent")
    explain(browser, 0)
    parts = "[...document.querySelectorAll('.explanation .parts')]"
    assert browser.run(f"{parts}[0].textContent") == "a <b bold</b word"
    assert "log-odds of <b>yes</b>" in browser.run("document.querySelector('.explanation').textContent")
    assert browser.run(f"{parts}[1].querySelectorAll('.block').length") == 6, "blocks of ten residues"
    assert browser.run("document.querySelectorAll('#results b, #results i').length") == 0
    colours = browser.run(f"{parts}[1].querySelectorAll('span[style*=\"rgb(var(--\"]').length")
    assert colours > 10 and "z" in browser.run("document.querySelector('.explanation select[name=target]').innerText")
    assert browser.run("document.documentElement.scrollWidth") <= 390
    browser.screenshot(pictures / "explained_text.png")
    assert browser.problems() == []


def test_the_page_asks_for_the_key(browser: Browser, guarded: Any, pictures: Path):
    browser.open(guarded.url + "/", first="sessionStorage.clear()")
    browser.wait("!document.getElementById('key-field').hidden")
    browser.run("document.getElementById('key').focus()")
    browser.write(KEY)
    browser.run("document.getElementById('run').click()")
    choose(browser, "bbbp")
    submit(browser, "CCO")
    assert browser.run("document.getElementById('summary').textContent") == "1 of 1 row answered"
    browser.open(guarded.url + "/docs")
    browser.wait("document.querySelectorAll('details').length > 8")
    assert "POST /predict" in browser.run("document.body.innerText")
    browser.screenshot(pictures / "docs.png")
