"""The page as text: the facts are in it, nothing of what people or servers wrote is HTML, nothing is fetched.

How it looks in a browser: tests/functional/release/test_page_of_a_release.py.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from support import release_samples as samples
from support.present import present

from saltlick.release.report import page


@pytest.fixture(scope="module")
def pages():
    return {name: page.html(make()) for name, make in samples.SAMPLES.items()}


class Read(HTMLParser):
    """Tags, attributes and text of a page; each element has to be closed in order."""

    VOID = frozenset({"meta", "link", "br", "img", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.text += data


@pytest.fixture(scope="module")
def reads(pages):
    return {name: Read(text) for name, text in pages.items()}


@pytest.mark.parametrize("name", samples.SAMPLES)
def test_page_is_whole_and_fetches_nothing(pages, reads, name):
    read = reads[name]
    assert read.open == []
    assert not [tag for tag, _ in read.tags if tag in {"script", "img", "iframe", "object", "embed", "video"}]
    addresses = [value for _, attrs in read.tags for key, value in attrs.items() if key in {"src", "href", "srcset"}]
    assert all(value.startswith("data:") for value in addresses)
    assert not [key for _, attrs in read.tags for key in attrs if key.startswith("on")]
    style = present(re.search(r"<style>(.*)</style>", pages[name], re.DOTALL)).group(1)
    assert "url(" not in style
    assert "@import" not in style
    assert "default-src 'none'" in pages[name]


@pytest.mark.parametrize("name", samples.SAMPLES)
def test_page_says_who_what_from_to_and_when(reads, name):
    text = re.sub(r"\s+", " ", reads[name].text)
    record = samples.SAMPLES[name]()
    assert samples.NEW in text
    assert record.id in text
    assert record.job in text
    assert "2026-11-22 14:03:11" in text
    assert "What to do next" in text


def test_reason_and_who_is_out_come_before_the_time_line(pages):
    text = Read(pages["stuck"]).text
    assert text.index("What went wrong") < text.index("prod-app-1 could not go back") < text.index("Time line")
    assert text.index("Out of traffic now") < text.index("Time line")
    assert "Took place and was not undone" in text


def test_good_release_has_no_reproach(pages):
    assert "What went wrong" not in pages["done"]


def test_each_server_has_a_row_that_tells_its_walk_in_words(pages):
    tags = Read(pages["rolled_back"]).tags
    labels = [present(attrs["aria-label"]) for _, attrs in tags if attrs.get("class") == "lane"]
    assert len(labels) == 1 + 6  # all servers together, and each
    undone = [label for label in labels if "undo: " in label]
    assert len(undone) == 4
    assert re.match(
        r"(build [^,]+, )?drain 1\.\d s, down 1\.\d s, health \d\.\d s, back \d\.\d s; undo: drain", undone[0]
    )
    assert labels[-1] == "in traffic all the time" or labels[-1].startswith("build")


def test_what_people_and_servers_wrote_is_text(pages):
    assert "<script" not in pages["hostile"]
    assert "\x1b" not in pages["hostile"]
    assert "&lt;script&gt;" in pages["hostile"]


def test_long_output_is_folded_and_all_there(pages):
    assert re.search(
        r"<details><summary>npm ERR! code ERESOLVE</summary><pre[^>]*>.*line 39 of a long story",
        pages["unbuilt"],
        re.DOTALL,
    )


def test_only_failed_groups_of_steps_are_open(pages):
    opened = [attrs for tag, attrs in Read(pages["rolled_back"]).tags if tag == "details" and "open" in attrs]
    assert len(opened) == 1
    assert not [attrs for tag, attrs in Read(pages["done"]).tags if tag == "details" and "open" in attrs]


def test_legend_has_what_occurs_and_nothing_else(pages):
    assert "left out of traffic" not in pages["done"]
    assert "the same on the way back" not in pages["done"]
    assert "the same on the way back" in pages["rolled_back"]


def test_commands_are_set_as_such(pages):
    assert "<code>salt-run release.resume prod</code>" in pages["stuck"]
    assert "<code>salt-run release.rollback prod</code>" in pages["done"]


def test_two_hundred_servers_stay_small(pages):
    assert len(pages["many"]) < 1_500_000


def test_running_release_goes_on_with_the_time():
    record = samples.running()
    assert page.html(record, now=samples.START + 80) != page.html(record, now=samples.START + 90)
    assert "still running" in page.html(record)
