"""German, Spanish and Dutch reports, rule families in each language, and telling which language a text is in."""

import json
from pathlib import Path

import pytest

from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.identity import Pseudonymizer, SecretKey
from gradient_assets.deid.text import TextEngine, lexicon
from gradient_assets.deid.text.calendar_dates import parse_date, read_date
from gradient_assets.deid.text.language import OTHER, looks_like
from gradient_assets.deid.text.vocabulary import Vocabulary
from tests.unit.text.marked_languages import read_reports, score
from tests.unit.text.other_wording import marked_reports

OTHER_LANGUAGES = ("de", "es", "nl")
NOBODY = KnownIdentifiers()
PERSON = Pseudonymizer(SecretKey(bytes(32)), "hospital").person("4711")
FOLDER = Path(lexicon.__file__).parent / "languages"
ENGINES = {language: TextEngine(language=language) for language in ("en", *OTHER_LANGUAGES)}


def removed(language: str, text: str, identifiers: KnownIdentifiers = NOBODY) -> str:
    """The text with what was found struck out."""
    for span in reversed(ENGINES[language].find(text, identifiers)):
        text = text[: span.start] + "_" + text[span.end :]
    return text


@pytest.mark.parametrize("language", OTHER_LANGUAGES)
def test_reports_lose_their_identifiers_and_keep_their_medicine(language):
    looked_at, held_out = read_reports(language)
    assert len(looked_at) == len(held_out) == 20
    scored = score(ENGINES[language], looked_at + held_out)
    assert scored.marks > 150
    assert scored.recall >= 0.98
    assert scored.lost_share <= 0.005


@pytest.mark.parametrize("language", OTHER_LANGUAGES)
def test_the_english_engine_misses_what_a_languages_own_engine_finds(language):
    reports = [report for half in read_reports(language) for report in half]
    assert score(ENGINES["en"], reports).recall < score(ENGINES[language], reports).recall - 0.1


KEPT = {
    "de": """LWK 4/5, L4-L5, BWK 12, HWK 5/6, T1-T2, 3,2 x 1,5 cm, 1/2
Serie 4 Bild 22. Kann einem Granulom entsprechen.
Morbus Bechterew. M. Crohn. Baker-Zyste. Foley-Katheter. Jones-Fraktur. Hodgkin-Lymphom. Swan-Ganz-Katheter.
Garden-III-Fraktur. Schmorl-Knoten. Weber-B-Fraktur. Zustand nach Billroth-II-Operation.
Keine Oberlappenverschattung. Lungenspitzen frei. Pleuraergussbildung rechts. Unterlappenatelektase.
Kraftgrad 4/5, Visus 0,8, BI-RADS 3, EF 55 %, 120 kV, 2,5 ml/s
Stabil seit 2015. Um 14:30 Uhr. In 6-12 Monaten.
89-jährige Patientin, 45 Jahre, 97 mm, 95 %
RÖNTGEN THORAX IN 2 EBENEN: HERZ NORMAL GROSS. KEINE STAUUNG. KEIN INFILTRAT.
Kreisklinik, Frauenklinik, Notaufnahme des Krankenhauses""",
    "es": """L4-L5, T1-T2, C5-C6, 3,2 x 1,5 cm, 1/2
Serie 4, imagen 22. Puede corresponder a granuloma.
Quiste de Baker. Sonda de Foley. Fractura de Jones. Linfoma de Hodgkin. Catéter de Swan-Ganz. Signo de Murphy.
Enfermedad de Crohn. Polígono de Willis. Fractura Garden III. Nódulos de Schmorl.
Fuerza 4/5, agudeza 0,8, BI-RADS 3, FEVI 55 %, 120 kV, 2,5 ml/s
Estable desde 2015. A las 14:30 h. En 6-12 meses.
Mujer de 89 años, varón de 45 años, 97 mm, 95 %
TC DE ABDOMEN SIN CONTRASTE: HÍGADO NORMAL. SIN LÍQUIDO LIBRE.
Servicio de Radiología, Hospital, Centro de Salud""",
    "nl": """LWK 4/5, L4-L5, T1-T2, 3,2 x 1,5 cm, 1/2
Serie 4 beeld 22. Kan passen bij een granuloom.
Bakerse cyste. Foley-katheter. Jones fractuur. Hodgkin-lymfoom. Swan-Ganz katheter. M. Bechterew.
Ziekte van Crohn. Cirkel van Willis. Garden III fractuur. Schmorlse noduli.
Geen bovenkwabverdichting. Longtoppen vrij. Leverlaesies. Wervelinzakkingen.
Kracht 4/5, visus 0,8, BI-RADS 3, EF 55 %, 120 kV, 2,5 ml/s
Stabiel sinds 2015. Om 14:30 uur. Over 6-12 maanden.
89-jarige vrouw, man van 45 jaar, 97 mm, 95 %
X-THORAX: NORMALE HARTGROOTTE. GEEN INFILTRAAT. GEEN STUWING.
Afdeling Radiologie, het ziekenhuis, polikliniek""",
}


@pytest.mark.parametrize(
    ("language", "text"), [(code, line) for code, kept in KEPT.items() for line in kept.splitlines()]
)
def test_medicine_is_kept(language, text):
    assert removed(language, text) == text


DATES = {
    "de": """12.03.2020|12.3.20|12. 3. 2020|2020-03-12|12. März 2020|12. Maerz 2020|12.März 20|März 2020|12. März
        03/2020|03.2020|12.-15.03.2020|12.03.-15.03.2020|Donnerstag, den 12. März 2020|Do., 12.03.2020
        zwölfter März 2020|12/03/2020|1. Mai|20200312|12. Mrz. 2020|Jänner 2020|MÄRZ 2020""",
    "es": """12/03/2020|12-03-20|12.03.2020|2020-03-12|3 de marzo de 2020|3 de marzo del 2020|3 marzo 2020|marzo de 2020
        marzo 2020|3 de marzo|1º de mayo de 2020|jueves, 12 de marzo de 2020|12-mar-2020|12/mar/20|03/2020
        doce de marzo de 2020|5 de mayo|20200312|12 DE MARZO DE 2020|setiembre de 2019|3 sep 2020|12/3/20""",
    "nl": """12-03-2020|12-3-20|12-03-'20|12/03/2020|12.03.2020|2020-03-12|12 maart 2020|12 mrt 2020|12 mrt. 2020
        maart 2020|12 maart|donderdag 12 maart 2020|do 12-03-2020|12-mrt-2020|03-2020|12e maart 2020|5 mei 2019
        20200312|12 - 03 - 2020|12 t/m 15-03-2020|12 MAART 2020|mei 2020""",
}


@pytest.mark.parametrize(
    ("language", "written"),
    [(code, form.strip()) for code, forms in DATES.items() for line in forms.splitlines() for form in line.split("|")],
)
def test_dates_go_in_every_form(language, written):
    frame = {
        "de": "Untersuchung vom {}, unauffällig.",
        "es": "Estudio del {}, normal.",
        "nl": "Onderzoek van {}, normaal.",
    }
    assert removed(language, frame[language].format(written)) == frame[language].format("_")


@pytest.mark.parametrize(
    ("language", "text", "left"),
    [
        ("de", "Tel. 0221/478-5512 oder +49 221 4785512", "Tel. _ oder _"),
        ("de", "Piepser 4417", "Piepser _"),
        ("de", "KVNR A123456789, Pat.-Nr. 00451297", "KVNR _, Pat.-Nr. _"),
        ("de", "SV-Nummer 65 070859 S 003", "SV-Nummer _"),
        ("de", "wohnhaft Musterstraße 5, 12345 Musterstadt", "wohnhaft _, _"),
        ("de", "Am Alten Tor 7, D-80331 München", "_, _"),
        ("de", "Postfach 10 20 30", "_"),
        ("de", "Die 92-jährige Patientin, 103 Jahre alt", "Die _-jährige Patientin, _ Jahre alt"),
        ("de", "dreiundneunzigjährige Patientin", "_jährige Patientin"),
        ("es", "Tel. 612 34 56 78 o +34 915 55 12 34", "Tel. _ o _"),
        ("es", "busca 4417", "busca _"),
        ("es", "DNI 12345678Z, NIE X1234567L, NHC 1045567", "DNI _, NIE _, NHC _"),
        ("es", "Nº de la Seguridad Social 28 12345678 40", "Nº de la Seguridad Social _"),
        ("es", "domicilio en C/ Mayor 3, 2ºB, 28013 Madrid", "domicilio en _, _"),
        ("es", "Avda. de la Constitución, 45", "_"),
        ("es", "de 93 años, de noventa y dos años", "de _ años, de _ años"),
        ("nl", "Tel. 06-12345678 of +31 20 555 12 34", "Tel. _ of _"),
        ("nl", "sein 4417", "sein _"),
        ("nl", "BSN 123456782, patiëntnummer 0451297", "BSN _, patiëntnummer _"),
        ("nl", "wonende Kerkstraat 12, 1017 GA Amsterdam", "wonende _, _"),
        ("nl", "Postbus 1234", "_"),
        ("nl", "De 94-jarige patiënte, 101 jaar", "De _-jarige patiënte, _ jaar"),
    ],
)
def test_forms_of_their_own_go(language, text, left):
    assert removed(language, text) == left


@pytest.mark.parametrize(
    ("language", "text", "left"),
    [
        ("de", "Herr Dr. med. univ. Tautenhahn wurde informiert.", "Herr Dr. med. univ. _ wurde informiert."),
        ("de", "Überweiser: Frau Prof. Ilse von der Aue", "Überweiser: Frau Prof. _"),
        ("de", "gez. OA Dr. Quast", "gez. OA Dr. _"),
        ("de", "Patient Sturz auf das Knie.", "Patient Sturz auf das Knie."),
        ("de", "Aufnahme im Marienkrankenhaus Siegen", "Aufnahme im _"),
        ("es", "Firmado electrónicamente por Dña. Rosa Ibáñez Loza", "Firmado electrónicamente por Dña. _"),
        ("es", "Enfermera: Itziar Goñi", "Enfermera: _"),
        ("es", "OROZCO PLAZA, NATIVIDAD", "_"),
        ("es", "Octavio Sáenz de Tejada acude hoy.", "_ acude hoy."),
        ("es", "Clínica Santa Elena", "_"),
        ("nl", "Besproken met mevr. Van den Heuvel-de Wit", "Besproken met mevr. _"),
        ("nl", "J. van 't Hoff, radioloog", "_, radioloog"),
        ("nl", "Verslag: drs. P. de Vries", "Verslag: drs. _"),
        ("nl", "Sint Antonius Ziekenhuis", "_"),
        ("en", "Dear Dr. Okonjo:", "Dear Dr. _:"),
        ("en", "Maria van Houten was scanned.", "_ was scanned."),
    ],
)
def test_names_go_by_their_surroundings(language, text, left):
    assert removed(language, text) == left


@pytest.mark.parametrize("written", ["Müller", "Mueller", "MÜLLER", "Muller", "Mu\u0308ller"])
def test_a_known_name_with_an_umlaut_goes_in_each_spelling(written):
    known = KnownIdentifiers(patient_names=("MUELLER^JOERG",))
    assert removed("de", f"Bei {written} kein Befund.", known) == "Bei _ kein Befund."


@pytest.mark.parametrize(
    ("language", "written"),
    [
        ("de", "12. März 2020"),
        ("de", "12. Mär 2020"),
        ("de", "12.03.2020"),
        ("es", "12 de marzo de 2020"),
        ("es", "12 mar 2020"),
        ("nl", "12 maart 2020"),
        ("nl", "12 MRT 2020"),
    ],
)
def test_dates_move_in_their_own_language(language, written):
    engine = TextEngine(language=language, replace="surrogates", date_order="dmy")
    moved = engine.clean(written, NOBODY, PERSON).text
    before = read_date(written, order="dmy", language=language)
    after = read_date(moved, order="dmy", language=language)
    assert before is not None
    assert after is not None
    assert (after.as_date() - before.as_date()).days == PERSON.shift_days


@pytest.mark.parametrize(
    ("value", "language", "iso"),
    [
        ("12. März 2020", "de", "2020-03-12"),
        ("3 de marzo de 2020", "es", "2020-03-03"),
        ("12 mrt 2020", "nl", "2020-03-12"),
        ("12. März 2020", "en", None),
    ],
)
def test_columns_dates_are_read_in_their_language(value, language, iso):
    parsed = parse_date(value, order="dmy", language=language)
    assert (parsed.isoformat() if parsed else None) == iso


def test_an_unknown_language_is_an_error_that_names_those_that_ship():
    with pytest.raises(ValueError, match="expected one of de, en, es, nl"):
        TextEngine(language="fr")


def test_a_language_without_a_table_that_english_has_is_an_error(tmp_path):
    (tmp_path / "cues.json").write_text(json.dumps({"words": {"titles": ["dr"]}, "months": {}, "states": []}))
    with pytest.raises(ValueError, match="relations"):
        lexicon.checked_tables(tmp_path / "cues.json")


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.*")), ids=lambda path: f"{path.parent.name}/{path.name}")
def test_each_word_list_says_where_it_comes_from(path):
    text = path.read_text(encoding="utf-8")
    about = json.loads(text)["about"] if path.suffix == ".json" else text.partition("\n")[0]
    assert path.suffix == ".json" or about.startswith("# ")
    assert "ritten for this project" in about or "MIT" in about


@pytest.mark.parametrize(
    ("word", "inside"),
    [
        ("spitze", True),
        ("spitzen", True),
        ("lungenspitzen", True),
        ("lunge", True),
        ("spitz", False),
        ("ramos", False),
        ("xspitze", False),
        ("", False),
    ],
)
def test_a_vocabulary_knows_inflections_and_compounds_but_no_listed_name(word, inside):
    words = frozenset({"spitze", "lunge", "ramo"})
    vocabulary = Vocabulary(words, endings=["n", "s"], heads=words, least=4, never=frozenset({"ramos"}))
    assert (word in vocabulary) is inside


# telling the language ---------------------------------------------------------------------------------------------------


def test_reports_are_never_taken_for_another_shipped_language():
    texts = {"en": [report.text for report in marked_reports(130)]}
    texts |= {code: [report.text for half in read_reports(code) for report in half] for code in OTHER_LANGUAGES}
    for language, reports in texts.items():
        votes = [looks_like(text) for text in reports]
        assert set(votes) <= {language, None}
        assert votes.count(language) / len(votes) > 0.65


@pytest.mark.parametrize(
    "text",
    [
        "Compte rendu: pas d'épanchement pleural. Le coeur est de taille normale. Absence de lésion dans les poumons.",
        "Referto: non si osservano lesioni. Il cuore è nei limiti della norma. Senza versamento nella sede destra.",
        "Laudo: não há derrame pleural. O coração é de tamanho normal. Sem lesões no pulmão direito.",
        "Hjärtat är av normal storlek. Ingen pleuravätska. Utlåtande: inga förändringar på höger sida och till vänster.",
        "W badaniu nie stwierdzono zmian w prawym i lewym płucu oraz na jamie opłucnej. Wnioski: bez zmian.",
        "Легкие без очаговых изменений",
        "胸部正位片未见异常",
    ],
)
def test_a_language_that_does_not_ship_is_other(text):
    assert looks_like(text) == OTHER


@pytest.mark.parametrize("text", ["", "   ", "CHEST PA/LAT", "3.2 x 1.5 cm", "t2_tse_sag_p2", "DOE^JANE", "12345"])
def test_too_little_text_tells_no_language(text):
    assert looks_like(text) is None
