"""A migration as text and as Markdown."""

from dataclasses import replace

from llmvc.core.migration import Amount, Context, Cost, Finding, Parameter, Room
from llmvc.render import migration, migration_markdown
from tests.support.migrations import RECORD


def test_text_tells_each_part_of_a_record_once() -> None:
    told = migration.record_text(RECORD)
    assert "model      openai/gpt-4o -> openai/gpt-5" in told
    assert "  decoding.seed  7 -> -  dropped  no place" in told
    assert "  warning  tools.look  long" in told
    assert "known      what gpt-5 takes, as of 2026-11-20" in told
    assert "not known  a price" in told
    assert "now: window 100, largest request about 12 (c1), 3 of 4 requests fit" in told
    assert "- -> $0.50 a case, - -> $2.00 for all cases once (measured: report)" in told
    assert "family gpt, of the family of one of the models, TRUSTED" in told
    assert "says pass" in told


def test_what_is_not_known_is_no_number() -> None:
    nothing = Amount(None, None)
    cost = replace(RECORD.cost, from_=nothing, to=nothing)
    assert "cost       not known" in migration.record_text(replace(RECORD, cost=cost))
    room = Context(None, Room(None, None, None, None, None, 4), "bytes")
    assert "no window is known" in migration.record_text(replace(RECORD, context=room))
    known = replace(RECORD.known, family=None, dated="")
    assert "known      what" not in migration.record_text(replace(RECORD, known=known))


def test_a_small_amount_keeps_the_digits_that_tell_it_from_nothing() -> None:
    cost: Cost = replace(RECORD.cost, from_=Amount(0.0000123, 0.0123), to=Amount(0.0, 1234.5))
    told = migration.record_text(replace(RECORD, cost=cost))
    assert "$0.0000123 -> $0.00 a case, $0.0123 -> $1,234.50" in told


def test_a_long_value_is_cut() -> None:
    one = Parameter("decoding.stop", ["x" * 99], None, "dropped", "")
    told = migration.record_text(replace(RECORD, parameters=(one,)))
    assert '["' + "x" * 45 + "… -> -" in told


def test_markdown_escapes_what_others_wrote() -> None:
    evil = Finding("tools", "refused", "tools.<b>|x", "see @team [here](http://x) #1")
    told = migration_markdown.markdown(replace(RECORD, findings=(evil,)))
    assert "&lt;b&gt;" in told
    assert r"\|x" in told
    assert "@team" not in told
    assert r"\[here\]" in told
    assert told.startswith("### Migration: support, <code>openai/gpt-4o</code>")
    assert "| <code>decoding.seed</code> | <code>7</code> | <code>-</code> | dropped |" in told
