"""What the demo's steps do with penguins: cleaning, least squares, a plot."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure

Numbers: TypeAlias = npt.NDArray[np.float64]

MEASURES = {
    "bill_length_mm": "Culmen Length (mm)",
    "bill_depth_mm": "Culmen Depth (mm)",
    "flipper_length_mm": "Flipper Length (mm)",
    "body_mass_g": "Body Mass (g)",
}
COLOURS = {"female": "#8c4799", "male": "#3b7a57", "all": "#2f5d8a"}


def cleaned(raw: pd.DataFrame) -> pd.DataFrame:
    """The rows of which all measures and the sex are known, with short names and units."""
    table = pd.DataFrame(
        {
            "bird": raw["studyName"] + "-" + raw["Sample Number"].astype(str),
            "species": raw["Species"].str.split().str[0],
            "island": raw["Island"],
            "sex": raw["Sex"].str.lower().where(raw["Sex"].isin(["MALE", "FEMALE"])),
            "day": raw["Date Egg"],
            **{short: pd.to_numeric(raw[long], "coerce") for short, long in MEASURES.items()},
        }
    )
    return table.dropna().reset_index(drop=True)


def least_squares(columns: Numbers, y: Numbers) -> tuple[Numbers, Numbers]:
    """The coefficients, and what each y misses when it is left out of its own fit."""
    q, r = np.linalg.qr(columns)
    coefficients = np.linalg.solve(r, q.T @ y)
    leverage = np.sum(q * q, axis=1)
    return coefficients, (y - columns @ coefficients) / (1 - leverage)


def rms(errors: Numbers) -> float:
    return float(np.sqrt(np.mean(errors * errors)))


def draw(
    file: Path,
    title: str,
    axes: tuple[str, str],
    points: dict[str, tuple[Numbers, Numbers]],
    slope: float,
    intercepts: dict[str, float],
) -> None:
    """Points and lines, one colour a group, as PNG."""
    figure = Figure(figsize=(6, 4), dpi=100)
    plot = figure.subplots()
    for group, (x, y) in points.items():
        ends = np.array([x.min(), x.max()])
        plot.scatter(x, y, s=12, alpha=0.6, color=COLOURS[group], label=group)
        plot.plot(ends, intercepts[group] + slope * ends, color=COLOURS[group])
    plot.set(title=title, xlabel=axes[0], ylabel=axes[1])
    plot.legend()
    figure.savefig(file, format="png")
