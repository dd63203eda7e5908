"""`make screenshots`: the pictures of the README, taken from the real programs on the whole way."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.common.by import By

from appliance.network.scenario import DEFAULT_SCENARIO, parse
from scripts.browser import open_browser, resize

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "pictures"
PHONE = (360, 720)
DESK = (1280, 800)


def main() -> int:
    """Writes docs/pictures/*.png. Exit code 1 when the product does not get as far."""
    folder = Path(tempfile.mkdtemp(prefix="met-"))
    cloud_port, portal_port = _free_port(), _free_port()
    command = [sys.executable, "-m", "scripts.run", "--data", str(folder / "data")]
    ports = ["--cloud-port", str(cloud_port), "--portal-port", str(portal_port)]
    running = subprocess.Popen([*command, *ports], cwd=ROOT, stdout=subprocess.DEVNULL)
    browser = None
    try:
        _until(lambda: _answers(portal_port), "the station answers")
        browser = open_browser(folder / "profile", width=PHONE[0], height=PHONE[1])
        PICTURES.mkdir(parents=True, exist_ok=True)
        _walk(browser, folder / "data", cloud_port, portal_port)
    finally:
        if browser is not None:
            browser.quit()
        running.terminate()
        running.wait(30)
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def _walk(browser: webdriver.Chrome, data: Path, cloud_port: int, portal_port: int) -> None:
    cloud, portal = f"http://127.0.0.1:{cloud_port}", f"http://127.0.0.1:{portal_port}"
    browser.get(f"{portal}/setup")
    _shoot(browser, "setup-phone")
    home = parse(DEFAULT_SCENARIO).networks[0]
    _press(browser, home.name)
    _fill(browser, "password", home.password)
    _shoot(browser, "password-phone")
    _press(browser, "Connect")
    _until(lambda: "PIN" in _text(browser), "the claim card shows")
    _shoot(browser, "claim-phone")
    link = _claim_link(data)
    _sign_in(browser, cloud, data)
    browser.get(link)
    _until(lambda: "No PIN needed" in _text(browser), "the link fills the form")
    _fill(browser, "name", "Roof camera")
    _shoot(browser, "add-phone")
    _press(browser, "Add station")
    _until(lambda: "looks after itself" in _text(browser), "the page turns green")
    _shoot(browser, "running-phone")
    _hand_in(browser, data)
    resize(browser, *DESK)
    _press(browser, "Open the station")
    _until(lambda: browser.find_elements(By.CSS_SELECTOR, "img[src*='/media/']"), "the picture arrives", 90)
    time.sleep(2)
    _shoot(browser, "station-desk")
    browser.get(cloud)
    _until(lambda: "Roof camera" in _text(browser), "the fleet shows")
    time.sleep(1)
    _shoot(browser, "fleet-desk")
    resize(browser, *PHONE)
    browser.get(f"{portal}/status")
    _until(lambda: "Running" in _text(browser), "the station's own page")
    _shoot(browser, "status-phone")


def _sign_in(browser: webdriver.Chrome, cloud: str, data: Path) -> None:
    email, password = (data / "cloud" / "demo-account.txt").read_text().split()
    browser.get(f"{cloud}/sign-in")
    _fill(browser, "email", email)
    _fill(browser, "password", password)
    _press(browser, "Sign in")
    _until(lambda: "/sign-in" not in browser.current_url, "signed in")


def _hand_in(browser: webdriver.Chrome, data: Path) -> None:
    """Three events with a picture each: a streak over stars, drawn by the browser itself."""
    for number in range(3):
        picture = _sky(browser, number)
        spool = data / "station" / "spool"
        (spool / f"sky{number}.png").write_bytes(picture)
        event = {
            "event_type": "fireball" if number == 2 else "meteor",
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 600 * (3 - number))),
            "confidence": 0.7 + number / 10,
            "duration_ms": 400 + 300 * number,
            "media_files": [f"sky{number}.png"],
        }
        (spool / f"e{number}.json.tmp").write_text(json.dumps(event))
        (spool / f"e{number}.json.tmp").rename(spool / f"e{number}.json")


def _sky(browser: webdriver.Chrome, seed: int) -> bytes:
    script = """
    const c = document.createElement('canvas'); c.width = 640; c.height = 360;
    const g = c.getContext('2d'); let s = arguments[0] * 7919 + 17;
    const r = () => (s = (s * 16807) % 2147483647) / 2147483647;
    const sky = g.createLinearGradient(0, 0, 0, 360);
    sky.addColorStop(0, '#070b1a'); sky.addColorStop(1, '#1b2440');
    g.fillStyle = sky; g.fillRect(0, 0, 640, 360);
    for (let i = 0; i < 220; i++) {
      g.fillStyle = `rgba(255,255,255,${0.2 + 0.6 * r()})`;
      g.fillRect(640 * r(), 360 * r(), 1 + r(), 1 + r());
    }
    const x = 120 + 240 * r(), y = 60 + 80 * r(), dx = 160 + 120 * r(), dy = 60 + 80 * r();
    const streak = g.createLinearGradient(x, y, x + dx, y + dy);
    streak.addColorStop(0, 'rgba(180,210,255,0)'); streak.addColorStop(0.85, 'rgba(255,255,255,.95)');
    streak.addColorStop(1, 'rgba(255,240,200,.2)');
    g.strokeStyle = streak; g.lineWidth = 3; g.lineCap = 'round';
    g.beginPath(); g.moveTo(x, y); g.lineTo(x + dx, y + dy); g.stroke();
    return c.toDataURL('image/png').split(',')[1];
    """
    return base64.b64decode(str(browser.execute_script(script, seed)))


def _claim_link(data: Path) -> str:
    tool = str(Path(sys.executable).parent / "meteor-appliance")
    done = subprocess.run(
        [tool, "--data-dir", str(data / "station"), "status", "--json"], capture_output=True, check=True
    )
    return str(json.loads(done.stdout)["card"]["claim_url"])


def _press(browser: webdriver.Chrome, text: str) -> None:
    xpath = f"//main//*[self::a or self::button][contains(normalize-space(.), {text!r})]"
    _until(lambda: browser.find_elements(By.XPATH, xpath), f"something says {text}")
    browser.find_element(By.XPATH, xpath).click()


def _fill(browser: webdriver.Chrome, name: str, text: str) -> None:
    _until(lambda: browser.find_elements(By.NAME, name), f"a field {name}")
    browser.find_element(By.NAME, name).send_keys(text)


def _text(browser: webdriver.Chrome) -> str:
    return browser.find_element(By.TAG_NAME, "body").text


def _shoot(browser: webdriver.Chrome, name: str) -> None:
    browser.save_screenshot(str(PICTURES / f"{name}.png"))
    print(f"docs/pictures/{name}.png")


def _until(look: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        if time.monotonic() > deadline:
            raise SystemExit(f"never happened: {what}")
        time.sleep(0.2)


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2):
            return True
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    raise SystemExit(main())
