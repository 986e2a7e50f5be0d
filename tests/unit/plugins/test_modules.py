"""What all modules keep: documentation equals the argument spec, and hosts need nothing of the API."""

import ast
import importlib
from pathlib import Path

import pytest
import yaml

from . import role_specs

ROOT = Path(__file__).parents[3]
PLUGINS = ROOT / "plugins"
MODULES = sorted(path.stem for path in (PLUGINS / "modules").glob("*.py"))
FACETS = ("type", "elements", "required", "default", "choices")
ON_HOSTS = {"ansible", "ansible_collections", "libvirt", "pymysql", "rtslib_fb"}


def load(name):
    return importlib.import_module(f"ansible_collections.skywright.cloud.plugins.modules.{name}")


def argument_spec(name, monkeypatch):
    """The spec that main() gives to AnsibleModule."""
    module, seen = load(name), []

    class Caught(Exception):
        pass

    def catch(*, argument_spec, supports_check_mode, **_more):
        assert supports_check_mode
        seen.append(argument_spec)
        raise Caught

    monkeypatch.setattr(module, "AnsibleModule", catch)
    with pytest.raises(Caught):
        module.main()
    return seen[0]


def documented(name):
    documentation = yaml.safe_load(load(name).DOCUMENTATION)
    options = dict(documentation.get("options") or {})
    fragments = documentation.get("extends_documentation_fragment", [])
    for fragment in (name for name in fragments if name.startswith("skywright.cloud.")):
        _namespace, _collection, file, *part = fragment.split(".")
        source = importlib.import_module(f"ansible_collections.skywright.cloud.plugins.doc_fragments.{file}")
        text = getattr(source.ModuleDocFragment, part[0].upper() if part else "DOCUMENTATION")
        options.update(yaml.safe_load(text).get("options") or {})
    return options


def facets(options, nested):
    result = {}
    for name, option in options.items():
        kept = {key: option[key] for key in FACETS if option.get(key) not in (None, False)}
        result[name] = {"type": "str", **kept, "options": facets(option.get(nested) or {}, nested)}
    return result


@pytest.mark.parametrize("name", MODULES)
def test_documentation_is_the_argument_spec(name, monkeypatch):
    assert facets(documented(name), "suboptions") == facets(argument_spec(name, monkeypatch), "options")


@pytest.mark.parametrize("name", MODULES)
def test_every_option_example_and_return_value_is_documented(name):
    module = load(name)
    assert yaml.safe_load(module.EXAMPLES)[0]["name"]
    assert all(value["description"] for value in yaml.safe_load(module.RETURN).values())

    def described(options):
        return all(o["description"] and described(o.get("suboptions") or {}) for o in options.values())

    assert described(documented(name))


@pytest.mark.parametrize("name", MODULES)
def test_descriptions_are_text(name):
    """A colon and a space in an unquoted description would make it a dictionary, which ansible-doc refuses."""
    module = load(name)
    pending = [yaml.safe_load(module.DOCUMENTATION), *yaml.safe_load(module.RETURN).values()]
    while pending:
        entry = pending.pop()
        text = entry["description"]
        assert all(isinstance(line, str) for line in ([text] if isinstance(text, str) else text))
        pending += (entry.get("options") or entry.get("suboptions") or {}).values()


@pytest.mark.parametrize("path", sorted(PLUGINS.glob("module*/**/*.py")), ids=lambda path: path.name)
def test_modules_need_only_the_standard_library_on_hosts(path):
    tree = ast.parse(path.read_text())
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    standard = importlib.import_module("sys").stdlib_module_names
    assert names <= ON_HOSTS | set(standard)


@pytest.mark.parametrize("role", role_specs.ROLES)
def test_roles_take_what_modules_take(role):
    assert role_specs.path_of(role).read_text() == role_specs.content(role), "run tests/unit/plugins/role_specs.py"
