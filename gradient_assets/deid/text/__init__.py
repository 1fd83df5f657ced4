"""Free text without identifiers: reports, DICOM descriptors, structured report text.

Reading order: `spans` (what is reported) · `folding`, `lexicon`, `vocabulary`, `language`, `reading` (the text as rules see it)
· `guarding` (eponyms) · `known` · `patterns`, `addresses` · `dates`, `calendar_dates` · `facilities` · `name_reader`, `cues`,
`signatures`, `names` (lists), `strangers` (no list knows them) · `surrogates`, `replace` · `detectors` (optional, beside the
rules) · `engine` (the order) · `columns`, `csv_reports`, `bodies` (where reports come from).
"""

from gradient_assets.deid.text.calendar_dates import parse_date
from gradient_assets.deid.text.columns import ROLES, identifiers_of_columns
from gradient_assets.deid.text.csv_reports import RefusedRow, ReportLayout, ReportRow, read_reports
from gradient_assets.deid.text.detectors import Detector, DetectorUnavailableError, detector_named
from gradient_assets.deid.text.engine import ENGINE_VERSION, TextCleaner, TextEngine
from gradient_assets.deid.text.replace import DateTreatment, Replacement
from gradient_assets.deid.text.spans import CleanedText, Span

__all__ = [
    "ENGINE_VERSION",
    "ROLES",
    "CleanedText",
    "DateTreatment",
    "Detector",
    "DetectorUnavailableError",
    "RefusedRow",
    "Replacement",
    "ReportLayout",
    "ReportRow",
    "Span",
    "TextCleaner",
    "TextEngine",
    "detector_named",
    "identifiers_of_columns",
    "parse_date",
    "read_reports",
]
