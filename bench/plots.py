"""Pictures of a room's figures, where matplotlib is installed: how the contenders rank, and how fast they are."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.report import Report

FURTHEST = 16.0  # the right end of the performance profile: so many times the time of the best
FURTHEST_CAPPED = 1024.0  # the same where peers are stopped, which may take very much longer
IN_A_ROW = 3  # names in the legend, per number of threads


def save(report: Report, path: Path) -> None:
    """Draw, per number of threads, the performance profile of all contenders and below it the rates of all cases."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("no pictures: pip install matplotlib")
        return
    draws = [(_draw_profiles, 3.6)]
    if report.cap is None:  # else most peers have few rates to show
        draws.append((_draw_rates, 0.6 + 0.09 * len(report.cases) * (2 + len(_timed(report)))))
    if report.content.get("along"):  # which reports of the past lack
        draws.append((_draw_times, 3.6))
    heights = [height for _, height in draws]
    figure = Figure(figsize=(6.5 * len(report.threads), sum(heights)), layout="constrained")
    axes = figure.subplots(len(draws), len(report.threads), squeeze=False, height_ratios=heights)
    for threads, column in zip(report.threads, axes.T, strict=True):
        for (draw, _), one in zip(draws, column, strict=True):
            draw(one, report, threads)
    columns = IN_A_ROW * len(report.threads) if report.cap is not None else len(report.contenders)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=columns)
    figure.savefig(path, dpi=110, metadata={"Software": None})  # equal figures give equal files


def _timed(report: Report) -> list[str]:
    return [one for one in report.contenders if one not in (*report.role("limit"), *report.role("context"))]


def _draw_profiles(axes: Any, report: Report, threads: int) -> None:
    """Draw what share of the cases each contender does within a factor of the best (Dolan and More, 2002)."""
    furthest = FURTHEST if report.cap is None else FURTHEST_CAPPED
    for contender in _timed(report):
        factors = sorted(one for one in _factors_of_best(report, threads, contender) if one < furthest)
        shares = [(rank + 1) / len(report.cases) for rank in range(len(factors))]
        axes.step(
            [1, *factors, furthest],
            [0, *shares, shares[-1] if shares else 0],
            where="post",
            label=contender,
            **_style(report, contender),
        )
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set(xlim=(1, furthest), ylim=(0, 1.03), xlabel="times the time of the best contender", ylabel="share of cases")
    axes.set_title(f"Performance profile, threads: {threads}")
    axes.grid(alpha=0.3)


def _factors_of_best(report: Report, threads: int, contender: str) -> list[float]:
    factors = []
    for case in report.cases:
        seconds = {one: report.seconds(case, threads, one) for one in _timed(report)}
        ours = seconds[contender]
        if ours is not None:
            factors.append(ours / min(one for one in seconds.values() if one is not None))
    return factors


def _draw_rates(axes: Any, report: Report, threads: int) -> None:
    contenders = _timed(report)
    height = 0.84 / len(contenders)
    for rank, contender in enumerate(contenders):
        rates = [report.rate(case, threads, contender) or 0.0 for case in report.cases]
        places = [place + (rank - (len(contenders) - 1) / 2) * height for place in range(len(rates))]
        axes.barh(places, rates, height, color=_style(report, contender)["color"])
    axes.set_yticks(range(len(report.cases)), report.cases)
    axes.set_ylim(len(report.cases) - 0.5, -0.5)
    axes.set(xlabel=report.rate_name, title=f"Rates, threads: {threads}")
    axes.grid(axis="x", alpha=0.3)


def _draw_times(axes: Any, report: Report, threads: int) -> None:
    """Draw times against the fact that the room names, in cases that agree in others; limits are dotted."""
    fact, fixed = report.content["along"]
    cases = [case for case in report.cases if all(report.facts[case][name] == value for name, value in fixed.items())]
    for contender in report.contenders:
        timed = [(report.facts[case][fact], report.seconds(case, threads, contender)) for case in cases]
        points = sorted((at, seconds) for at, seconds in timed if seconds is not None)
        is_limit = contender in report.role("limit")
        style = {"color": "black", "linestyle": ":" if "read" in contender else "-."} if is_limit else {}
        label = contender if is_limit else None  # the others are in the legend of the figure
        axes.plot(*zip(*points, strict=True), marker=".", label=label, **(style or _style(report, contender)))
    where = ", ".join(f"{name} = {value:g}" for name, value in fixed.items())
    axes.set(xscale="log", yscale="log", xlabel=fact, ylabel="seconds", title=f"{where}, threads: {threads}")
    axes.set_xticks(sorted({report.facts[case][fact] for case in cases}), minor=False)
    axes.set_xticks([], minor=True)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.legend(frameon=False, fontsize=8)
    axes.grid(alpha=0.3)


def _style(report: Report, contender: str) -> dict[str, Any]:
    """Return the same colour wherever the contender appears; who is ranked apart has dashes."""
    peers: Sequence[Sequence[str]] = list(report.content["summaries"].values())
    is_apart = contender in report.role("peer") and any(contender not in among for among in peers)
    return {
        "color": f"C{report.contenders.index(contender)}",
        "linestyle": "--" if is_apart else "-",
        "linewidth": 2.5 if contender == report.ours else 1.5,
    }
