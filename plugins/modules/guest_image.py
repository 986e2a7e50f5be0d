#!/usr/bin/python
# Copyright: (c) 2026, Skywright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Build a small bootable image from Debian packages and a tree of files."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: guest_image
short_description: Build a small bootable image from Debian packages
description:
  - Downloads packages with apt, picks programs, libraries and kernel modules out of them, adds a tree of files, and
    makes a bootable qcow2 image of them (amd64, BIOS; a FAT partition to boot from, an ext4 one for the rest).
    Neither mounts nor loop devices are used.
  - The module builds nothing if the image has the same recipe. The same recipe gives the same files.
options:
  path:
    description: The path of the image. Its recipe is next to it, with the suffix C(.recipe).
    type: path
    required: true
  size_mib:
    description: Virtual size of the image in MiB.
    type: int
    default: 64
  files:
    description:
      - A directory with the trees C(root), which becomes part of the root file system, and C(initramfs).
    type: path
    required: true
  kernel:
    description: The package of the kernel, or a metapackage that depends on it.
    type: str
    required: true
  kernel_options:
    description: Kernel options in addition to the consoles.
    type: list
    elements: str
    default: []
  packages:
    description: Packages to take files from, without their dependencies.
    type: list
    elements: str
    required: true
  programs:
    description: Programs to copy from the packages, with their libraries.
    type: list
    elements: str
    default: []
  boot_modules:
    description: Kernel modules for the initramfs, with their dependencies.
    type: list
    elements: str
    default: []
  modules:
    description: Kernel modules for the root file system, with their dependencies.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    support: full
    description: Predicts whether the image would be built.
author:
  - Skywright contributors (@skywright)
"""

EXAMPLES = r"""
- name: Build the guest image
  skywright.cloud.guest_image:
    path: /var/lib/images/guest.qcow2
    files: /usr/share/guest
    kernel: linux-image-cloud-amd64
    packages: [busybox-static, dropbear-bin, libc6]
    programs: [usr/sbin/dropbear]
    boot_modules: [virtio_pci, virtio_blk]
"""

RETURN = r"""
recipe:
  description: Hash of everything that determines the image.
  type: str
  returned: always
packages:
  description: The versions of the packages.
  type: dict
  returned: always
size:
  description: Size of the image in bytes.
  type: int
  returned: when the image exists
"""

import hashlib
import json
import os
import re
import shutil
import struct
import tempfile

from ansible.module_utils.basic import AnsibleModule

SECTOR = 512
BOOT_START = 2048  # sectors
MBR = "/usr/lib/syslinux/mbr/mbr.bin"
CONSOLES = ["console=tty0", "console=ttyS0,115200"]
LIBRARY_DIRS = ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"]
LOADER = "lib64/ld-linux-x86-64.so.2"
UUID = "5c1f6a0e-8c5b-4f0d-9a3e-736b79777269"
STATE_FILES = {"var/lib/skywright/root-size": "0\n", "var/lib/skywright/instance": "\n"}
DIRECTORIES = ["dev", "proc", "sys", "run", "tmp", "mnt", "root", "etc/dropbear", "var/log", "home/sky"]


def main():
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "size_mib": {"type": "int", "default": 64},
            "files": {"type": "path", "required": True},
            "kernel": {"type": "str", "required": True},
            "kernel_options": {"type": "list", "elements": "str", "default": []},
            "packages": {"type": "list", "elements": "str", "required": True},
            "programs": {"type": "list", "elements": "str", "default": []},
            "boot_modules": {"type": "list", "elements": "str", "default": []},
            "modules": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    module.run_command_environ_update = {"LC_ALL": "C", "E2FSPROGS_FAKE_TIME": "1", "SOURCE_DATE_EPOCH": "1"}
    path = module.params["path"]
    packages = candidates(module)
    wanted = recipe(module.params, packages)
    changed = not os.path.exists(path) or read_text(path + ".recipe").strip() != wanted
    if changed and not module.check_mode:
        with tempfile.TemporaryDirectory(prefix="guest-image-") as work:
            image = Builder(module, work).build(packages)
            module.atomic_move(image, path)
        write_text(path + ".recipe", wanted + "\n")
    result = {"changed": changed, "recipe": wanted, "packages": packages}
    if os.path.exists(path):
        result["size"] = os.path.getsize(path)
    module.exit_json(**result)


def candidates(module):
    """The packages to use and their versions, the kernel's metapackage replaced by the kernel."""
    shown = show(module, [module.params["kernel"]])
    kernel = shown[module.params["kernel"]]
    depends = re.match(r"linux-image-[0-9][^ ,]*", kernel.get("Depends", ""))
    names = [*module.params["packages"], depends.group() if depends else module.params["kernel"]]
    shown = show(module, names)
    return {name: shown[name]["Version"] for name in sorted(names)}


def show(module, names):
    """Return apt's records of the packages, by name."""
    out = module.run_command(["apt-cache", "show", "--no-all-versions", *names], check_rc=True)[1]
    paragraphs = [dict(re.findall(r"^([\w-]+): (.*)$", text, re.M)) for text in out.split("\n\n")]
    return {fields["Package"]: fields for fields in paragraphs if fields}


def recipe(params, packages):
    """Return the hash of everything that determines the image, including this module."""
    digest = hashlib.sha256()
    inputs = {name: value for name, value in params.items() if name not in ("path", "files")}
    digest.update(json.dumps([inputs, packages], sort_keys=True).encode())
    digest.update(__loader__.get_data(__file__))  # Ansible runs the module from a zip file
    for path in tree(params["files"]):
        digest.update(f"{os.path.relpath(path, params['files'])} {os.lstat(path).st_mode:o}\n".encode())
        if os.path.islink(path):
            digest.update(os.readlink(path).encode())
        elif os.path.isfile(path):
            with open(path, "rb") as file:
                digest.update(file.read())
    return digest.hexdigest()


class Builder:
    """Builds one image in a working directory."""

    def __init__(self, module, work):
        self.module = module
        self.params = module.params
        self.work = work
        self.source = os.path.join(work, "packages")
        self.root = os.path.join(work, "root")
        self.initramfs = os.path.join(work, "initramfs")
        self.boot = os.path.join(work, "boot")

    def run(self, argv, **kwargs):
        return self.module.run_command(argv, check_rc=True, **kwargs)[1]

    def build(self, packages):
        self.unpack(packages)
        kernel = os.listdir(os.path.join(self.source, "lib/modules"))[0]
        self.make_root(kernel)
        self.make_boot(kernel)
        return self.make_image()

    def unpack(self, packages):
        debs = os.path.join(self.work, "debs")
        os.mkdir(debs)
        # apt's user for downloads cannot write here, so apt prints a warning and downloads as root.
        versions = [f"{name}={version}" for name, version in packages.items()]
        self.run(["apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", *versions], cwd=debs)
        for deb in sorted(os.listdir(debs)):
            self.run(["dpkg-deb", "-x", os.path.join(debs, deb), self.source])

    def make_root(self, kernel):
        for directory in DIRECTORIES:
            os.makedirs(os.path.join(self.root, directory))
        self.install_busybox()
        for program in self.params["programs"]:
            self.install(program)
        for library in sorted(self.libraries()):
            self.install(library)
        self.install_modules(self.root, kernel, self.params["boot_modules"] + self.params["modules"])
        self.overlay("root", self.root)
        for name, text in STATE_FILES.items():
            os.makedirs(os.path.dirname(os.path.join(self.root, name)), exist_ok=True)
            write_text(os.path.join(self.root, name), text)
        os.chmod(os.path.join(self.root, "root"), 0o700)
        os.chmod(os.path.join(self.root, "etc/shadow"), 0o600)
        os.chown(os.path.join(self.root, "home/sky"), 1000, 1000)

    def install(self, name):
        """Copy a file from the packages into the root file system."""
        path = os.path.join(self.root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        shutil.copy2(os.path.join(self.source, name), path)

    def install_busybox(self):
        self.install("bin/busybox")
        for applet in self.run([os.path.join(self.root, "bin/busybox"), "--list-full"]).split():
            link = os.path.join(self.root, applet)
            os.makedirs(os.path.dirname(link), exist_ok=True)
            if not os.path.lexists(link):
                os.symlink("/bin/busybox", link)

    def libraries(self):
        """Return the loader of the packages and the libraries that it finds for the programs."""
        path = ":".join(os.path.join(self.source, directory) for directory in LIBRARY_DIRS)
        found = {LOADER}
        for program in self.params["programs"]:
            argv = [os.path.join(self.source, LOADER), "--library-path", path, "--list"]
            listed = self.run([*argv, os.path.join(self.source, program)])
            for name, file in re.findall(r"(\S+) => (\S+)", listed):
                if not file.startswith(self.source):
                    self.module.fail_json(msg=f"{program} needs {name}, which none of the packages has")
                found.add(os.path.relpath(file, self.source))
        return found

    def install_modules(self, target, kernel, names):
        """Copy kernel modules with their dependencies, and write their indexes."""
        base = os.path.join("lib/modules", kernel)
        os.makedirs(os.path.join(target, base))
        if not os.path.exists(os.path.join(self.source, base, "modules.dep")):
            self.run(["depmod", "-b", self.source, kernel])
        for module in module_files(read_text(os.path.join(self.source, base, "modules.dep")), names):
            copied = os.path.join(target, base, module)
            os.makedirs(os.path.dirname(copied), exist_ok=True)
            shutil.copy2(os.path.join(self.source, base, module), copied)
        for index in ("modules.builtin", "modules.order"):
            shutil.copy2(os.path.join(self.source, base, index), os.path.join(target, base))
        self.run(["depmod", "-b", target, kernel])
        # BusyBox reads only the text indexes.
        for index in os.listdir(os.path.join(target, base)):
            if index not in ("kernel", "modules.dep", "modules.alias"):
                os.remove(os.path.join(target, base, index))

    def make_boot(self, kernel):
        """Write the files of the boot loader: the kernel, the initramfs and its configuration."""
        os.mkdir(self.boot)
        shutil.copy(os.path.join(self.source, f"boot/vmlinuz-{kernel}"), os.path.join(self.boot, "vmlinuz"))
        self.make_initramfs(kernel)
        options = " ".join(CONSOLES + self.params["kernel_options"])
        write_text(
            os.path.join(self.boot, "syslinux.cfg"),
            f"DEFAULT linux\nLABEL linux\nLINUX vmlinuz\nINITRD initramfs\nAPPEND {options}\n",
        )

    def make_initramfs(self, kernel):
        for directory in ("bin", "dev", "proc", "sys", "root"):
            os.makedirs(os.path.join(self.initramfs, directory))
        shutil.copy2(os.path.join(self.source, "bin/busybox"), os.path.join(self.initramfs, "bin"))
        self.install_modules(self.initramfs, kernel, self.params["boot_modules"])
        self.overlay("initramfs", self.initramfs)
        settle(self.initramfs)
        names = [os.path.relpath(path, self.initramfs) for path in tree(self.initramfs)]
        # Not compressed: a guest reads faster than it decompresses, and the image is compressed as a whole.
        archive = os.path.join(self.boot, "initramfs")
        self.run(
            ["cpio", "--quiet", "-o", "-H", "newc", "--reproducible", "--owner=0:0", "-F", archive],
            cwd=self.initramfs,
            data="\n".join(names),
        )

    def overlay(self, name, target):
        shutil.copytree(os.path.join(self.params["files"], name), target, symlinks=True, dirs_exist_ok=True)

    def make_image(self):
        disk = os.path.join(self.work, "disk")
        image = os.path.join(self.work, "image.qcow2")
        boot = self.make_boot_partition()
        root_start = BOOT_START + len(boot) // SECTOR
        with open(MBR, "rb") as mbr, open(disk, "wb") as file:
            file.write(mbr.read(440) + partition_table(BOOT_START, root_start))
            file.seek(BOOT_START * SECTOR)
            file.write(boot)
            file.truncate(self.params["size_mib"] << 20)
        self.make_root_partition(disk, root_start * SECTOR)
        self.run(["qemu-img", "convert", "-c", "-f", "raw", "-O", "qcow2", disk, image])
        return image

    def make_boot_partition(self):
        """Return the content of a FAT file system, which the boot loader reads fastest."""
        settle(self.boot)
        files = sorted(os.path.join(self.boot, name) for name in os.listdir(self.boot))
        size_mib = 2 + (sum(os.path.getsize(file) for file in files) >> 20)
        fat = os.path.join(self.work, "fat")
        identity = ["--invariant", "-n", "BOOT", "-h", str(BOOT_START)]
        self.run(["mkfs.fat", *identity, "-F", "16", "-s", "4", "-C", fat, str(size_mib << 10)])
        self.run(["mcopy", "-m", "-i", fat, *files, "::"])
        self.run(["syslinux", "--install", fat])
        with open(fat, "rb") as file:
            return file.read()

    def make_root_partition(self, disk, start):
        settle(self.root)
        identity = ["-U", UUID, "-L", "skywright", "-E", f"offset={start},hash_seed={UUID},root_owner=0:0"]
        layout = ["-b", "4096", "-I", "256", "-i", "16384", "-m", "0"]
        size_kib = (self.params["size_mib"] << 10) - start // 1024
        self.run(["mke2fs", "-qF", "-t", "ext4", *layout, *identity, "-d", self.root, disk, f"{size_kib}k"])


def partition_table(boot_start, root_start):
    """Return a partition table with the boot partition and a root partition that is larger than any disk.

    The kernel truncates it to the disk, so it grows with the disk without a change of the table of a disk in use.
    """
    boot = partition(0x80, 0x0E, boot_start, root_start - boot_start)
    root = partition(0, 0x83, root_start, 0xFFFFFFFF - root_start)
    return b"SKYW\0\0" + boot + root + bytes(32) + b"\x55\xaa"


def partition(flag, kind, start, length):
    """Return an entry of the partition table, in sectors; cylinders and heads are obsolete."""
    return struct.pack("<B3sB3sII", flag, b"\xfe\xff\xff", kind, b"\xfe\xff\xff", start, length)


def module_files(dependencies, names):
    """Return the files of the kernel modules and of their dependencies, from the text of modules.dep."""
    depends = {}
    for line in dependencies.splitlines():
        file, others = line.split(":")
        depends[os.path.basename(file).split(".")[0].replace("-", "_")] = [file, *others.split()]
    return sorted({file for name in names for file in depends[name]})


def tree(top):
    """Return all paths below a directory, in an order that does not depend on the file system."""
    paths = []
    for directory, directories, files in os.walk(top):
        directories.sort()
        paths += [os.path.join(directory, name) for name in [*directories, *files]]
    return sorted(paths)


def settle(top):
    """Set one time stamp on all files, so that the same content gives the same image."""
    for path in [top, *tree(top)]:
        os.utime(path, (1, 1), follow_symlinks=False)


def read_text(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def write_text(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    main()
