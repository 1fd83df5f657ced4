"""The text engine of a hospital, as its registry entry and profile ask for it.

Belongs here: the one place where settings of the registry become settings of `deid.text`, so that reports, descriptions in
headers and releases of one hospital read the same language and put the same surrogate in a name's place.
"""

from __future__ import annotations

from gradient_assets.deid.headers import Profile
from gradient_assets.deid.text import ReportLayout, TextEngine, detector_named
from gradient_assets.hospitals import Hospital


def text_engine(hospital: Hospital, profile: Profile) -> TextEngine:
    """The engine for any text of the hospital.

    Raises `ValueError` for a language whose word lists do not ship, `DetectorUnavailableError` for a detector that can't run.
    """
    name, _, path = hospital.reports.detector.partition(":")
    settings = {"path": path} if path else {"language": hospital.reports.language}
    return TextEngine(
        replace=hospital.reports.replacement,
        dates=profile.dates,
        language=hospital.reports.language,
        date_order=hospital.date_order,
        detectors=[detector_named(name, **settings)] if name else (),
    )


def report_layout(hospital: Hospital) -> ReportLayout:
    """How the hospital's report files are written."""
    return ReportLayout(
        columns=dict(hospital.report_columns),
        delimiter=hospital.delimiter,
        encoding=hospital.encoding,
        date_order=hospital.date_order,
        quote=hospital.reports.quote,
        escape=hospital.reports.escape or None,
    )
