"""The demo's steps: a table is cleaned, and lines are fitted to two of its measures, two ways."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypedDict

import numpy as np
import pandas as pd
from penguins import cleaned, draw, least_squares, rms
from penstock import MediaTypes, dataslot, step

Species = Literal["all", "Adelie", "Chinstrap", "Gentoo"]
Measure = Literal["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]


class Fit(TypedDict):
    """What a fit says of itself."""

    birds: int
    slope: float
    error: float


@step(version="1.0.0")
@dataslot.input("raw", media_type=MediaTypes.CSV, reader=pd.read_csv)
@dataslot.output("table", media_type=MediaTypes.CSV)
def clean(raw: pd.DataFrame, table: Path) -> dict[str, int]:
    """Keeps the birds of which everything is known."""
    good = cleaned(raw)
    good.to_csv(table, index=False)
    return {"rows": len(raw), "kept": len(good)}


def of_species(table: pd.DataFrame, species: Species) -> pd.DataFrame:
    return table if species == "all" else table[table["species"] == species]


@step(version="1.0.0")
@dataslot.input("table", media_type=MediaTypes.CSV, reader=pd.read_csv)
@dataslot.output("plot", media_type=MediaTypes.PNG)
def fit(table: pd.DataFrame, plot: Path, x: Measure, y: Measure, species: Species = "all") -> Fit:
    """A straight line through two measures.

    Args:
        x: the measure that is known
        y: the measure that is wanted
        species: whose
    """
    birds = of_species(table, species)
    known, wanted = birds[x].to_numpy(float), birds[y].to_numpy(float)
    line, missed = least_squares(np.column_stack([np.ones(len(birds)), known]), wanted)
    slope = float(line[1])
    title = f"{species}: {len(birds)} birds, one line"
    draw(plot, title, (x, y), {"all": (known, wanted)}, slope, {"all": float(line[0])})
    return Fit(birds=len(birds), slope=slope, error=rms(missed))


@step(name="fit", version="2.0.0")
@dataslot.input("table", media_type=MediaTypes.CSV, reader=pd.read_csv)
@dataslot.output("plot", media_type=MediaTypes.PNG)
def fit_by_sex(
    table: pd.DataFrame, plot: Path, x: Measure, y: Measure, species: Species = "all"
) -> Fit:
    """Two parallel lines through two measures, one for each sex.

    Args:
        x: the measure that is known
        y: the measure that is wanted
        species: whose
    """
    birds = of_species(table, species)
    known, wanted = birds[x].to_numpy(float), birds[y].to_numpy(float)
    is_male = (birds["sex"] == "male").to_numpy()
    sexes = {"female": ~is_male, "male": is_male}
    columns = np.column_stack([*sexes.values(), known]).astype(float)
    (*ends, slope), missed = least_squares(columns, wanted)
    points = {sex: (known[those], wanted[those]) for sex, those in sexes.items()}
    intercepts = {sex: float(end) for sex, end in zip(sexes, ends, strict=True)}
    draw(plot, f"{species}: {len(birds)} birds, by sex", (x, y), points, float(slope), intercepts)
    return Fit(birds=len(birds), slope=float(slope), error=rms(missed))
