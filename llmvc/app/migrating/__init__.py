"""Migrating: the same bundle on another model, planned without a call and measured.

- `candidate` edits the manifest in memory and reads what people decided of its parameters.
- `sides` knows both ends, `facts` tells window, money and judges before and after, `noticing` what
  to look at; `planning` puts them together.
- `moving` edits the file, measures and releases; `stored` keeps the record of it.
"""
