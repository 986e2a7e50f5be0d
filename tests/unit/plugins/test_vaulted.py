"""The lookup of encrypted files."""

import pytest
from ansible.errors import AnsibleLookupError
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible_collections.skywright.cloud.plugins.lookup.vaulted import LookupModule


@pytest.fixture
def look(tmp_path):
    """Give a function that encrypts a text and looks it up, with another password if that is given."""

    def run(text, password=b"sesame"):
        secrets, key = tmp_path / "secrets.yml", tmp_path / "vault.password"
        secrets.write_bytes(VaultLib([("default", VaultSecret(b"sesame"))]).encrypt(text))
        key.write_bytes(password + b"\n")
        return LookupModule().run([str(secrets)], password_file=str(key))

    return run


def test_gives_what_is_in_the_file(look):
    assert look("overcloud_secrets: {admin: secret}") == [{"overcloud_secrets": {"admin": "secret"}}]
    assert look("overcloud_secrets: {admin: other}") == [{"overcloud_secrets": {"admin": "other"}}]


@pytest.mark.parametrize(("text", "password"), [("a: b", b"wrong"), ("a: [b", b"sesame")])
def test_says_what_is_wrong(look, text, password):
    with pytest.raises(AnsibleLookupError, match=r"secrets\.yml cannot be read with"):
        look(text, password)
