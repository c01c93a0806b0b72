"""When the sun rises and sets at a place, and how long the day is: the work that the demo does.

The equations are those of NOAA's solar calculator (after Meeus), good to about a minute below the
polar circles.
"""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

# The sun's centre below the horizon when its upper edge is seen there: radius and refraction.
RISE_ANGLE = math.radians(90.833)
EARTH_RADIUS_KM = 6371.0


@lru_cache(maxsize=8)
def sun(day: date) -> tuple[float, float]:
    """Declination (radians) and equation of time (minutes) at noon UTC."""
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    century = (noon.timestamp() / 86400 + 2440587.5 - 2451545.0) / 36525
    mean_longitude = math.radians((280.46646 + century * 36000.76983) % 360)
    anomaly = math.radians((357.52911 + century * 35999.05029) % 360)
    eccentricity = 0.016708634 - century * 0.000042037
    centre = math.radians(
        math.sin(anomaly) * (1.914602 - century * 0.004817)
        + math.sin(2 * anomaly) * 0.019993
        + math.sin(3 * anomaly) * 0.000289
    )
    longitude = mean_longitude + centre - math.radians(0.00569)
    tilt = math.radians(23.439291 - century * 0.0130042)
    declination = math.asin(math.sin(tilt) * math.sin(longitude))
    y = math.tan(tilt / 2) ** 2
    equation = 4 * math.degrees(
        y * math.sin(2 * mean_longitude)
        - 2 * eccentricity * math.sin(anomaly)
        + 4 * eccentricity * y * math.sin(anomaly) * math.cos(2 * mean_longitude)
        - y * y / 2 * math.sin(4 * mean_longitude)
        - 1.25 * eccentricity * eccentricity * math.sin(2 * anomaly)
    )
    return declination, equation


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def clock(day: date, minutes: float, timezone: str) -> str:
    """Minutes after midnight UTC of that day as the clock there shows them."""
    at = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(minutes=minutes)
    return at.astimezone(zone(timezone)).strftime("%H:%M")


def distance_km(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Along a great circle, between two (latitude, longitude)."""
    (lat_a, lon_a), (lat_b, lon_b) = (tuple(map(math.radians, p)) for p in (a, b))
    half = (
        math.sin((lat_b - lat_a) / 2) ** 2
        + math.cos(lat_a) * math.cos(lat_b) * math.sin((lon_b - lon_a) / 2) ** 2
    )
    return 2 * EARTH_RADIUS_KM * math.asin(math.sqrt(half))


def daylight(place: dict[str, Any], day: date) -> dict[str, Any]:
    """What the output says of one place."""
    declination, equation = sun(day)
    latitude = math.radians(place["lat"])
    cosine = math.cos(RISE_ANGLE) / (math.cos(latitude) * math.cos(declination)) - math.tan(
        latitude
    ) * math.tan(declination)
    noon = 720 - 4 * place["lon"] - equation
    result = {
        "id": place["id"],
        "name": place["name"],
        "country": place["country"],
        "day": day.isoformat(),
        "sunrise": None,
        "sunset": None,
        "day_minutes": 0 if cosine > 1 else 1440,
    }
    if -1 <= cosine <= 1:
        half_day = 4 * math.degrees(math.acos(cosine))
        result["sunrise"] = clock(day, noon - half_day, place["timezone"])
        result["sunset"] = clock(day, noon + half_day, place["timezone"])
        result["day_minutes"] = round(2 * half_day)
    if place.get("capital"):
        here = (place["lat"], place["lon"])
        result["capital_km"] = round(distance_km(here, tuple(place["capital"])), 1)
    return result
