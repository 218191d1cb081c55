"""What the user sees of a provider that does otherwise than asked, or cannot do it."""


def test_a_note_is_a_warning_once_and_stays_in_the_report(repo, cli):
    path = repo.root / "fake.py"
    path.write_text(path.read_text().replace('"usage"', '"notes": ["it was tired"], "usage"'))
    repo.prompt("Say the number again.")
    repo.save("reword")
    done = cli("eval")
    assert done.err.count("warning: ") == 1
    assert "warning: fake (baseline, candidate): it was tired" in done.err
    again = cli("eval")
    assert "stored evidence" in again.err
    assert again.err.count("it was tired") == 1


def test_a_member_that_the_provider_would_drop_is_refused_before_any_call(repo, cli, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-none")
    path = repo.root / "prompts/support/bundle.yaml"
    text = path.read_text().replace("provider: fake", "provider: anthropic")
    path.write_text(text.replace("temperature: 0", "temperature: 0, verbosity: low"))
    done = cli("eval", code=4)
    assert (
        "a provider of kind anthropic takes no decoding.verbosity, which candidate b3:" in done.err
    )
    assert "-> remove it from the manifest, or choose another provider" in done.err
