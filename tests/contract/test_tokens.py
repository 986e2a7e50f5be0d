"""Tokens, as keystoneauth asks for them."""

from openstack.connection import Connection


def test_a_token_says_who_and_where(demo: Connection) -> None:
    token = demo.session.get(
        f"{demo.config.config['auth']['auth_url']}/v3/auth/tokens",
        headers={"X-Subject-Token": demo.auth_token},
    ).json()["token"]
    assert token["user"]["name"] == token["project"]["name"] == "demo"
    assert {role["name"] for role in token["roles"]} == {"member", "reader"}
    assert {entry["type"] for entry in token["catalog"]} >= {"identity"}
