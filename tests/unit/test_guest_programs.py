"""The guest's programs are executable files in the checkout, where they may be run by mistake."""

import re
from pathlib import Path

import pytest

FILES = Path(__file__).parents[2] / "roles/guest_image/files"
HARM = re.compile(r"^[^#\n]*\b(killall|kill|umount|mount|poweroff|switch_root)\b", re.MULTILINE)
# Both stop a program: an exit, or reading a file that only guests have.
GUARD = re.compile(r"\|\| exit 1$|^\. /usr/lib/skywright/", re.MULTILINE)
HARMFUL = sorted(
    str(path.relative_to(FILES))
    for path in FILES.rglob("*")
    if path.is_file() and path.stat().st_mode & 0o111 and HARM.search(path.read_text())
)


def test_there_are_programs() -> None:
    assert "root/etc/acpi/PWRF/00000080" in HARMFUL
    assert "initramfs/init" in HARMFUL


@pytest.mark.parametrize("name", HARMFUL)
def test_dangerous_programs_exit_outside_of_a_guest(name: str) -> None:
    text = (FILES / name).read_text()
    guard, harm = GUARD.search(text), HARM.search(text)
    assert guard
    assert harm
    assert guard.start() < harm.start()
