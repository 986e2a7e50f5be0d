"""guest_image: when it builds, and the parts of the image that it makes by itself."""

import struct
from pathlib import Path

import pytest
from ansible.module_utils.basic import AnsibleModule
from ansible_collections.skywright.cloud.plugins.modules import guest_image

KERNEL = "linux-image-6.1.0-9-cloud-amd64"


@pytest.fixture
def apt(monkeypatch):
    """What apt knows; no other program can be run. Give {package: fields}."""
    known = {
        "linux-image-cloud-amd64": {"Version": "6.1.9", "Depends": f"{KERNEL} (= 6.1.9-1)"},
        KERNEL: {"Version": "6.1.9-1", "Depends": "kmod, linux-base"},
        "busybox-static": {"Version": "1.35"},
    }

    def run_command(_module, argv, **_options):
        assert argv[:3] == ["apt-cache", "show", "--no-all-versions"]
        shown = [{"Package": name, **known[name], "Description": "words\n more words"} for name in argv[3:]]
        return 0, "\n\n".join("\n".join(f"{k}: {v}" for k, v in fields.items()) for fields in shown) + "\n\n", ""

    monkeypatch.setattr(AnsibleModule, "run_command", run_command)
    return known


@pytest.fixture
def builds(monkeypatch):
    """Replace the building itself; give the list of what was asked for."""
    asked = []

    def build(builder, packages):
        asked.append(packages)
        image = Path(builder.work, "image")
        image.write_text("an image")
        return str(image)

    monkeypatch.setattr(guest_image.Builder, "build", build)
    return asked


@pytest.fixture
def args(tmp_path):
    files = tmp_path / "files"
    (files / "root").mkdir(parents=True)
    (files / "root/hello").write_text("hello")
    return {
        "path": str(tmp_path / "guest.qcow2"),
        "files": str(files),
        "kernel": "linux-image-cloud-amd64",
        "packages": ["busybox-static"],
    }


@pytest.mark.usefixtures("apt")
def test_builds_once(run_module, builds, args, tmp_path):
    first = run_module(guest_image.main, args)
    assert first["changed"] and first["size"] == len("an image")
    assert builds == [{"busybox-static": "1.35", KERNEL: "6.1.9-1"}]
    second = run_module(guest_image.main, args)
    assert not second["changed"] and len(builds) == 1
    assert (tmp_path / "guest.qcow2.recipe").read_text().strip() == second["recipe"]


@pytest.mark.usefixtures("apt")
def test_check_mode_foretells_and_writes_nothing(run_module, builds, args, tmp_path):
    answer = run_module(guest_image.main, args, check=True)
    assert answer["changed"] and builds == []
    assert [path.name for path in tmp_path.iterdir()] == ["files"]
    assert run_module(guest_image.main, args)["recipe"] == answer["recipe"]
    assert not run_module(guest_image.main, args, check=True)["changed"]


@pytest.mark.usefixtures("builds")
@pytest.mark.parametrize("change", ["package", "file", "mode", "link", "option", "image"])
def test_builds_again_when_the_recipe_changes(run_module, apt, args, tmp_path, change):
    run_module(guest_image.main, args)
    hello = tmp_path / "files/root/hello"
    if change == "package":
        apt[KERNEL]["Version"] = "6.1.9-2"
    elif change == "file":
        hello.write_text("good day")
    elif change == "mode":
        hello.chmod(0o755)
    elif change == "link":
        (tmp_path / "files/root/link").symlink_to("hello")
    elif change == "option":
        args["kernel_options"] = ["quiet"]
    elif change == "image":
        (tmp_path / "guest.qcow2").unlink()
    assert run_module(guest_image.main, args)["changed"]
    assert not run_module(guest_image.main, args)["changed"]


@pytest.mark.usefixtures("apt", "builds")
def test_a_failed_build_leaves_the_old_image(run_module, args, monkeypatch, tmp_path):
    run_module(guest_image.main, args)
    monkeypatch.setattr(guest_image.Builder, "build", lambda builder, _: builder.module.fail_json(msg="no disk"))
    args["size_mib"] = 99
    assert run_module(guest_image.main, args)["failed"]
    assert (tmp_path / "guest.qcow2").read_text() == "an image"
    args["size_mib"] = 64
    assert not run_module(guest_image.main, args)["changed"]


def test_kernel_modules_bring_what_they_depend_on():
    dependencies = "a/virtio-net.ko: b/virtio.ko c/failover.ko\nb/virtio.ko:\nc/failover.ko:\nd/other.ko: b/virtio.ko\n"
    assert guest_image.module_files(dependencies, ["virtio_net"]) == ["a/virtio-net.ko", "b/virtio.ko", "c/failover.ko"]
    with pytest.raises(KeyError):
        guest_image.module_files(dependencies, ["missing"])


def test_partition_table_fills_the_first_sector_behind_the_boot_code():
    table = guest_image.partition_table(2048, 36864)
    assert len(table) == 512 - 440 and table.endswith(b"\x55\xaa")
    boot, root = (struct.unpack("<B3sB3sII", table[at : at + 16]) for at in (6, 22))
    assert (boot[0], boot[2], boot[4], boot[5]) == (0x80, 0x0E, 2048, 34816)
    assert (root[0], root[2], root[4]) == (0, 0x83, 36864)
    assert root[4] + root[5] == 0xFFFFFFFF
