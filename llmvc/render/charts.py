"""Plots of intervals against their rules, as SVG: the one file that loads Altair and vl-convert.

- Colours are CSS variables of the page around the plot, so that one plot serves light and dark.
- Nothing is fetched and no script is left: vl-convert draws in this process.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from llmvc.errors import ConfigError
from llmvc.render.text import safe

if TYPE_CHECKING:
    from llmvc.render.spans import Panel

OUTCOMES: Final = ("pass", "fail", "inconclusive", "watched")
ROW: Final = 34
"""Pixels for each metric."""
_FONT: Final = "system-ui, sans-serif"


def svg(panel: "Panel", *, width: int) -> str:
    """Draws a panel as an SVG element.

    Args:
        panel: what to draw.
        width: pixels of the plot without the names.

    Raises:
        ConfigError: the extra `report` is not installed.
    """
    try:
        alt, converter = import_module("altair"), import_module("vl_convert")
    except ImportError as err:
        raise ConfigError(
            f"plots need altair and vl-convert-python: {err}",
            hint="pip install 'llmvc[report]', or --no-plot",
        ) from err
    chart = _chart(alt, panel, width)
    drawn: str = converter.vegalite_to_svg(chart.to_dict())
    return drawn


def _chart(alt: Any, panel: "Panel", width: int) -> Any:
    rows = [
        {
            "metric": " ".join(safe(span.metric).split()),
            "low": span.low,
            "point": span.point,
            "high": span.high,
            "same": span.same,
            "rule": span.rule,
            "color": f"var(--{span.outcome if span.outcome in OUTCOMES else 'watched'})",
        }
        for span in panel.spans
    ]
    first, last = panel.ends
    before, after = panel.unit.partition("{")[0], panel.unit.rpartition("}")[2]
    axis = alt.Axis(
        title=None,
        tickCount=5,
        format=panel.unit[len(before) + 2 : -1 - len(after)],
        labelExpr=f"'{before}' + datum.label + '{after}'",
    )
    scale = alt.Scale(type="log" if panel.ratio else "linear", domain=[first, last], nice=False)
    base = alt.Chart(alt.Data(values=rows), width=width, height=ROW * len(rows))
    y = alt.Y(
        "metric:N", sort=None, title=None, axis=alt.Axis(ticks=False, domain=False, minExtent=60)
    )

    def x(field: str) -> Any:
        return alt.X(f"{field}:Q", scale=scale, axis=axis)

    color = alt.Color("color:N", scale=None)
    layers = [
        base.mark_tick(thickness=1.5, size=ROW, color="var(--same)").encode(x=x("same"), y=y),
        base.mark_tick(thickness=3, size=ROW * 0.7, color="var(--rule)").encode(x=x("rule"), y=y),
        base.mark_rule(strokeWidth=3).encode(x=x("low"), x2="high:Q", y=y, color=color),
        base.mark_point(filled=True, size=90, opacity=1).encode(x=x("point"), y=y, color=color),
    ]
    return (
        alt.layer(*layers)
        .configure(background="transparent", font=_FONT)
        .configure_view(stroke=None)
        .configure_axis(
            labelColor="var(--text)",
            gridColor="var(--line)",
            domainColor="var(--line)",
            tickColor="var(--line)",
            labelFontSize=12,
            labelLimit=150,
            labelOverlap=True,
        )
    )
