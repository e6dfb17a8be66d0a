"""Apprise as a library against real receivers: a webhook and a mail server on this machine."""

from __future__ import annotations

import logging

import pytest
from support.receivers import mailbox, webhook

from saltlick.notify.apprise_urls import send
from saltlick.notify.message import Message

MESSAGE = Message("RED prod: backup database", "Known: there is no good backup\nNext: salt-run x", "failure")


def test_a_webhook_gets_it():
    with webhook() as received:
        assert send(received.url, MESSAGE) == ""
    (post,) = received.posts
    assert (post["title"], post["message"], post["type"]) == (MESSAGE.title, MESSAGE.body, "failure")


def test_a_mail_server_gets_it():
    with mailbox() as box:
        assert send(box.url, MESSAGE) == ""
    (mail,) = box.mails
    assert (mail["Subject"], mail["To"]) == (MESSAGE.title, "ann@example.com")
    parts = [part.get_payload(decode=True) for part in mail.walk() if not part.is_multipart()]
    assert any(isinstance(part, bytes) and b"Known: there is no good backup" in part for part in parts)


def test_one_that_refuses_says_so_without_the_address(caplog):
    with webhook() as received, caplog.at_level(logging.DEBUG):
        received.status = 503
        why = send(f"{received.url}/hush-hush?+X-Token=hush-too", MESSAGE)
    assert "503" in why
    assert "hush" not in why
    assert "hush" not in caplog.text


def test_one_that_is_not_there_says_so_without_the_address(caplog):
    with caplog.at_level(logging.DEBUG):
        why = send("json://ann:hush-hush@127.0.0.1:1/hush-too", MESSAGE)
    assert "onnection" in why
    assert "hush" not in why + caplog.text


@pytest.mark.parametrize("url", ["slakc://hush-hush", "slack://hush-hush", "nothing"])
def test_what_is_no_address_is_not_sent(url):
    why = send(url, MESSAGE)
    assert "Apprise" in why
    assert "hush" not in why
