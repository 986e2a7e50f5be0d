"""release_archive and release_install, one after the other; pip and python are scripted."""

import sys
import tarfile
from pathlib import Path

import pytest
from ansible_collections.skywright.cloud.plugins.modules import release_archive, release_install

from .conftest import predicted


@pytest.fixture
def source(tmp_path):
    root = tmp_path / "checkout"
    for name in ("api/skywright", "meta", "playbooks", "plugins/modules", "roles/common", "roles/common/__pycache__"):
        (root / name).mkdir(parents=True)
    for name in ("ansible.cfg", "galaxy.yml", "meta/runtime.yml", "playbooks/site.yml", "api/skywright/app.py"):
        (root / name).write_text(name)
    (root / "roles/common/__pycache__/x.pyc").write_text("made by whoever ran it")
    (root / "plugins/modules/tool.py").write_text("#!/usr/bin/python3")
    (root / "plugins/modules/tool.py").chmod(0o755)
    (root / ".collections/ansible_collections/skywright").mkdir(parents=True)
    (root / ".collections/ansible_collections/skywright/cloud").symlink_to("../../..")
    (root / "requirements.lock").write_text("one==1\n")
    (root / "pyproject.toml").write_text('[project]\ndependencies = ["one>=1"]\n')
    (root / "var").mkdir()
    return root


@pytest.fixture
def fetched(programs):
    """The requirements of every fetch by pip."""
    asked = []

    def pip(argv):
        asked.append(argv[argv.index("--wheel-dir") + 2 :])
        wheels = Path(argv[argv.index("--wheel-dir") + 1])
        wheels.mkdir()
        (wheels / "one-1-py3-none-any.whl").write_text("a wheel")

    programs[sys.executable] = pip
    return asked


@pytest.fixture
def pack(run_module, source, tmp_path, fetched):
    def run(**options):
        args = {"source": str(source), "directory": str(tmp_path / "release")}
        return run_module(release_archive.main, args, **options)

    return run


def listed(directory):
    return sorted(path.name for path in directory.iterdir())


def test_the_page_of_consoles_goes_along_if_there_is_one(pack, source):
    without = names(pack(check=True))
    (source / ".novnc").mkdir()
    (source / ".novnc/vnc_lite.html").write_text("page")
    assert names(pack(check=True))[0] != without[0]
    assert ".novnc/vnc_lite.html" in release_archive.files_of(str(source))


def names(answer):
    return [result["id"] for result in answer["results"]]


def test_packs_the_project_and_its_wheels(pack, tmp_path, fetched):
    answer = pack()
    assert answer["changed"]
    assert fetched == [["one>=1"]]
    project, wheels = (tmp_path / "release" / name for name in names(answer))
    with tarfile.open(project) as archive:
        packed = {entry.name: entry for entry in archive}
    assert {"ansible.cfg", "api/skywright/app.py", ".collections/ansible_collections/skywright/cloud"} <= set(packed)
    assert not [name for name in packed if "__pycache__" in name or name.startswith("var")]
    assert packed["plugins/modules/tool.py"].mode == 0o755
    with tarfile.open(wheels) as archive:
        assert archive.getnames() == ["one-1-py3-none-any.whl"]
    assert listed(tmp_path / "release") == sorted(names(answer))


def test_a_second_run_changes_nothing(pack, fetched):
    first = pack()
    second = pack()
    assert not second["changed"]
    assert names(second) == names(first)
    assert len(fetched) == 1


@pytest.mark.parametrize("change", ["content", "mode", "name"])
def test_another_project_is_another_release_with_the_same_wheels(pack, source, tmp_path, fetched, change):
    first = pack()
    path = source / "playbooks/site.yml"
    match change:
        case "content":
            path.write_text("other")
        case "mode":
            path.chmod(0o755)
        case "name":
            path.rename(source / "playbooks/other.yml")
    second = pack()
    assert names(second)[0] != names(first)[0]
    assert names(second)[1] == names(first)[1]
    assert listed(tmp_path / "release") == sorted(names(second))
    assert len(fetched) == 1


def test_other_packages_are_fetched_anew(pack, source, fetched):
    first = pack()
    (source / "requirements.lock").write_text("one==2\n")
    assert names(pack())[1] != names(first)[1]
    assert len(fetched) == 2


def test_check_mode_predicts_and_packs_nothing(pack, tmp_path):
    expected = pack(check=True)
    assert not (tmp_path / "release").exists()
    assert predicted(pack()) == predicted(expected)


def test_what_is_no_checkout_is_refused(pack, source):
    (source / "galaxy.yml").unlink()
    assert "galaxy.yml" in pack()["msg"]


@pytest.fixture
def install(run_module, pack, tmp_path, programs):
    """Pack and install; C(programs) counts what is run."""
    root = tmp_path / "opt"
    (root / "archives").mkdir(parents=True)

    def make_venv(argv):
        (Path(argv[-1]) / "bin").mkdir(parents=True)
        programs.setdefault(f"{argv[-1]}/bin/pip", lambda argv: None)
        programs.setdefault(f"{argv[-1]}/bin/python", lambda argv: None)

    programs["/usr/bin/python3"] = make_venv

    def run(**options):
        answer = pack()
        for name in names(answer):
            (root / "archives" / name).write_bytes((tmp_path / "release" / name).read_bytes())
        project, wheels = (str(root / "archives" / name) for name in names(answer))
        args = {"directory": str(root), "project": project, "wheels": wheels, "state_directory": "/var/lib/x"}
        return run_module(release_install.main, args, **options)

    run.root = root
    return run


def test_installs_and_switches(install):
    answer = install()
    assert answer["changed"]
    current = install.root / "current"
    assert (current / "api/skywright/app.py").read_text() == "api/skywright/app.py"
    assert (current / "var").readlink() == Path("/var/lib/x")
    assert (current / ".venv/.complete").exists()
    assert "--no-index" in answer["commands"][1]
    assert [Path(word).name for word in answer["commands"][1] if word.endswith(".whl")] == ["one-1-py3-none-any.whl"]


def test_installing_again_changes_nothing(install):
    install()
    again = install()
    assert not again["changed"]
    assert again["commands"] == []


def test_the_release_before_stays_and_earlier_ones_go(install, source):
    versions = []
    for number in range(3):
        (source / "ansible.cfg").write_text(str(number))
        versions.append(names(install())[0])
    assert listed(install.root / "releases") == sorted(versions[1:])
    assert (install.root / "current/ansible.cfg").read_text() == "2"
    assert len(listed(install.root / "venvs")) == 1
    assert len(listed(install.root / "archives")) == 2


def test_a_virtual_environment_that_was_not_finished_is_made_anew(install, programs):
    make_venv = programs["/usr/bin/python3"]

    def killed(argv):
        (Path(argv[-1]) / "bin").mkdir(parents=True)
        raise OSError("killed")

    programs["/usr/bin/python3"] = killed
    assert install()["failed"]
    assert not (install.root / "current").exists()
    programs["/usr/bin/python3"] = make_venv
    assert install()["changed"]
    assert (install.root / "current/.venv/.complete").exists()


def test_check_mode_predicts_and_installs_nothing(install):
    expected = install(check=True)
    assert listed(install.root) == ["archives"]
    assert predicted(install()) == predicted(expected)


def test_another_archive_is_refused(install, run_module):
    args = {"project": "/x/project-new.tar.gz", "wheels": "/x/wheels.tar", "state_directory": "/var"}
    assert "is not an archive" in run_module(release_install.main, args)["msg"]
