"""Hypothesis strategies for the values of the core."""

from hypothesis import strategies as st

from llmvc.core.bundle import MEMBERS, Bundle

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
numbers = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-1e9, 1e9, allow_nan=False)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
members = st.dictionaries(
    st.sampled_from(sorted(MEMBERS - {"assets", "members"})), json_values, max_size=5
)
bundles = st.builds(Bundle.of, st.sampled_from(["app", "judge"]), members)
digests = st.integers(0, 2**64).map(lambda n: f"b3:{n:064x}")
