"""The page in a real browser, opened from the disk: light and dark, on a desk and on a phone, with the keyboard, without script."""

import shutil

import pytest

from testing_crew.suite.formats import html

from . import example

pytest.importorskip("selenium", reason="drives the browser: pip install selenium")

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (BROWSER and DRIVER), reason="no chromium, or no chromedriver, is installed here")


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def page(browser, tmp_path):
    file = tmp_path / "report.html"
    file.write_text(html.render(example.suite(tmp_path)), encoding="utf-8")
    screen(browser, 1200)
    browser.get_log("browser")
    browser.get_log("performance")
    browser.get(file.as_uri())
    return browser


def screen(browser, width, scheme="light"):
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def there(browser, selector):
    return browser.find_element(By.CSS_SELECTOR, selector)


def test_texts_that_we_did_not_write_are_shown_and_run_nothing(page):
    assert page.execute_script("return window.hacked") is None
    assert not page.find_elements(By.CSS_SELECTOR, "img, main script")
    assert page.execute_script("return document.scripts.length") == 1
    assert "<script>window.hacked = 1</script><img src=x" in there(page, "#findings + details").text
    there(page, "#m1 > summary").click()
    assert '</script> & <b>percent</b>"' in there(page, "#m1-L7").text
    # Were such a thing ever to get into the page, the policy would still not run it.
    page.execute_script(
        "document.body.append(Object.assign(document.createElement('script'), {text: 'window.hacked = 4'}))"
    )
    assert page.execute_script("return window.hacked") is None


def test_nothing_is_asked_for_but_the_file_itself_and_its_own_style_is_obeyed(page):
    asked = [each["message"] for each in page.get_log("performance") if "Network.requestWillBeSent" in each["message"]]
    assert len(asked) == 1
    assert "report.html" in asked[0]
    assert page.get_log("browser") == []  # no complaint about the policy
    assert page.execute_script("return getComputedStyle(document.querySelector('.legend')).display") == "flex"


def test_a_change_that_went_unnoticed_stands_under_its_last_line(page):
    there(page, "#m1 > summary").click()
    change = there(page, "#m1-L16 + .change")
    assert [each.text.strip() for each in change.find_elements(By.TAG_NAME, "del")] == [
        "return sum(",
        "prices,",
        "shipping,",
        ")",
    ]
    assert change.find_element(By.TAG_NAME, "ins").text.strip() == "return other_value(sum("
    assert "No test notices this change" in change.text
    assert "No test runs this line" in there(page, "#m1-L27 + .change").text
    assert "missed" in there(page, "#m1-L27").get_attribute("class")
    assert "missed" not in there(page, "#m1-L23").get_attribute("class")


def test_a_link_to_a_line_unfolds_what_it_lies_in(page):
    assert not there(page, "#m1-L21").is_displayed()
    link = next(
        each for each in page.find_elements(By.CSS_SELECTOR, ".found a") if "#m1-L21" in each.get_attribute("href")
    )
    page.execute_script("arguments[0].closest('details').open = true", link)
    link.send_keys(Keys.ENTER)
    line = there(page, "#m1-L21")
    WebDriverWait(page, 60).until(lambda _: line.is_displayed())
    inside = "const r = arguments[0].getBoundingClientRect(); return r.top >= 0 && r.bottom <= innerHeight"
    WebDriverWait(page, 60).until(lambda _: page.execute_script(inside, line))


def test_the_keyboard_opens_what_is_folded(page):
    module = there(page, "#m1")
    module.find_element(By.TAG_NAME, "summary").send_keys(Keys.ENTER)
    assert module.get_attribute("open")
    button = there(page, "#all")
    button.send_keys(Keys.SPACE)
    assert all(each.get_attribute("open") for each in page.find_elements(By.CSS_SELECTOR, "details.module"))
    assert button.text == "Fold all modules"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 390])
def test_it_fits_the_screen_and_can_be_read(page, width, scheme):
    screen(page, width, scheme)
    page.execute_script("for (const each of document.querySelectorAll('details')) each.open = true")
    assert page.execute_script("return document.documentElement.scrollWidth") == width
    scrolled = page.execute_script(
        "return [...document.querySelectorAll('main *')].filter(e => e.scrollWidth > e.clientWidth + 1"
        " && ['auto', 'scroll'].includes(getComputedStyle(e).overflowX)).map(e => e.className)"
    )
    assert set(scrolled) == ({"source"} if width == 390 else set())
    colours = "const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]"
    ink, paper = (light(each) for each in page.execute_script(colours))
    assert (ink < paper) == (scheme == "light")
    assert contrasts(page) >= 4.5  # what WCAG asks for at level AA
    assert there(page, "#f2").is_displayed()
    assert ("Lines run:" in page.execute_script(LABELS)) == (width == 390)


LABELS = "return getComputedStyle(document.querySelector('#f2 td.figure'), '::before').content.replaceAll('\"', '')"


def light(colour):
    """The relative luminance of ``rgb(r, g, b)``, as WCAG has it."""
    parts = [int(each) / 255 for each in colour.partition("(")[2].rstrip(")").split(",")[:3]]
    linear = [each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrasts(page):
    """The least contrast of any text with what is behind it."""
    pairs = page.execute_script(
        """
        const found = new Set();
        for (const each of document.querySelectorAll('body *:not(script)')) {
          if (![...each.childNodes].some(n => n.nodeType === 3 && n.data.trim())) continue;
          let behind = each;
          while (behind && getComputedStyle(behind).backgroundColor === 'rgba(0, 0, 0, 0)') behind = behind.parentElement;
          found.add(getComputedStyle(each).color + '|' + getComputedStyle(behind || document.body).backgroundColor);
        }
        return [...found]
        """
    )
    lights = [sorted(light(each) for each in pair.split("|")) for pair in pairs]
    return min((brighter + 0.05) / (darker + 0.05) for darker, brighter in lights)


def test_without_script_all_of_it_can_still_be_read(page):
    page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        page.refresh()
        assert not there(page, "#all").is_displayed()
        there(page, "#m1 > summary").click()
        assert there(page, "#m1-L8").is_displayed()
    finally:
        page.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
