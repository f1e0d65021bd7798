"""Draw a report's plots: `python plots.py bench.json FOLDER DIGEST`, in the peers' environment.

The same report gives the same bytes: no date, no chance, and text as text.
"""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt

Json = dict[str, Any]
INK, REACHED, MISSED = "#333333", "#2a7f62", "#c8553d"
TICKS = (0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 10, 20, 50, 100)
STYLE = {
    "svg.hashsalt": "firsthand",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "figure.facecolor": "white",
}


def aims(report: Json, axes: Any) -> None:
    """Draw each figure as a share of its aim; bars to the right of the line reached it."""
    rows = [row for row in report["aims"] if row["figure"] is not None][::-1]
    shares = [row["share"] for row in rows]
    axes.barh(
        [f"{row['target']}  {row['what']}" for row in rows],
        [share - 1 for share in shares],
        left=1,
        color=[REACHED if share >= 1 else MISSED for share in shares],
    )
    for position, share in enumerate(shares):
        side, space = ("left", 1.03) if share >= 1 else ("right", 0.97)
        axes.text(share * space, position, f"{share:.2f}", ha=side, va="center")
    axes.axvline(1, color=INK, linewidth=1)
    axes.set_xscale("log")
    low, high = min([0.25, *shares]) / 1.6, max([4, *shares]) * 1.6
    axes.set_xlim(low, high)
    ticks = [tick for tick in TICKS if low <= tick <= high]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("share of the aim that was reached; the line is the aim")


def latency(report: Json, axes: Any) -> None:
    """Draw T4: within how many milliseconds which share of the events could be read."""
    curve = report["T4"]["curve"]
    axes.plot([y for _, y in curve], [x for x, _ in curve], color=REACHED)
    axes.plot([10, 50], [50, 99], "x", color=INK)
    axes.set_xlim(left=0)
    axes.set_xlabel("milliseconds from POST to readable in the plan (crosses: the aims)")
    axes.set_ylabel("of 100 events")


def stages(report: Json, axes: Any) -> None:
    """Draw the CPU microseconds of one event, stage upon stage."""
    services = report["stages_cpu_us_per_event"]
    colours = mpl.colormaps["tab20"].colors
    for height, (service, costs) in enumerate(reversed(services.items())):
        left = 0.0
        for number, (stage, cost) in enumerate(costs.items()):
            axes.barh(height, cost, left=left, color=colours[number], label=f"{service}: {stage}")
            left += cost
            if cost > 6:
                axes.text(
                    left - cost / 2, height, stage, ha="center", va="center", rotation=90, size=8
                )
        axes.text(left, height, f" {left:.0f} µs", va="center")
    axes.set_yticks(range(len(services)), list(reversed(services)))
    axes.set_xlabel("CPU microseconds an event")
    axes.margins(x=0.1)


def growth(report: Json, axes: Any) -> None:
    """Draw T6: the work of a second on logs of different length."""
    for name, colour, label in (
        ("projector", REACHED, "recorded by the projector"),
        ("audit", MISSED, "audited"),
    ):
        points = report["T6"][name]
        axes.plot([x for x, _ in points], [y for _, y in points], color=colour, marker=".")
        if points:
            axes.annotate(f" {label}", points[-1], color=colour, va="bottom", ha="right")
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("entries in the log")
    axes.set_ylabel("a second")


def versions(report: Json, axes: Any) -> None:
    """Draw T7: how long reading a plan takes, as of each version."""
    curve = report["T7"]["curve"]
    axes.plot([x for x, _ in curve], [y for _, y in curve], color=REACHED, marker=".")
    axes.axhline(20, color=INK, linewidth=1, linestyle=":")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("version that is read")
    axes.set_ylabel("milliseconds (aim: 20)")


def main() -> None:
    """Draw all of them."""
    source, folder, digest = sys.argv[1:]
    report = json.loads(Path(source).read_text())
    plt.switch_backend("svg")
    mpl.rcParams.update(STYLE)
    for draw, height in (
        (aims, 4.4),
        (latency, 3.0),
        (stages, 3.0),
        (growth, 3.0),
        (versions, 3.0),
    ):
        figure, axes = plt.subplots(figsize=(8, height), layout="constrained")
        draw(report, axes)
        metadata = {"Date": None, "Description": f"Figures of the report {digest}"}
        figure.savefig(Path(folder, f"speed-{draw.__name__}.svg"), metadata=metadata)
        plt.close(figure)


if __name__ == "__main__":
    main()
