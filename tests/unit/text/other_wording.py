# ruff: noqa: E501  the templates are reports: their lines are as long as reports have them
"""Reports in other wording than the shared ones: other departments, letters, notes, dictation habits.

Belongs here: the templates and the people.  `[[KIND:text]]` marks an identifier; everything else has to stay.  Names, places
and numbers are invented.  Rules are written without looking for single phrases of this file; it is scored as a whole.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from gradient_assets.deid.identifiers import KnownIdentifiers

_MARK = re.compile(r"\[\[(\w+):(.*?)\]\]", re.DOTALL)

PEOPLE = (
    ("Okafor", "Chinedu", "M", "19520917"), ("Fitzgerald", "Maeve", "", "19880229"), ("Nakagawa", "Reiko", "", "19341103"),
    ("de la Rosa", "Inés", "C", "20010704"), ("Young", "Grant", "T", "19470512"), ("O'Donnell", "Patrick", "J", "19610808"),
    ("Øvergård", "Sølvi", "", "19730125"), ("Baker", "April", "L", "19690619"), ("Przybylski", "Wojciech", "A", "19560331"),
    ("Long", "Faith", "", "19940415"), ("Venkataraman", "Lakshmi", "S", "19820210"), ("Whitcomb", "Eleanor", "Ruth", "19290906"),
    ("Singh", "Harpreet", "K", "19771230"), ("McAllister", "Duncan", "R", "19650722"), ("Ngô", "Thị Hạnh", "", "19910118"),
)  # fmt: skip
DOCTORS = (
    ("Rasmussen", "Ingrid"), ("Park", "Daniel"), ("Castellano", "Vincent"), ("Wu", "Meiling"), ("Head", "Roland"),
    ("Abdelrahman", "Tarek"), ("St. Clair", "Josephine"), ("Best", "Nigel"), ("Kumar", "Rohit"), ("Lindholm", "Astrid"),
    ("Tran", "Bich"), ("Greenfield", "Moses"), ("Hartigan", "Una"), ("van Houten", "Pieter"), ("Short", "Valerie"),
)  # fmt: skip

TEMPLATES = (
    """[[INSTITUTION:{hospital}]]
EMERGENCY DEPARTMENT IMAGING CONSULT
{shout_label} [[NAME:{LAST}, {FIRST}]]    Med Rec No [[ID:{mrn}]]   D.O.B. [[DATE:{dob}]]
CT OF THE HEAD, {plain_time}
Triage note: found down by neighbor [[NAME:{other_first}]], GCS 14, on apixaban.
There is a 7 mm left convexity subdural with 3 mm shift. No herniation. Prior shunt via right Kocher's point.
Impression: small acute on chronic subdural. Discussed face to face with Dr. [[NAME:{doc_last}]] in the ED at 0412.
[[NAME:{doc2_first} {doc2_last}]], MD
""",
    """Dear Dr [[NAME:{doc_last}]],

Thank you for referring [[NAME:{first} {last}]] (hospital number [[ID:{mrn}]]), who attended on [[DATE:{date}]].
Mrs [[NAME:{last}]] describes six weeks of right flank pain. Her previous scan of [[DATE:{date2}]] showed a 4 mm calculus.
The kidneys measure 10.4 and 10.9 cm. No hydronephrosis. The bladder is unremarkable with ureteral jets.
I have asked her to ring [[PHONE:{phone}]] should the pain recur.

With kind regards,

[[NAME:{doc2_first} {doc2_last}]]
Consultant Radiologist
cc [[NAME:{doc3_first} {doc3_last}]], [[INSTITUTION:{clinic}]]
""",
    """Procedure: ultrasound guided left breast core biopsy
Date: [[DATE:{date}]]
Operator: [[NAME:{doc_last}]]   Assistant: [[NAME:{doc2_first} {doc2_last}]] RN
The risks were explained to Ms. [[NAME:{last}]] and her sister [[NAME:{other_first}]]. A time-out was held at 9:40 AM.
Using a 14 gauge Bard needle, 5 cores were taken at 2:00, 4 cm from the nipple. A coil clip, lot [[ID:HUER0931]], was deployed.
Specimen [[ID:S{year2}-{num5}]] was sent to pathology. The patient tolerated this well. Call [[PHONE:{phone}]] x[[PHONE:4417]] with questions.
""",
    """chest two views. indication cough for 3 weeks. comparison [[DATE:{date}]]. the heart is normal in size. there is a right
lower lobe opacity measuring 2.1 by 1.8 cm. no effusion. old right 6th and 7th rib fractures. may represent pneumonia. will
need repeat film in 6 weeks. dictated but not read. [[NAME:{doc_first} {doc_last}]] md. results phoned to dr [[NAME:{doc2_last}]] at 3 pm
""",
    """MRI LUMBAR SPINE WITHOUT CONTRAST
[[NAME:{LAST}]],[[NAME:{FIRST}]] | [[ID:{mrn}]] | [[DATE:{dob}]] | [[ID:{acc}]]
Clinical: worsening claudication, Ehlers-Danlos. Status post laminectomy [[DATE:{monyear}]] at [[INSTITUTION:{hospital}]].
T12-L1 through L2-3: normal. L3-4: 4 mm anterolisthesis, facet arthropathy. L4-5: disc bulge 5 mm, severe stenosis.
L5-S1: Modic type 2 change. Tarlov cyst at S2, 1.4 x 1.1 cm. Baastrup phenomenon. Conus at L1.
Series 5 image 12 is degraded. Signed on [[DATE:{date}]] 14:22 by [[NAME:{doc_last}, {doc_first}]]
""",
    """OB ULTRASOUND, SECOND TRIMESTER
Referring: [[NAME:{doc_first} {doc_last}]] CNM, [[INSTITUTION:{clinic}]]
LMP [[DATE:{date}]]   EDD [[DATE:{date2}]]   G2P1
Single live intrauterine pregnancy, 20w3d. BPD 47 mm, HC 176 mm, AC 152 mm, FL 33 mm. EFW 348 g. Placenta anterior grade I.
AFI 14.2. Cervix 3.8 cm. Fetal heart rate 148. Father [[NAME:{other_first} {last}]] attended.
Sonographer [[NAME:{doc2_first} {doc2_last}]], RDMS. Reviewed by Dr [[NAME:{doc3_last}]].
""",
    """NUCLEAR MEDICINE GASTRIC EMPTYING
PT NAME [[NAME:{FIRST} {LAST}]]  ACCT# [[ID:{acct}]]  LOC 4W-12
REQUESTED BY: [[NAME:{DOC_LAST}]] [[NAME:{DOC_FIRST}]]
1.0 MCI TC-99M SULFUR COLLOID IN EGG BEATERS. RETENTION AT 1 HR 82%, AT 4 HR 6% (NORMAL < 10%). NORMAL STUDY.
THE PATIENT'S HUSBAND [[NAME:{OTHER_FIRST}]] WAS PRESENT. FAX RESULT TO [[PHONE:{phone}]] ATTN [[NAME:{DOC2_FIRST} {DOC2_LAST}]].
""",
    """Addendum [[DATE:{date}]]: I called [[NAME:{doc_first} {doc_last}]] (beeper [[PHONE:3-8841]]) and left a message with his secretary
[[NAME:{other_first}]] regarding the 11 mm spiculated nodule in the left upper lobe (Lung-RADS 4B). Compared with the outside CT from
[[INSTITUTION:{hospital}]] of [[DATE:{date2}]], it has grown from 6 mm. PET/CT advised. The report was e-mailed to [[EMAIL:{email}]].
-[[NAME:{doc_initials}]]
""",
    """PATIENT: [[NAME:{first} {mi} {last}]]
ADDRESS: [[ADDRESS:{street}]], [[ADDRESS:{city}, {state} {zip}]]
HOME PHONE: [[PHONE:{phone}]]   SSN: [[ID:{ssn}]]   INSURANCE ID: [[ID:{ins}]]
EXAM: BONE DENSITY
Lumbar spine L1-L4 BMD 0.871 g/cm2, T-score -2.1, Z-score -0.4. Left femoral neck T-score -2.6. FRAX 10 year risk 21%.
This [[AGE:{age90}]] year old woman meets criteria for osteoporosis. Follow up in 2 years.
Interpreting physician: [[NAME:{doc_first} {doc_last}]], D.O.   License [[ID:G{num5}]]
""",
    """History: [[NAME:{last}]] is an {age} yo with known Parkinson's and prior Whipple. Fell on [[DATE:{md}]]. [[NAME:{first}]]'s daughter reports confusion.
Technique: noncontrast helical CT, 5 mm slices, kVp 120, 250 mAs, CTDIvol 52 mGy.
Findings: No bleed. Virchow-Robin spaces. Old lacune, head of caudate. Dandy-Walker variant unlikely. Arnold-Chiari absent.
1/2 of the right maxillary sinus is opacified; Haller cell, Lund-Mackay 3/24. Strength 4/5 per chart.
Electronically authenticated [[DATE:{date}]] 08:15 [[NAME:{doc_first} {doc_last}]], MBBS FRCR
""",
    """Ward round request, bed 14, [[NAME:{last} {first}]], NHS no [[ID:943 476 5919]].
Abdominal XR [[DATE:{dmy}]]: dilated small bowel loops up to 4.2 cm, Rigler's sign negative. Surgical reg Mr [[NAME:{doc_last}]] informed by
SHO Dr [[NAME:{doc2_first} {doc2_last}]] at 18:30 hrs. Bleep [[PHONE:2217]].
""",
    """VENOUS DUPLEX
Tech: [[NAME:{other_first} {doc_initial}.]]   Room 3   Study ID [[ID:{acc}]]   Machine SN [[ID:US{num5}77]]
Right common femoral, femoral and popliteal veins compress fully. A Baker's cyst is 5.2 x 1.4 cm. Homans sign not assessed.
Left Hickman catheter. Greenfield filter in the IVC. Results given verbally to [[NAME:{doc_first}]] in clinic, read back confirmed.
Read and signed: [[NAME:{doc2_initial}. {doc2_last}]] [[DATE:{date}]]
""",
    """Tumor board [[DATE:{long_date}]] - presented by [[NAME:{doc_first} {doc_last}]] and [[NAME:{doc2_last}]].
Mr. [[NAME:{last}]]'s MRI from last [[DATE:{month_day}]] shows PI-RADS 5 lesion, 19 mm, Gleason 4+3. Images at [[URL:{url}]].
Plan: Dr. [[NAME:{doc3_last}]] (urology) to see the patient; [[NAME:{doc3_first}]] will call the family at [[PHONE:{phone}]].
Colles fracture of 2019 healed. Zenker diverticulum stable. Swan neck deformity, Jones fracture, Hodgkin disease in remission.
""",
)


@dataclass(frozen=True)
class MarkedReport:
    """A report, the identifiers of its record, and where its identifiers are: (start, end, kind)."""

    text: str
    identifiers: KnownIdentifiers
    marks: tuple[tuple[int, int, str], ...]


def marked_reports(count: int, *, seed: int = 20240611) -> list[MarkedReport]:
    """`count` reports, the same for the same seed."""
    draw = random.Random(seed)
    return [_marked(draw, TEMPLATES[number % len(TEMPLATES)]) for number in range(count)]


def _marked(draw: random.Random, template: str) -> MarkedReport:
    last, first, middle, dob = draw.choice(PEOPLE)
    doctors = draw.sample(DOCTORS, 3)
    values = _values(draw, last, first, middle, dob, doctors)
    filled = template.format(**values)
    pieces: list[str] = []
    marks: list[tuple[int, int, str]] = []
    length = position = 0
    for match in _MARK.finditer(filled):
        pieces.append(filled[position : match.start()])
        length += match.start() - position
        marks.append((length, length + len(match[2]), match[1]))
        pieces.append(match[2])
        length += len(match[2])
        position = match.end()
    pieces.append(filled[position:])
    identifiers = KnownIdentifiers(
        patient_names=(f"{last}^{first}^{middle}".upper().rstrip("^"),),
        patient_ids=(values["mrn"],),
        accession_numbers=(values["acc"],),
        birth_dates=(dob,),
        physicians=(f"{doctors[0][0]}^{doctors[0][1]}".upper(),) if draw.random() < 0.5 else (),
    )
    return MarkedReport("".join(pieces), identifiers, tuple(marks))


def _values(
    draw: random.Random, last: str, first: str, middle: str, dob: str, doctors: list[tuple[str, str]]
) -> dict[str, str]:
    months = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ]

    def day() -> tuple[int, int, int]:
        return draw.randint(2006, 2023), draw.randint(1, 12), draw.randint(1, 28)

    def written() -> str:
        year, month, number = day()
        name = months[month - 1]
        return draw.choice(
            (
                f"{month}/{number}/{year}", f"{month:02d}/{number:02d}/{year % 100:02d}", f"{year}-{month:02d}-{number:02d}",
                f"{number} {name} {year}", f"{number}-{name[:3]}-{year}", f"{name} {number}, {year}", f"{name[:3]}. {number}, {year}",
                f"{number}.{month:02d}.{year}", f"{number:02d}{name[:3].upper()}{year}", f"{name[:3]} {number} '{year % 100:02d}",
                f"{number:02d}-{name[:3].upper()}-{year % 100:02d}", f"{number}th of {name}, {year}", f"{year}{month:02d}{number:02d}",
            )
        )  # fmt: skip

    def digits(size: int) -> str:
        return "".join(draw.choice("0123456789") for _ in range(size))

    year, month, number = day()
    born = f"{int(dob[4:6])}/{int(dob[6:])}/{dob[:4]}"
    values = {
        "last": last, "first": first, "LAST": last.upper(), "FIRST": first.upper(), "mi": (middle or "B")[0] + ".",
        "dob": draw.choice((born, f"{dob[:4]}-{dob[4:6]}-{dob[6:]}", f"{dob[6:]}/{dob[4:6]}/{dob[:4]}")),
        "mrn": draw.choice((digits(8), f"E{digits(7)}", f"00{digits(6)}", f"{digits(3)}-{digits(2)}-{digits(3)}")),
        "acc": draw.choice((f"NM{digits(7)}", digits(9), f"{digits(2)}-{digits(6)}", f"ACC{digits(8)}")),
        "acct": f"{digits(4)}{digits(5)}", "num5": digits(5), "year2": f"{year % 100:02d}",
        "hospital": draw.choice(("St. Brendan's Hospital", "Lakeview Regional Medical Center", "Mercy Harbor Hospital", "Cedar Bluffs VA Medical Center", "Tri-County Memorial Hospital", "Our Lady of Fatima Hospital")),
        "clinic": draw.choice(("Elmwood Family Practice", "Harbor Point Clinic", "Northgate Women's Health", "Birchwood Medical Group")),
        "date": written(), "date2": written(), "monyear": draw.choice((f"{months[month - 1]} {year}", f"{month}/{year}", f"{months[month - 1][:3]} {year}")),
        "md": f"{month}/{number}" if draw.random() < 0.5 else f"{months[month - 1]} {number}",
        "dmy": f"{number:02d}/{month:02d}/{year % 100:02d}", "long_date": f"{draw.choice(('Tuesday', 'Thursday'))}, {months[month - 1]} {number}, {year}",
        "month_day": f"{months[month - 1]} {number}", "plain_time": f"{draw.randint(1, 12)}:{draw.randint(10, 59)} PM",
        "phone": draw.choice((f"({digits(3)}) {digits(3)}-{digits(4)}", f"{digits(3)}.{digits(3)}.{digits(4)}", f"1-800-{digits(3)}-{digits(4)}", f"+1 {digits(3)} {digits(3)} {digits(4)}")),
        "email": f"{doctors[1][0].lower().replace(' ', '')}.rad@harborpoint.example", "url": "https://pacs.harborpoint.example/s?uid=1.2.840.99.4471",
        "ssn": f"{digits(3)}-{digits(2)}-{digits(4)}", "ins": f"XQH{digits(9)}", "street": f"{draw.randint(2, 9999)} {draw.choice(('Alder Creek Rd', 'W. 42nd Street', 'Old Mill Lane, Apt 3B', 'Quarry Hill Court'))}",
        "city": draw.choice(("Maple Grove", "Eastport", "San Lucas")), "state": draw.choice(("VT", "OR", "Texas")), "zip": digits(5),
        "age": str(draw.randint(60, 88)), "age90": str(draw.randint(90, 101)),
        "other_first": draw.choice(("Beatrice", "Tobias", "Anjali", "Kwame", "Rosalind", "Desmond", "Hye-jin")),
        "shout_label": draw.choice(("PT:", "PATIENT:", "NAME:")), "doc_initials": doctors[0][1][0] + doctors[0][0][0],
    }  # fmt: skip
    values["OTHER_FIRST"] = values["other_first"].upper()
    for prefix, (family, given) in zip(("doc", "doc2", "doc3"), doctors, strict=True):
        values.update({f"{prefix}_last": family, f"{prefix}_first": given, f"{prefix}_initial": given[0]})
        values.update({f"{prefix.upper()}_LAST": family.upper(), f"{prefix.upper()}_FIRST": given.upper()})
    return values
