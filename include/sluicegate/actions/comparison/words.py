"""Numbers as a report writes them."""

from datetime import UTC, datetime


def plain(value: float) -> str:
    """Four digits."""
    return f"{value:.4g}".replace("-", "−") if abs(value) >= 1 else f"{value:.4f}".replace("-", "−")


def signed(value: float) -> str:
    """With its sign."""
    text = f"{value:+.3g}" if abs(value) >= 1 else f"{value:+.4f}"
    return text.replace("-", "−")


def percent(share: float) -> str:
    """Of a share of one."""
    return f"{100 * share:.2f} %"


def chance(p_value: float) -> str:
    """Of a p-value."""
    return "p < 0.0001" if p_value < 1e-4 else f"p {p_value:.4f}"


def day(seconds: float) -> str:
    """Of a time in seconds since the epoch, UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
