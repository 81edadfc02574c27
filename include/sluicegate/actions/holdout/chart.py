"""Small charts as SVG text. Drawn by hand because a plotting library costs more seconds than the whole comparison."""

from collections.abc import Iterable, Sequence
from html import escape

import numpy as np
from numpy.typing import ArrayLike

CHAMPION, CANDIDATE, INK, FAINT, HARM = "#7b8794", "#0b7285", "#1f2933", "#d9dee4", "#c92a2a"
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 10, 34


class Chart:
    """One chart with linear axes; everything outside the limits is clipped.

    Parameters
    ----------
    x, y
        Limits (low, high) of the axes, in data units.
    size
        Width and height in pixels.
    left
        Width of the margin that holds the labels of the vertical axis.
    """

    def __init__(
        self, x: tuple[float, float], y: tuple[float, float], *, size: tuple[int, int] = (440, 264), left: int = LEFT
    ) -> None:
        self._x, self._y = _widened(x), _widened(y)
        self._width, self._height = size
        self._left = left
        self._parts: list[str] = []

    def across(self, value: float) -> float:
        """Pixel of a value on the horizontal axis."""
        low, high = self._x
        share = min(max((value - low) / (high - low), -0.02), 1.02)
        return self._left + share * (self._width - self._left - RIGHT)

    def up(self, value: float) -> float:
        """Pixel of a value on the vertical axis."""
        low, high = self._y
        share = min(max((value - low) / (high - low), -0.02), 1.02)
        return self._height - BOTTOM - share * (self._height - BOTTOM - TOP)

    def axes(self, x_label: str, y_label: str, *, y_ticks: Sequence[float] | None = None) -> "Chart":
        """Grid, ticks and axis names; `y_ticks` replaces the round numbers that are chosen otherwise."""
        for tick in ticks(*self._x):
            self.rule(x=tick, colour=FAINT)
            self.text(self.across(tick), self._height - BOTTOM + 14, number(tick), anchor="middle")
        for tick in ticks(*self._y) if y_ticks is None else y_ticks:
            self.rule(y=tick, colour=FAINT)
            self.text(self._left - 6, self.up(tick) + 4, number(tick), anchor="end")
        middle = (self._left + self._width - RIGHT) / 2
        self.text(middle, self._height - 4, x_label, anchor="middle", kind="axis")
        self._parts.append(
            f'<text class="axis" transform="translate(11 {self._height / 2 - 8}) rotate(-90)" text-anchor="middle">'
            f"{escape(y_label)}</text>"
        )
        return self

    def rule(self, *, x: float | None = None, y: float | None = None, colour: str = INK, dash: str = "") -> "Chart":
        """A line across the whole chart."""
        if x is not None:
            return self.segment(self.across(x), TOP, self.across(x), self._height - BOTTOM, colour, 1, dash)
        height = self.up(y or 0.0)
        return self.segment(self._left, height, self._width - RIGHT, height, colour, 1, dash)

    def line(self, x: ArrayLike, y: ArrayLike, colour: str, *, width: float = 2, dash: str = "") -> "Chart":
        points = " ".join(
            f"{self.across(float(a)):.1f},{self.up(float(b)):.1f}" for a, b in zip(np.asarray(x), np.asarray(y), strict=True)
        )
        style = f' stroke-dasharray="{dash}"' if dash else ""
        self._parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="{width}"{style}/>')
        return self

    def dots(self, x: ArrayLike, y: ArrayLike, colour: str, *, radius: float = 3.5) -> "Chart":
        for a, b in zip(np.asarray(x), np.asarray(y), strict=True):
            self._parts.append(
                f'<circle cx="{self.across(float(a)):.1f}" cy="{self.up(float(b)):.1f}" r="{radius}" fill="{colour}"/>'
            )
        return self

    def bars(self, edges: ArrayLike, heights: ArrayLike, colour: str, *, opacity: float = 1.0) -> "Chart":
        """Histogram: heights[i] between edges[i] and edges[i + 1]."""
        bounds, values = np.asarray(edges), np.asarray(heights)
        for left, right, value in zip(bounds[:-1], bounds[1:], values, strict=True):
            x, y = self.across(float(left)), self.up(float(value))
            width, height = self.across(float(right)) - x - 1, self.up(0.0) - y
            self._parts.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0.5):.1f}" height="{max(height, 0):.1f}" '
                f'fill="{colour}" opacity="{opacity}"/>'
            )
        return self

    def segment(self, x1: float, y1: float, x2: float, y2: float, colour: str, width: float = 2, dash: str = "") -> "Chart":
        """A line between two pixels."""
        style = f' stroke-dasharray="{dash}"' if dash else ""
        self._parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"{style}/>'
        )
        return self

    def text(self, x: float, y: float, words: str, *, anchor: str = "start", kind: str = "tick", colour: str = "") -> "Chart":
        """Words at a pixel."""
        fill = f' fill="{colour}"' if colour else ""
        self._parts.append(f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{fill}>{escape(words)}</text>')
        return self

    def legend(self, entries: Iterable[tuple[str, str]], *, x: float, y: float) -> "Chart":
        """Colour and words, one below the other, at a pixel."""
        for place, (colour, words) in enumerate(entries):
            self.segment(x, y + 16 * place, x + 16, y + 16 * place, colour, 3)
            self.text(x + 21, y + 16 * place + 4, words, kind="legend")
        return self

    def svg(self, title: str) -> str:
        """The whole picture; it stands alone as a file as well as inside a page."""
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self._width} {self._height}" role="img" '
            f'aria-label="{escape(title, quote=True)}" font-family="system-ui, sans-serif" font-size="11" fill="{INK}">'
            f"{''.join(self._parts)}</svg>"
        )


def ticks(low: float, high: float) -> list[float]:
    """About five round numbers inside the limits."""
    raw = (high - low) / 5
    power = 10.0 ** np.floor(np.log10(raw))
    step = float(power * min((1, 2, 2.5, 5, 10), key=lambda m: abs(m * power - raw)))
    first = np.ceil(low / step - 1e-9)
    return [float(round(step * k, 12)) + 0.0 for k in np.arange(first, np.floor(high / step + 1e-9) + 1)]


def number(value: float) -> str:
    """Short text of a number, with a true minus sign."""
    return f"{value + 0.0:.4g}".replace("-", "−")


def _widened(limits: tuple[float, float]) -> tuple[float, float]:
    low, high = limits
    return (low, high) if high > low else (low - 0.5, high + 0.5)
