"""The page in a real browser: two people judge, one stops in between, and the figures come out as worked out by hand."""

import json
import re
import shutil
import time

import pytest

from benchmarks.judging.agreement import report
from benchmarks.judging.page import Page
from benchmarks.judging.verdicts import Verdicts, read_items

pytest.importorskip("selenium", reason="drives the browser: pip install selenium")

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (BROWSER and DRIVER), reason="no chromium, or no chromedriver, is installed here")

R, W, U = "right", "wrong", "unsure"
KEYS = {R: "1", W: "2", U: "3"}
HOSTILE = (
    "<img src=x onerror=\"document.title='hacked'\"></script><script>window.hacked = 1</script>\n```\n<b>bold</b>\n```\n"
    "\x00\x1b[31m\u202eesrever " + "long" * 5000
)
#       0 to 9    10, 11     12 to 15   16, 17    18   19
ADA = [R] * 10 + [R] * 2 + [W] * 4 + [W] * 2 + [U] + [U]
BOB = [R] * 10 + [W] * 2 + [W] * 4 + [R] * 2 + [U] + [R]


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--window-size=1000,900",
    ):
        options.add_argument(flag)
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "answers.jsonl"
    rows = [
        {
            "id": f"q{n}",
            "question": f"Question {n}: how <i>so</i>?",
            "body": f"It is about {n}.",
            "references": [f"As in {n}", "<img src=x onerror='window.hacked = 2'>"],
            "answer": HOSTILE if n == 3 else f"Answer {n}",
            "model": "secret-model",
        }
        for n in range(20)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def page_for(file, judge):
    return Page(read_items(file), Verdicts.beside(file), judge)


def there(browser, name):
    return browser.find_element(By.ID, name)


def until(browser, seen):
    """Wait for what ``seen`` gives; far longer than a busy machine needs."""
    return WebDriverWait(browser, 60, poll_frequency=0.02).until(lambda _: seen())


def number(browser):
    """The question that is shown, once the page takes a verdict on it; None at the end."""
    until(browser, lambda: there(browser, "end").is_displayed() or there(browser, "right").is_enabled())
    found = re.match(r"Question (\d+)", there(browser, "question").text)
    return int(found[1]) if found else None


def progress(browser):
    return there(browser, "progress").text


def press(browser, key):
    ActionChains(browser).send_keys(key).perform()


def moved(browser, before):
    until(browser, lambda: progress(browser) != before)


def judge_some(browser, verdicts, how, count):
    """Judge ``count`` answers, with the mouse or the keyboard; the questions in the order they came."""
    seen = []
    for _ in range(count):
        n, before = number(browser), progress(browser)
        seen.append(n)
        if how == "mouse":
            there(browser, verdicts[n]).click()
        else:
            press(browser, KEYS[verdicts[n]])
        moved(browser, before)
    return seen


def test_two_people_judge_and_the_figures_are_those_worked_out_by_hand(browser, file):
    with page_for(file, "Ada") as page:
        browser.get(page.url)
        first = number(browser)
        assert progress(browser) == "1 of 20, 20 left to judge"
        assert "Judge: Ada" in browser.page_source
        assert "secret-model" not in browser.page_source
        assert not there(browser, "references").is_displayed()
        browser.find_element(By.TAG_NAME, "summary").click()
        assert f"As in {first}" in there(browser, "references").text
        there(browser, "note").send_keys("1 thing: 2 or 3")  # digits in a note are no verdict
        assert progress(browser) == "1 of 20, 20 left to judge"
        seen = judge_some(browser, ADA, "mouse", 20)
        assert sorted(seen) == list(range(20))
        assert there(browser, "all").text == "All judged"
        result = there(browser, "result").text
        assert "12 of 18 answers are right: 66.7 %" in result
        assert "On 2 you could not tell" in result
        assert "Nobody else has judged all of them yet" in result
        assert page.verdicts.of("Ada")[next(iter(page.items))].note == "1 thing: 2 or 3"

    with page_for(file, "Bob") as page:
        browser.get(page.url)
        early = judge_some(browser, BOB, "keyboard", 9)
        assert early != seen[:9]
        assert progress(browser) == "10 of 20, 11 left to judge"
        assert "Ada" not in browser.page_source
    browser.get("about:blank")
    assert report(read_items(file), Verdicts.beside(file)).judged == {"Ada": 20, "Bob": 9}

    with page_for(file, "bob") as page:
        browser.get(page.url)
        assert number(browser) not in early
        assert progress(browser) == "10 of 20, 11 left to judge"
        late = judge_some(browser, BOB, "keyboard", 11)
        assert sorted(early + late) == list(range(20))
        result = there(browser, "result").text
        assert "13 of 19 answers are right: 68.4 %" in result
        assert "Ada judged them, too: the same verdict on 75.0 % of 20, Cohen’s kappa 0.51." in result

    found = report(read_items(file), Verdicts.beside(file))
    (pair,) = found.pairs
    # 15 of 20 alike; by chance (12·13 right + 6·6 wrong + 2·1 unsure) / 400 = 194/400.
    assert (pair.n, pair.agreement) == (20, 15 / 20)
    assert pair.kappa == pytest.approx((300 - 194) / (400 - 194))
    # Both say right of 10, wrong of 4; 4 are right to one and wrong to the other, 2 have an "unsure".
    assert (found.accuracy.value, found.accuracy.n, found.disputed) == (10 / 14, 14, 6)
    assert (found.at_least, found.at_most) == (10 / 20, 16 / 20)
    assert len(Verdicts.beside(file).all()) == 40  # no verdict was sent twice


def test_a_hostile_answer_is_shown_as_text_and_runs_nothing(browser, file):
    with page_for(file, "<img src=x onerror='window.hacked = 3'>") as page:
        browser.get(page.url)
        while number(browser) != 3:
            before = progress(browser)
            there(browser, "skip").click()
            moved(browser, before)
        browser.find_element(By.TAG_NAME, "summary").click()
        shown = there(browser, "answer").text
        assert shown.startswith(HOSTILE[: HOSTILE.index("\n")])
        assert "<b>bold</b>" in there(browser, "answer").find_element(By.TAG_NAME, "pre").text
        assert "\ufffd\ufffd[31m\ufffdesrever longlong" in shown
        assert "<img" in there(browser, "references").text
        assert "how <i>so</i>?" in there(browser, "question").text
        assert "<img" in there(browser, "judge").text
        assert browser.execute_script("return window.hacked") is None
        assert "hacked" not in browser.title
        assert not browser.find_elements(By.CSS_SELECTOR, "img, b, i")
        assert browser.execute_script("return document.querySelectorAll('script').length") == 1
        # Were such a thing ever to get into the page, the policy would still not run it.
        browser.execute_script(
            "document.body.append(Object.assign(document.createElement('script'), {text: 'window.hacked = 4'}))"
        )
        assert browser.execute_script("return window.hacked") is None
        # A word of 20 000 letters is broken, so that nothing is to be scrolled sideways, on a narrow screen either.
        browser.execute_script("document.body.style.width = '320px'")
        assert browser.execute_script("return document.documentElement.scrollWidth <= window.innerWidth")


def test_back_changes_a_verdict_and_skip_comes_round_again(browser, file):
    with page_for(file, "Ada") as page:
        browser.get(page.url)
        first = number(browser)
        assert not there(browser, "back").is_enabled()
        judge_some(browser, [R] * 20, "keyboard", 1)
        second = number(browser)
        there(browser, "skip").click()
        until(browser, lambda: progress(browser).startswith("3 of 20"))
        number(browser)
        there(browser, "back").click()
        until(browser, lambda: progress(browser).startswith("2 of 20"))
        assert number(browser) == second
        there(browser, "back").click()
        until(browser, lambda: progress(browser).startswith("1 of 20"))
        assert number(browser) == first
        assert there(browser, "right").get_attribute("aria-pressed") == "true"
        press(browser, "2")
        until(browser, lambda: progress(browser) == "2 of 20, 19 left to judge")
        assert page.verdicts.of("Ada")[next(iter(page.items))].verdict == W
        number(browser)
        there(browser, "skip").click()
        until(browser, lambda: progress(browser).startswith("3 of 20"))
        judge_some(browser, [U] * 20, "keyboard", 18)
        assert number(browser) == second
        assert progress(browser) == "2 of 20, 1 left to judge"
        judge_some(browser, [U] * 20, "keyboard", 1)
        there(browser, "again").click()
        until(browser, lambda: progress(browser) == "20 of 20, 0 left to judge")
        number(browser)
        there(browser, "skip").click()
        until(browser, lambda: there(browser, "end").is_displayed())


def test_a_double_click_and_a_held_key_are_for_one_answer(browser, file):
    with page_for(file, "Ada") as page:
        browser.get(page.url)
        number(browser)
        browser.execute_script(  # a second click 50 ms after the next answer is shown
            "new MutationObserver((_, seen) => { seen.disconnect(); setTimeout(() => document.getElementById('wrong').click(), 50); })"
            ".observe(document.getElementById('progress'), {childList: true})"
        )
        ActionChains(browser).double_click(there(browser, "wrong")).perform()
        until(browser, lambda: progress(browser).startswith("2 of 20"))
        number(browser)
        browser.execute_script(
            "document.body.dispatchEvent(new KeyboardEvent('keydown', {key: '1', bubbles: true, repeat: true}))"
        )
        time.sleep(0.5)  # for what should not come
        assert progress(browser) == "2 of 20, 19 left to judge"
        assert len(page.verdicts.all()) == 1


def test_a_verdict_is_kept_on_the_page_while_the_server_is_gone(browser, file):
    with page_for(file, "Ada") as page:
        browser.get(page.url)
        number(browser)
        there(browser, "note").send_keys("look again")
        page.close()
        there(browser, "wrong").click()
        until(browser, lambda: there(browser, "trouble").is_displayed())
        said = there(browser, "why").text
        assert "The server does not answer" in said
        assert "Your verdict “Wrong” is not saved yet" in said
        assert not there(browser, "skip").is_enabled()
        assert there(browser, "note").get_attribute("value") == "look again"
        until(browser, lambda: there(browser, "right").is_enabled())
        there(browser, "retry").click()
        until(browser, lambda: there(browser, "right").is_enabled())
        assert page.judged() == 0
        page.start()
        there(browser, "retry").click()
        until(browser, lambda: progress(browser) == "2 of 20, 19 left to judge")
        assert not there(browser, "trouble").is_displayed()
        (kept,) = page.verdicts.all()
        assert (kept.item, kept.verdict, kept.note) == (next(iter(page.items)), W, "look again")


def test_a_verdict_that_the_disk_does_not_take_is_said(browser, file):
    with page_for(file, "Ada") as page:
        browser.get(page.url)
        number(browser)
        page.verdicts.file.mkdir()
        press(browser, "1")
        until(browser, lambda: "cannot be written" in there(browser, "why").text)
        page.verdicts.file.rmdir()
        until(browser, lambda: there(browser, "wrong").is_enabled())
        press(browser, "2")  # another verdict instead of the one that was not saved
        until(browser, lambda: progress(browser) == "2 of 20, 19 left to judge")
        assert [verdict.verdict for verdict in page.verdicts.all()] == [W]
