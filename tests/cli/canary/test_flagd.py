"""Flags for flagd, from the command line."""

import json


def test_an_environment_and_its_canary_are_one_flag(opened, cli):
    found = json.loads(cli("canary", "flagd", "support", "prod").out)
    flag = found["flags"]["support/prod"]
    canary = cli.json("canary", "status")["release"]["canary"]
    assert flag["metadata"]["salt"] == canary["salt"]
    inside, *arms = flag["targeting"]["if"]
    assert arms == ["canary", "baseline"]
    assert inside["and"][1]["<"][1] == canary["share_ppm"]
    assert flag["variants"]["canary"] == cli.digest("support")


def test_without_a_canary_it_is_a_flag_of_one_variant(ready, cli):
    flag = json.loads(cli("canary", "flagd").out)["flags"]["support/prod"]
    assert (list(flag["variants"]), "targeting" in flag) == (["baseline"], False)


def test_an_environment_without_a_release_has_no_flag(ready, cli):
    assert (
        "support/nowhere has no release" in cli("canary", "flagd", "support", "nowhere", code=4).err
    )
