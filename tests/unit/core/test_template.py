import pytest

from llmvc.core import template
from llmvc.errors import FormatError


@pytest.mark.parametrize(
    ("source", "variables", "expected"),
    [
        ("Hi {{name}}!", {"name": "Ada"}, "Hi Ada!"),
        ("{{ a }}{{a}}", {"a": "x"}, "xx"),
        ("\\{{a}}", {}, "{{a}}"),
        ("{{a}}", {"a": "{{b}}"}, "{{b}}"),
        ("{{a}}", {"a": [1, {"b": None}]}, '[1,{"b":null}]'),
        ("{{a}}", {"a": True}, "true"),
        ("{a} {b}", {}, "{a} {b}"),
    ],
)
def test_simple_templates_fill_names_and_nothing_else(source, variables, expected):
    assert template.render(source, variables) == expected


@pytest.mark.parametrize(
    "source", ["{{a.b}}", "{{a|upper}}", "{{#a}}", "{{", "{{1a}}", "{{a b}}", "{{''.__class__}}"]
)
def test_simple_templates_refuse_logic_and_attributes(source):
    with pytest.raises(FormatError, match="template line 1"):
        template.render(source, {"a": "x"})
    with pytest.raises(FormatError):
        template.names(source)


def test_a_variable_without_value_is_named():
    with pytest.raises(FormatError, match="'ticket' has no value"):
        template.render("{{ticket}}", {})


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ cycler.__init__.__globals__.os.popen('id').read() }}",
        "{{ missing }}",
        "{% for x in %}",
        "{% include 'other.md' %}",
        "{{ x.append(1) }}",
        "{{ 'x' | xmlattr }}",
        "{{ 'long' | truncate(1) }}",
        "{{ cycler() }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{{ [1, 2] | random }}",
        "{{ lipsum() }}",
    ],
)
def test_jinja_stays_in_its_sandbox(source):
    with pytest.raises(FormatError, match="jinja2 template"):
        template.render(source, {"x": [1]}, engine="jinja2")


def test_jinja_includes_listed_assets_only():
    texts = {"rules.md": "Be kind, {{ who }}."}
    source = "{% include 'rules.md' %}\n"
    assert (
        template.render(source, {"who": "Ada"}, engine="jinja2", includes=texts)
        == "Be kind, Ada.\n"
    )
    assert template.names(source, engine="jinja2", includes=texts) == {"who"}
    with pytest.raises(FormatError, match="not among the bundle's assets"):
        template.names("{% include 'x' %}", engine="jinja2", includes=texts)


def test_an_engine_of_none_leaves_braces_alone():
    assert template.render("{{a}}", {}, engine="none") == "{{a}}"
    assert template.names("{{a}}", engine="none") == frozenset()
