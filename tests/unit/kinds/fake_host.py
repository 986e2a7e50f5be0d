"""What of a host one kind needs, as far as the contract of kinds looks at it."""

from collections.abc import Callable
from importlib import import_module, util
from pathlib import Path
from typing import Any, ClassVar

import pytest

# Devices are named after the first 11 characters of an id.
FIRST, SECOND = "0a0b0c0d-0000-4000-8000-000000000001", "0a0b0c0e-0000-4000-8000-000000000002"


class FakeHost:
    """A host for one kind, empty at first; its files are in *root*.

    A subclass named `Host` in `hosts/<kind>.py` describes the kind: two items, a change, what makes an item bad.
    """

    kind: ClassVar[Any]
    # What of an item's options may change later; none of an image's, say.
    change: ClassVar[dict[str, Any]] = {}
    # What makes an item bad, and a word of its error.
    bad: ClassVar[list[tuple[dict[str, Any], str]]] = []

    def __init__(self, root: Path, programs: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.programs, self.monkeypatch = root, programs, monkeypatch
        root.mkdir(exist_ok=True)
        self.install()

    def install(self) -> None:
        """Put into place what the kind finds on a host: programs, directories."""
        raise NotImplementedError

    def share(self, name: str, program: Callable[..., Any], word: str) -> None:
        """Add a fake of the program *name* for calls with *word* in their arguments or their input.

        Other calls are for the fake of another kind.
        """
        other = self.programs.get(name)

        def run(argv: list[str], *stdin: str) -> Any:
            mine = other is None or any(word in text for text in (*argv, *stdin))
            return (program if mine else other)(argv, *stdin)

        self.programs[name] = run

    def item(self, identifier: str, **changes: Any) -> dict[str, Any]:
        """A present item as its users write it."""
        raise NotImplementedError

    def add_others(self) -> None:
        """Put onto the host what looks a little like the kind's things, and is nobody's of the cloud."""
        raise NotImplementedError

    def state(self) -> Any:
        """All that the host has of the kind, equal for two hosts that have the same."""
        return self.files()

    def files(self) -> dict[str, str | None]:
        """{path: content} of the host's files; directories have none."""
        return {
            str(path.relative_to(self.root)): None
            if path.is_dir()
            else self.anywhere(path.read_bytes().decode(errors="replace"))
            for path in self.root.rglob("*")
        }

    def anywhere(self, text: str) -> str:
        """*text* without the name of the host's directory."""
        return text.replace(str(self.root), "ROOT")

    def set_default(self, option: str, value: object) -> None:
        """Give an option of the kind another default."""
        self.monkeypatch.setitem(self.kind.options, option, {**self.kind.options[option], "default": str(value)})


def description_of(kind: Any) -> type[FakeHost] | None:
    """The kind's description, if it has one."""
    name = f"{__package__}.hosts.{kind.name}"
    return import_module(name).Host if util.find_spec(name) else None
