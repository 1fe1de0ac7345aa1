"""The site in Chromium: no error, whole pictures, search, narrow screens."""

import functools
import http.server
import shutil
import threading

import pytest

pytestmark = pytest.mark.only_on("torch")
playwright = pytest.importorskip(
    "playwright.sync_api", reason="needs the extra `docs`"
)
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update "
    "--disable-sync --disable-dev-shm-usage"
)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def address(site):
    handler = functools.partial(Quiet, directory=site)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def browser():
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if not chromium:
        pytest.skip("needs Chromium; on Debian: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=chromium, args=FLAGS.split()
        )
        yield browser
        browser.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width, height", [(1280, 900), (390, 844)])
def test_every_page(width, height, scheme, browser, address, site):
    tab = browser.new_page(
        viewport=dict(width=width, height=height), color_scheme=scheme
    )
    faults = []
    tab.on("pageerror", lambda error: faults.append((tab.url, str(error))))
    tab.on(
        "console",
        lambda message: (
            message.type == "error" and faults.append((tab.url, message.text))
        ),
    )
    for path in sorted(site.rglob("index.html")):
        page = path.parent.relative_to(site).as_posix()
        tab.goto(f"{address}{page}/" if page != "." else address)
        pictures = tab.evaluate(
            """async () => {
              const pictures = [...document.images];
              pictures.forEach(picture => picture.loading = "eager");
              await Promise.allSettled(pictures.map(p => p.decode()));
              return pictures.map(picture => picture.naturalWidth);
            }"""
        )
        wide = tab.evaluate("document.documentElement.scrollWidth")
        look = tab.evaluate("document.body.dataset.mdColorScheme")
        if 0 in pictures:
            faults.append((page, "a picture is not there"))
        if wide > width:
            faults.append((page, f"is {wide} pixels wide"))
        if look != {"light": "default", "dark": "slate"}[scheme]:
            faults.append((page, f"is {look}, not {scheme}"))
    tab.close()
    assert not faults


def test_search_finds_a_layer(browser, address):
    tab = browser.new_page(viewport=dict(width=1280, height=900))
    tab.goto(address)
    tab.locator(".md-search__button").click()
    tab.get_by_role("combobox").fill("LocalLayer")
    tab.get_by_role("option").filter(has_text="layers.LocalLayer").first.click()
    tab.wait_for_url("**/api/layers/**#keras_ff.layers.LocalLayer")
    tab.close()
