"""The page of a release in a real browser: it asks for nothing, complains of nothing, fits, and its bars are in order."""

from __future__ import annotations

import os
from itertools import pairwise

import pytest
from support.browser import NAMES, Browser, find
from support.release_samples import SAMPLES

from saltlick.release.report import page

pytestmark = pytest.mark.timeout(300)
WIDE, NARROW = 1280, 390
UNTOUCHED = {"refused", "unchanged"}
"""Nothing happened to a server: there is nothing to draw."""

BARS = """[...document.querySelectorAll('tr.server')].map(row => {
  const lane = row.querySelector('.lane').getBoundingClientRect();
  return {
    name: row.querySelector('th').firstChild.textContent.trim(), left: lane.left, right: lane.right,
    bars: [...row.querySelectorAll('.bar')].map(bar => {
      const box = bar.getBoundingClientRect();
      return {kind: bar.className, left: box.left, right: box.right, top: box.top, bottom: box.bottom};
    }),
    crosses: [...row.querySelectorAll('.x')].map(cross => {
      const box = cross.getBoundingClientRect();
      return (box.left + box.right) / 2;
    }),
  };
})"""
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
THIN = 2.1
"""Pixels: the least width of a bar, which may reach into the next one."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    program = find()
    if program is None:
        why = f"no Chromium on this machine ({', '.join(NAMES)}); Debian: apt install chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(f"{why} (CI=true: nothing is skipped)")
        pytest.skip(why)
    started = Browser(program, tmp_path_factory.mktemp("browser"))
    yield started
    started.close()


@pytest.fixture(scope="module")
def records():
    return {name: make() for name, make in SAMPLES.items()}


@pytest.fixture(scope="module")
def files(records, tmp_path_factory):
    """Each sample's page as a file."""
    folder = tmp_path_factory.mktemp("pages")
    for name, record in records.items():
        (folder / f"{name}.html").write_text(page.html(record), "utf-8")
    return {name: folder / f"{name}.html" for name in SAMPLES}


@pytest.fixture
def look(browser, files):
    """Opens a sample's page; it is closed after the test."""
    opened = []

    def make(name_or_path, width: int = WIDE, **how):
        opened.append(browser.page(width, **how))
        return opened[-1].open(files.get(name_or_path, name_or_path))

    yield make
    for one in opened:
        one.close()


@pytest.mark.parametrize("name", SAMPLES)
def test_page_asks_for_nothing_complains_of_nothing_and_fits(look, files, records, name):
    seen = look(name)
    assert seen.run("document.querySelectorAll('script, link:not([href^=\"data:\"]), img, iframe').length") == 0
    for width in (WIDE, NARROW):
        seen.resize(width)
        assert seen.run("window.innerWidth") == width
        assert seen.run(OVERFLOW) == 0
        rows = seen.run(BARS)
        assert [row["name"] for row in rows] == ([] if name in UNTOUCHED else [s.name for s in records[name].servers])
        for row in rows:
            in_order(row)
    assert seen.requested() == [files[name].as_uri()]
    assert seen.complaints() == []


def in_order(row) -> None:
    """The bars of one server follow each other in time, within its lane, on one line."""
    assert row["bars"], row["name"]
    assert row["right"] - row["left"] > 200
    for before, after in pairwise(row["bars"]):
        assert before["left"] <= after["left"], row
        assert before["right"] <= after["left"] + THIN, row
    assert all(row["left"] - 1 <= bar["left"] and bar["right"] <= row["right"] + THIN for bar in row["bars"]), row
    assert len({round((bar["top"] + bar["bottom"]) / 2) for bar in row["bars"]}) == 1, row


def kinds(row) -> list[str]:
    return [bar["kind"].removeprefix("bar ") for bar in row["bars"]]


def test_second_batch_drains_when_the_first_is_back(look):
    first, second = look("done").run(BARS)
    assert [kind for kind in kinds(first) if kind != "build"][-6:] == ["old", "drain", "down", "health", "back", "new"]
    assert kinds(second)[-6:] == ["old", "drain", "down", "health", "back", "new"]
    back = next(bar for bar in first["bars"] if bar["kind"] == "bar back")
    drain = next(bar for bar in second["bars"] if bar["kind"] == "bar drain")
    assert drain["left"] >= back["right"] - 1


def test_way_back_begins_after_the_failure_and_has_its_own_colour(look):
    seen = look("rolled_back")
    rows = {row["name"]: row for row in seen.run(BARS)}
    failed = rows["prod-app-3"]
    assert len(failed["crosses"]) == 1
    undo = [bar for row in rows.values() for bar in row["bars"] if "undo" in bar["kind"]]
    assert undo
    assert all(bar["left"] >= failed["crosses"][0] - 1 for bar in undo)
    colours = "kind => getComputedStyle(document.querySelector('.lane .bar' + kind)).backgroundColor"
    assert seen.run(f"({colours})('.health.undo') !== ({colours})('.health:not(.undo)')")
    assert not rows["prod-app-5"]["crosses"]
    assert kinds(rows["prod-app-5"]) == ["old"]


def test_server_left_out_is_drawn_to_the_end_and_named_at_the_top(look):
    seen = look("left_out")
    row = next(row for row in seen.run(BARS) if row["name"] == "prod-app-3")
    assert kinds(row)[-1] == "out"
    assert row["bars"][-1]["right"] == pytest.approx(row["right"], abs=2)
    assert "prod-app-3" in seen.run("document.querySelector('.outside').textContent")
    assert seen.run("document.querySelector('.outside').getBoundingClientRect().top < 700")


def test_requests_fall_where_the_server_is_away(look):
    """The curve touches the ground between the end of draining and the balancer's word."""
    script = """(() => {
      const row = document.querySelector('tr.server'), path = row.querySelector('.lane svg path');
      const box = row.querySelector('.lane').getBoundingClientRect();
      const percent = kind => {
        const bar = row.querySelector('.bar.' + kind).getBoundingClientRect();
        return ((bar.left + bar.right) / 2 - box.left) / box.width * 1000;
      };
      const filled = x => path.isPointInFill(new DOMPoint(x, 97));
      return {health: filled(percent('health')), serving: filled(percent('new'))};
    })()"""
    assert look("done").run(script) == {"health": False, "serving": True}


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_table_is_a_table_for_those_who_do_not_see_it(look, width):
    seen = look("growing", width)
    seen.ask("Accessibility.enable")
    nodes = seen.ask("Accessibility.getFullAXTree")["nodes"]
    roles = [node["role"]["value"] for node in nodes if not node.get("ignored")]
    assert roles.count("row") >= 12 + 3 + 2
    assert roles.count("rowheader") >= 12
    names = [node["name"]["value"] for node in nodes if node.get("role", {}).get("value") == "image" and "name" in node]
    assert sum("drain" in name and "health" in name for name in names) == 12
    assert "heading" in roles


def test_dark_is_dark_and_paper_is_white(look):
    ink = "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number).reduce((a, b) => a + b)"
    assert look("stuck").run(ink) > 600
    assert look("stuck", dark=True).run(ink) < 200
    assert look("stuck", dark=True, media="print").run(ink) == 3 * 255


@pytest.mark.parametrize("name", ["many", "rolled_back", "done"])
def test_page_fits_on_a4(look, name):
    """21 cm less two margins of 14 mm are 688 pixels; rows stay rows, and a list with nothing in it has no heading."""
    seen = look(name, 688, media="print")
    assert seen.run(OVERFLOW) == 0
    assert seen.run("getComputedStyle(document.querySelector('tr.server')).display") == "table-row"
    unfolded = seen.run("document.querySelectorAll('details.steps[open]').length")
    assert seen.run("document.querySelector('#h-steps').checkVisibility()") is bool(unfolded)


def test_steps_unfold(look):
    seen = look("done")
    shown = "document.querySelector('details.steps table').checkVisibility()"
    assert seen.run(shown) is False
    seen.run("document.querySelector('details.steps summary').click()")
    assert seen.run(shown) is True


def test_what_servers_say_is_text_only(look):
    seen = look("hostile")
    assert seen.run("document.body.innerText").count("<script>") >= 5
    assert seen.run("document.querySelectorAll('main script, main img').length") == 0


def test_policy_holds_even_if_something_were_not_escaped(look, files, tmp_path):
    pierced = tmp_path / "pierced.html"
    pierced.write_text(
        files["done"].read_text("utf-8").replace("<main>", "<main><script>window.ran = 1</script>"), "utf-8"
    )
    seen = look(pierced)
    assert seen.run("window.ran === undefined")
    assert any("Content Security Policy" in one for one in seen.complaints())


def test_these_looks_can_fail(look, tmp_path):
    """A page that does everything wrong is seen to."""
    wrong = tmp_path / "wrong.html"
    wrong.write_text(
        "<meta charset=utf-8><img src='http://127.0.0.1:9/x.png'><div style='width:3000px'>x</div>"
        "<script>console.error('oh'); undefined_function()</script>",
        "utf-8",
    )
    seen = look(wrong, NARROW)
    assert "http://127.0.0.1:9/x.png" in seen.requested()
    assert len(seen.complaints()) >= 2
    assert seen.run(OVERFLOW) > 0
