"""How a page of llmvc looks: one style sheet, in light and dark."""

from typing import Final

CSS: Final = """
:root {
  color-scheme: light dark;
  --page: #fff; --text: #1c2128; --dim: #57606a; --line: #d8dee4; --soft: #f6f8fa;
  --pass: #1a7f37; --fail: #cf222e; --inconclusive: #9a6700; --watched: #57606a;
  --same: #57606a; --rule: #8250df; --link: #0969da;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0d1117; --text: #e6edf3; --dim: #9198a1; --line: #30363d; --soft: #161b22;
    --pass: #3fb950; --fail: #f85149; --inconclusive: #d29922; --watched: #9198a1;
    --same: #9198a1; --rule: #a371f7; --link: #4493f8;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 60rem; background: var(--page);
  color: var(--text); font: 15px/1.5 system-ui, sans-serif; overflow-wrap: anywhere;
}
h1 { font-size: 1.3rem; margin: 0 0 .5rem; }
h2 { font-size: 1.1rem; margin: 0 0 .5rem; }
h4 { font-size: .85rem; font-weight: normal; color: var(--dim); margin: .75rem 0 .25rem; }
section { border-top: 1px solid var(--line); margin-top: 1.5rem; padding-top: 1rem; }
a { color: var(--link); }
code, pre { font: 13px/1.45 ui-monospace, monospace; }
pre {
  margin: 0; padding: .5rem .75rem; background: var(--soft); border-radius: 6px;
  white-space: pre-wrap; max-height: 24rem; overflow: auto;
}
.badge, .told { border-radius: 1em; padding: .1em .6em; font-weight: 600; }
.badge { color: var(--page); }
.told { border: 1px solid currentColor; font-size: .8rem; white-space: nowrap; }
.badge.pass { background: var(--pass); } .told.pass { color: var(--pass); }
.badge.fail { background: var(--fail); } .told.fail { color: var(--fail); }
.badge.inconclusive { background: var(--inconclusive); }
.told.inconclusive, .told.warning { color: var(--inconclusive); }
.told.watched, .told.note { color: var(--watched); font-weight: normal; }
dl { margin: .75rem 0; }
dl > div { display: grid; grid-template-columns: 8.5rem 1fr; gap: 0 .75rem; }
dt { color: var(--dim); } dd { margin: 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .75rem .3rem 0; border-bottom: 1px solid var(--line); }
th { color: var(--dim); font-weight: normal; white-space: nowrap; }
td { white-space: nowrap; overflow-wrap: normal; }
td:first-child, td:last-child { white-space: normal; min-width: 5rem; }
td:last-child { min-width: 8rem; }
td code {
  display: inline-block; min-width: 11rem; max-width: 22rem; white-space: normal;
  overflow-wrap: anywhere;
}
.run { display: inline-block; min-width: 1.1em; margin-right: .4em; }
figure { margin: 1.25rem 0 .5rem; } figcaption { color: var(--dim); font-size: .85rem; }
 figure svg { max-width: 100%; height: auto; }
.narrow { display: none; }
.legend { color: var(--dim); font-size: .85rem; margin: 0 0 1rem; }
.legend span { margin-right: 1.25rem; white-space: nowrap; }
.legend i { display: inline-block; height: .9em; margin-right: .4em; vertical-align: -.1em; }
.legend .same { border-left: 2px solid var(--same); }
.legend .rule { border-left: 3px solid var(--rule); }
details { margin: .5rem 0; } summary { cursor: pointer; }
:target > pre { outline: 2px solid var(--link); }
@media (max-width: 45rem) {
  .wide { display: none; } .narrow { display: block; }
  dl > div { grid-template-columns: 1fr; margin-bottom: .4rem; }
}
"""
