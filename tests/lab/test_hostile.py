"""Texts of users on their way to guests: nothing in them is executed or causes failures."""

import base64
import re
from pathlib import Path
from typing import Any

import pytest
from openstack.connection import Connection
from openstack.exceptions import BadRequestException

from lab.support import Guest, Lab, Made, eventually, unique

PWNED = "/tmp/pwned"
TEXTS = [
    "{{ lookup('pipe','touch /tmp/pwned') }}",
    "$(reboot) `touch /tmp/pwned`; touch /tmp/pwned",
    '"><x>&amp;]]>',
    "-rf",
    "ünïcödé-" + "ж" * 247,
]


def test_invalid_names_and_keys_are_refused(made: Made) -> None:
    network = made.network()
    for name in ("two\nlines", "nul\0", "x" * 256):
        with pytest.raises(BadRequestException):
            made.server([network], name=name)
    for key in (*TEXTS[:3], TEXTS[4], "two\nlines"):
        with pytest.raises(BadRequestException):
            made.server([network], metadata={key: "value"})


def test_hostile_texts_reach_guests_unchanged(cloud: Connection, made: Made, lab: Lab) -> None:
    assert not Path(PWNED).exists()
    servers = []
    network = made.network(name=TEXTS[0], description=TEXTS[1])
    for text in TEXTS[1:]:
        other = cloud.network.create_network(name=text)
        made.later(lambda id=other.id: cloud.network.delete_network(id))
        assert cloud.network.get_network(other.id).name == text
    pair = keypair(cloud, made)
    metadata = {"template": TEXTS[0], "shell": TEXTS[1], "markup": TEXTS[2], "option": TEXTS[3], "long": TEXTS[4]}
    script = f"#!/bin/sh\n# {TEXTS[0]} {{% raw %}}\necho '{{{{ 6 * 7 }}}} $(id) <x>' > /root/note\n"
    image = hostile_image(cloud, made)
    for text in TEXTS:
        servers.append(
            made.server(
                [network],
                name=text,
                image_id=image.id,
                key_name=pair,
                metadata=metadata,
                user_data=base64.b64encode(script.encode()).decode(),
            )
        )
    for server, text in zip(made.active(*servers), TEXTS, strict=True):
        made.booted(server)
        assert server.name == text and server.metadata == metadata
        guest = Guest(lab, server, network)
        assert re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?", guest.run("hostname"))
        assert note(guest) == "{{ 6 * 7 }} $(id) <x>"
        assert guest.run(f"ls {PWNED} || true") == ""
    assert_not_pwned(lab)
    made.delete(*servers)
    assert_not_pwned(lab)


def note(guest: Guest) -> str:
    """Return the text that the user's script wrote."""
    return eventually(lambda: guest.run("cat /root/note 2>/dev/null || true"), 30, "the script has run")


def keypair(cloud: Connection, made: Made) -> str:
    """A key pair whose name and comment are as hostile as allowed."""
    name = unique("rf -- ")
    for text in TEXTS[:3]:
        with pytest.raises(BadRequestException):
            cloud.compute.create_keypair(name=text)
    public = (Path(made.lab.facts["files"]) / "id_ed25519.pub").read_text().split()[:2]
    cloud.compute.create_keypair(name=name, public_key=" ".join([*public, TEXTS[0]]))
    made.later(lambda: cloud.compute.delete_keypair(name))
    return name


def hostile_image(cloud: Connection, made: Made) -> Any:
    """The guest image with a hostile name and hostile properties."""
    with made.lab.guest_image.open("rb") as data:
        image = cloud.image.create_image(
            TEXTS[0], data=data, disk_format="qcow2", container_format="bare", wait=True, note=TEXTS[1]
        )
    made.later(lambda: cloud.image.delete_image(image.id))
    made.needles.add(image.id)
    assert cloud.image.get_image(image.id).name == TEXTS[0]
    return image


def assert_not_pwned(lab: Lab) -> None:
    assert not Path(PWNED).exists()
    for host in lab.hosts.values():
        assert host.run(f"ls {PWNED} 2>/dev/null || true") == ""
