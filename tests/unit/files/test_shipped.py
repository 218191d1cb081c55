"""Shipped files are found."""

import pytest

from llmvc.errors import NotFoundError
from llmvc.files.shipped import shipped


def test_a_schema_is_found_in_the_checkout():
    assert shipped("schemas", "bundle.schema.json").is_file()


def test_what_did_not_come_along_is_named():
    with pytest.raises(
        NotFoundError, match=r"^schemas/nothing\.json did not come with this installation$"
    ):
        shipped("schemas", "nothing.json")
