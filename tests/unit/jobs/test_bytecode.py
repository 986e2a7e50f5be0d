import importlib.util
import zipfile
import zipimport
from pathlib import Path
from types import ModuleType

from skywright.jobs.runs import bytecode


def pack(path: Path) -> Path:
    with bytecode.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo("parcel.py"), b"WHERE = __name__")
        archive.writestr(zipfile.ZipInfo("data.txt"), b"not a program")
    return path


def load(importer: zipimport.zipimporter) -> ModuleType:
    module = importlib.util.module_from_spec(importer.find_spec("parcel"))
    importer.exec_module(module)
    return module


def test_python_runs_the_bytecode_in_the_zip_file(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip")
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["parcel.py", "parcel.pyc", "data.txt"]
    importer = zipimport.zipimporter(str(path))
    assert importer.get_filename("parcel").endswith("parcel.pyc")
    assert load(importer).WHERE == "parcel"


def test_another_version_of_python_uses_the_source(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(importlib.util, "MAGIC_NUMBER", b"\0\0\r\n")
    importer = zipimport.zipimporter(str(pack(tmp_path / "b.zip")))
    assert importer.get_filename("parcel").endswith("parcel.py")
    assert load(importer).WHERE == "parcel"
