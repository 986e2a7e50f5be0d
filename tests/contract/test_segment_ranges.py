"""Ranges of segment ids, with Neutron's rules; new networks get their ids from them."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from openstack.connection import Connection

from contract.conftest import Api
from contract.network_helpers import request
from skywright.services.network.segment_defaults import record

Create = Callable[..., Any]
PATH = "/network_segment_ranges"


@pytest.fixture
def create(admin: Connection) -> Iterator[Create]:
    made = []

    def create(minimum: int, maximum: int, kind: str = "vxlan", **values: Any) -> Any:
        given = {"network_type": kind, "minimum": minimum, "maximum": maximum, **values}
        made.append(admin.network.create_network_segment_range(**given))
        return made[-1]

    yield create
    for row in made:
        admin.network.delete_network_segment_range(row)


def error(answer: Any) -> tuple[int, str, str]:
    found = answer.json()["NeutronError"]
    return answer.status_code, found["type"], found["message"]


def post(connection: Connection, **values: Any) -> Any:
    return request(connection, "POST", PATH, {"network_segment_range": values})


def test_the_extension_is_listed(demo: Connection) -> None:
    found = demo.network.find_extension("network-segment-range", ignore_missing=False)
    assert found.name == "Neutron Network Segment Range"


def test_networks_get_ids_of_a_shared_range(admin: Connection, demo: Connection, create: Create) -> None:
    made = create(500, 502, name="few")
    view = request(admin, "GET", f"{PATH}/{made.id}").json()["network_segment_range"]
    expected = {"name": "few", "default": False, "shared": True, "project_id": None, "network_type": "vxlan"}
    assert {name: view[name] for name in expected} == expected and "tenant_id" not in view
    assert (view["minimum"], view["maximum"], view["physical_network"]) == (500, 502, "")
    assert (view["used"], view["available"]) == ({}, [500, 501, 502])
    networks = [demo.network.create_network() for _ in range(3)]
    found = admin.network.get_network_segment_range(made)
    assert set(found.used) == {"500", "501", "502"} and set(found.used.values()) == {networks[0].project_id}
    assert found.available == []
    answer = request(demo, "POST", "/networks", {"network": {}})
    assert error(answer)[:2] == (409, "NoNetworkAvailable")
    outside = admin.network.create_network(provider_network_type="vxlan", provider_segmentation_id=9)
    assert outside.provider_segmentation_id == 9, "administrators may use any id"
    for network in (*networks, outside):
        admin.network.delete_network(network)


def test_a_projects_own_range(admin: Connection, demo: Connection, create: Create) -> None:
    project = demo.current_project_id
    own = create(600, 600, shared=False, project_id=project)
    assert (own.shared, own.project_id) == (False, project)
    network = demo.network.create_network()
    assert admin.network.get_network(network).provider_segmentation_id == 600
    demo.network.delete_network(network)


def test_vlan_ranges_belong_to_a_physical_network(admin: Connection, create: Create) -> None:
    made = create(10, 12, "vlan", physical_network="physnet9")
    assert (made.physical_network, made.available) == ("physnet9", [10, 11, 12])
    create(10, 12, "vlan", physical_network="physnet8")
    found = list(admin.network.network_segment_ranges(network_type="vlan", physical_network="physnet9"))
    assert [row.id for row in found] == [made.id]


REFUSED = [
    ({"network_type": "geneve"}, "NetworkSegmentRangeNetTypeNotSupported",
     "Network type geneve does not support network segment ranges."),
    ({"network_type": "flat"}, "NetworkSegmentRangeNetTypeNotSupported",
     "Network type flat does not support network segment ranges."),
    ({"network_type": "vlan"}, "HTTPBadRequest",
     "Bad network_segment_range request: Network type vlan requires 'physical_network' to be specified while creating "
     "new range."),
    ({"physical_network": "physnet1"}, "InvalidInput",
     "Invalid input for operation: physical_network specified for vxlan network."),
    ({"minimum": 9}, "InvalidInput", "Invalid input for operation: the end of the range is less than its start."),
    ({"maximum": 1 << 24}, "InvalidInput",
     "Invalid input for operation: 16777216 is no id of a vxlan segment, which are 1 to 16777215."),
    ({"maximum": 70000}, "InvalidInput", "Invalid input for operation: a range has at most 65536 ids."),
    ({"minimum": 0}, "HTTPBadRequest", "Invalid input for minimum. Reason: 0 is too small - must be at least '1'."),
    ({"default": True}, "HTTPBadRequest", "Unrecognized attribute(s) 'default'"),
    ({"used": {}}, "HTTPBadRequest", "Unrecognized attribute(s) 'used'"),
]  # fmt: skip


@pytest.mark.parametrize(("values", "kind", "message"), REFUSED)
def test_invalid_ranges_are_refused(admin: Connection, values: dict[str, Any], kind: str, message: str) -> None:
    answer = post(admin, **({"network_type": "vxlan", "minimum": 1, "maximum": 5} | values))
    assert error(answer) == (400, kind, message)
    assert list(admin.network.network_segment_ranges()) == []


def test_ranges_do_not_overlap(admin: Connection, create: Create) -> None:
    made = create(700, 710)
    answer = post(admin, network_type="vxlan", minimum=710, maximum=720)
    text = f"Network segment range overlaps with range(s) with id {made.id}"
    assert error(answer) == (409, "NetworkSegmentRangeOverlaps", text)
    create(700, 710, "gre")
    other = create(711, 720)
    answer = request(admin, "PUT", f"{PATH}/{other.id}", {"network_segment_range": {"minimum": 705}})
    assert error(answer) == (409, "NetworkSegmentRangeOverlaps", text)


def test_a_range_in_use_keeps_its_used_ids(admin: Connection, create: Create) -> None:
    made = create(800, 810)
    network = admin.network.create_network(provider_network_type="vxlan", provider_segmentation_id=805)
    used = (
        409,
        "NetworkSegmentRangeReferencedByProject",
        f"Network Segment Range {made.id} is referenced by one or more project networks.",
    )
    assert error(request(admin, "DELETE", f"{PATH}/{made.id}")) == used
    for values in ({"minimum": 806}, {"maximum": 804}):
        assert error(request(admin, "PUT", f"{PATH}/{made.id}", {"network_segment_range": values})) == used
    changed = admin.network.update_network_segment_range(made, name="new", minimum=805, maximum=806)
    assert (changed.name, changed.minimum, changed.maximum, changed.available) == ("new", 805, 806, [806])
    admin.network.delete_network(network)


@pytest.mark.parametrize("name", ["network_type", "physical_network", "shared", "project_id"])
def test_what_cannot_be_changed(admin: Connection, create: Create, name: str) -> None:
    made = create(900, 901)
    answer = request(admin, "PUT", f"{PATH}/{made.id}", {"network_segment_range": {name: "x"}})
    assert error(answer)[::2] == (400, f"Cannot update read-only attribute {name}")


def test_ranges_of_the_settings_are_read_only(api: Api, admin: Connection) -> None:
    with api.cloud.database.write() as session:
        record(session, {("vxlan", "", 40, 41)})
    (made,) = admin.network.network_segment_ranges()
    view = request(admin, "GET", f"{PATH}/{made.id}").json()["network_segment_range"]
    assert (view["default"], view["shared"], view["available"]) == (True, True, [40, 41])
    text = f"Network Segment Range {made.id} is a default segment range which could not be updated or deleted."
    for answer in (
        request(admin, "PUT", f"{PATH}/{made.id}", {"network_segment_range": {"name": "x"}}),
        request(admin, "DELETE", f"{PATH}/{made.id}"),
    ):
        assert error(answer) == (400, "NetworkSegmentRangeDefaultReadOnly", text)
    with api.cloud.database.write() as session:
        record(session, set())


def test_only_administrators_see_ranges(admin: Connection, demo: Connection, create: Create) -> None:
    made = create(950, 951)
    assert list(demo.network.network_segment_ranges()) == []
    missing = (404, "NetworkSegmentRangeNotFound", f"Network Segment Range {made.id} could not be found.")
    for method in ("GET", "DELETE"):
        assert error(request(demo, method, f"{PATH}/{made.id}")) == missing
    assert error(post(demo, network_type="vxlan", minimum=1, maximum=2))[0] == 403
