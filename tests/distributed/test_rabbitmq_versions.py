"""The code that the module rabbitmq_cluster evaluates in a node, with a real node: only in tested versions."""

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from distributed.servers import RabbitMq

sys.path.insert(0, str(Path(__file__).parents[2] / ".collections"))
internal = importlib.import_module("ansible_collections.skywright.cloud.plugins.module_utils.rabbitmq")


class Runner:
    """Evaluates the module's code in the node of the tests."""

    def __init__(self, node: RabbitMq) -> None:
        self._node = node

    def read(self, argv: list[str], **_options: Any) -> str:
        return self._node.evaluate_file(Path(argv[5]))

    write = read


@pytest.fixture
def cluster(rabbitmq: RabbitMq, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.setattr(internal, "HOME", str(tmp_path))
    monkeypatch.setattr(internal, "USER", "root")
    return internal.Cluster(Runner(rabbitmq), node=rabbitmq.node, nodes=[rabbitmq.node])


def test_the_installed_version_is_supported(rabbitmq: RabbitMq, cluster: Any) -> None:
    state = cluster.state()
    assert (state["members"], state["running"]) == ([rabbitmq.node], [rabbitmq.node])
    assert [user["name"] for user in state["users"]] == ["guest"]
    assert cluster.change([("vhost cloud", internal.definitions(vhosts=[{"name": "cloud"}]))]) == {}
    assert "cloud" in [vhost["name"] for vhost in cluster.state()["vhosts"]]


@pytest.mark.parametrize("tested", [("3.1",), ("4.0", "4.1")])
def test_in_other_versions_nothing_is_evaluated(
    cluster: Any, monkeypatch: pytest.MonkeyPatch, tested: tuple[str, ...]
) -> None:
    monkeypatch.setattr(internal, "TESTED", tested)
    for work in (cluster.state, cluster.force, lambda: cluster.change([("x", "halt()")])):
        with pytest.raises(
            internal.ItemError, match=rf"is RabbitMQ 3\.10\.\d+: .* tested with {', '.join(tested)} only"
        ):
            work()
