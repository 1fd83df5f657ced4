"""How fast what was written is searched for everything that is known of a hospital: megabytes per CPU second and core.

    python -m benchmarks.verification [--identifiers 100000] [--uids 300000] [--megabytes 64] [--folder FOLDER_OF_DICOM_FILES]

The people, reports and headers are made by code, from a seed.  Four kinds of output are searched as the checks search them:
reports and headers as rows of a Parquet file, a column and a batch at a time; DICOM data sets element by element; thumbnails'
bytes.  With --folder the headers are those of real files, cleaned.  Printed is the CPU time of this process, so that a busy
machine makes less of a difference; Parquet and DICOM are decoded within the time.  17 MB/s is 1 GB in under a minute.
"""

from __future__ import annotations

import argparse
import io
import os
import random
import time
from collections.abc import Callable, Iterable, Iterator
from importlib import resources
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

import pyarrow as pa
import pyarrow.parquet as pq
from pydicom import Dataset

from gradient_assets.deid import headers
from gradient_assets.deid.headers import HeaderEngine, Profile
from gradient_assets.deid.identifiers import KnownIdentifiers
from gradient_assets.deid.identity import Pseudonymizer, SecretKey
from gradient_assets.deid.reasons import Refused
from gradient_assets.deid.text import TextEngine
from gradient_assets.deid.verify import IdentifierIndex

SEED = 7
KINDS_OF_A_PATIENT = 4
"""Name, patient id, accession number, phone: what one patient adds to the number of identifiers."""
GOAL_MB_S = 1000 / 60


def people(identifiers: int, chance: random.Random) -> Iterator[KnownIdentifiers]:
    """Made-up patients; names from the census lists that ship with the report engine."""
    folder = resources.files("gradient_assets.deid.text") / "languages/en"
    family, given = ((folder / f"{name}.txt").read_text("utf-8").split() for name in ("family_names", "given_names"))
    for _ in range(identifiers // KINDS_OF_A_PATIENT):
        born = f"{chance.randrange(1930, 2010)}{chance.randrange(1, 13):02d}{chance.randrange(1, 29):02d}"
        phone = f"({chance.randrange(200, 999)}) {chance.randrange(200, 999)}-{chance.randrange(10_000):04d}"
        yield KnownIdentifiers(
            patient_names=(f"{chance.choice(family)}^{chance.choice(given)}^{chance.choice('ABCDEFGH')}".upper(),),
            patient_ids=(str(chance.randrange(10**6, 10**8)),),
            accession_numbers=(f"RAD{chance.randrange(10**7, 10**8)}",),
            birth_dates=(born,),
            phones=(phone,),
        )


def original_uids(count: int, chance: random.Random) -> Iterator[str]:
    """UIDs as sent, 50 characters below one of twenty roots."""
    roots = [f"1.2.840.{chance.randrange(10**5, 10**6)}.2.{chance.randrange(500)}" for _ in range(20)]
    for number in range(count):
        machine, day = chance.randrange(10**9, 10**10), chance.randrange(10**8)
        yield f"{chance.choice(roots)}.{machine}.{day}.{10**8 + number}.{number % 200}"


SENTENCES = (
    "EXAM: CT CHEST WITH CONTRAST [DATE]", "CLINICAL HISTORY: {age} year old with cough since {week} weeks.",
    "COMPARISON: CT dated [DATE].", "TECHNIQUE: {kv} kVp, {mas} mAs, slices of {mm} mm; serial [ID].",
    "FINDINGS: A {mm} x {mm} cm nodule in the right upper lobe, series 4 image {image}.",
    "The heart is of normal size. No pericardial effusion.", "Degenerative changes at L4-5 and T{week}-T{image}.",
    "Discussed with Dr. [NAME] by telephone on [DATE] at {week}:{image}.", "No acute osseous abnormality.",
    "IMPRESSION: 1. Nodule of {mm} mm, stable. 2. Follow-up in {week} months.",
)  # fmt: skip


def report(chance: random.Random) -> str:
    """A cleaned report of about 700 characters."""
    numbers = {"age": 61, "week": 7, "kv": 120, "mas": 85, "mm": 3.4, "image": 22}
    return "\n".join(
        sentence.format(**{name: round(value * chance.uniform(0.4, 1.8), 1) for name, value in numbers.items()})
        for sentence in chance.choices(SENTENCES, k=12)
    )


def header(chance: random.Random, number: int) -> Dataset:
    """A cleaned header of about 60 elements: new UIDs, positions with many digits, codes."""
    ds = Dataset()
    uid = lambda: f"2.25.{chance.getrandbits(127)}"  # noqa: E731  four places, one line each
    ds.SOPInstanceUID, ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = uid(), uid(), uid(), uid()
    ds.SOPClassUID, ds.Modality, ds.Manufacturer = "1.2.840.10008.5.1.4.1.1.4", "MR", "ACME MEDICAL"
    ds.PatientID = ds.PatientName = "P" + "".join(chance.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", k=16))
    ds.StudyDate, ds.StudyTime, ds.InstanceNumber = "20190304", f"{chance.randrange(240_000):06d}", number
    ds.ImagePositionPatient = [round(chance.uniform(-300, 300), 9) for _ in range(3)]
    ds.ImageOrientationPatient = [round(chance.uniform(-1, 1), 12) for _ in range(6)]
    ds.PixelSpacing, ds.SliceLocation = [0.9765625, 0.9765625], round(chance.uniform(-300, 300), 6)
    ds.StudyDescription, ds.SeriesDescription = "MR BRAIN W WO CONTRAST", f"t2_tse_tra_{number}"
    return ds


def cleaned(folder: Path) -> list[Dataset]:
    """Headers of real files, cleaned under the profile `longitudinal`."""
    profile = Profile.named("longitudinal")
    engine = HeaderEngine(profile, Pseudonymizer(SecretKey(bytes(32)), "benchmark"), TextEngine(dates=profile.dates))
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            ds = headers.read_dataset(path.read_bytes(), stop_before_pixels=True)
            found.append(engine.clean(ds, headers.identifiers_of(ds)).dataset)
        except Refused:
            continue
    return found


def parquet(name: str, texts: Iterable[str], size: int) -> bytes:
    """A Parquet file of so many bytes of text."""
    rows, length = [], 0
    for text in texts:
        rows.append(text)
        length += len(text)
        if length >= size:
            break
    sink = io.BytesIO()
    pq.write_table(pa.table({name: rows}), sink, row_group_size=2_000)
    return sink.getvalue()


def search_rows(index: IdentifierIndex, name: str, content: bytes) -> tuple[int, int]:
    """Bytes searched and hits, as `verification.rows` goes over a table."""
    size = hits = 0
    for batch in pq.ParquetFile(io.BytesIO(content)).iter_batches(2_000):
        values = batch[name].to_pylist()
        size += sum(len(value.encode()) for value in values)
        hits += len(index.search_column(name, values))
    return size, hits


def timed(kind: str, search: Callable[[], tuple[int, int]]) -> float:
    """Print a line of the table; returns MB per CPU second."""
    started = time.process_time()
    size, hits = search()
    seconds = time.process_time() - started
    print(f"| {kind} | {size / 1e6:,.0f} | {seconds:.1f} | {size / 1e6 / seconds:.1f} | {hits} |", flush=True)
    return size / 1e6 / seconds


def forever(one: Callable[[int], str]) -> Iterator[str]:
    """One after the other, without end."""
    number = 0
    while True:
        number += 1
        yield one(number)


def resident() -> float:
    """MB of memory that this process had at most."""
    return getrusage(RUSAGE_SELF).ru_maxrss / 1000


def main() -> None:
    """Make the data, search it, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--identifiers", type=int, default=100_000)
    parser.add_argument("--uids", type=int, default=300_000)
    parser.add_argument("--megabytes", type=int, default=64)
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    chance = random.Random(SEED)
    started, before = time.process_time(), resident()
    uids = original_uids(asked.uids, random.Random(SEED))
    index = IdentifierIndex.build(people(asked.identifiers, chance), uids=uids)
    print(
        f"{asked.identifiers:,} identifiers, {asked.uids:,} UIDs, {index!r}, built in {time.process_time() - started:.1f} s."
    )
    print(f"At most {resident() - before:,.0f} MB more of memory.")
    print(f"Load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors.\n")
    print("| what was written | MB | CPU s | MB/s per core | hits |\n| --- | --- | --- | --- | --- |")
    size = asked.megabytes * 1_000_000
    datasets = cleaned(asked.folder) if asked.folder else [header(chance, number) for number in range(2_000)]
    texts = [headers.to_json_header(ds) for ds in datasets]
    files = [headers.write_dataset(ds) for ds in datasets if getattr(ds, "file_meta", None)]
    speeds = [
        timed("reports, rows of Parquet", partial_rows(index, parquet("t", forever(lambda _: report(chance)), size))),
        timed(
            "headers, rows of Parquet",
            partial_rows(index, parquet("t", forever(lambda n: texts[n % len(texts)]), size)),
        ),
    ]
    if files:
        timed(
            "DICOM headers, element by element",
            lambda: (sum(map(len, files)), sum(len(index.search_dicom(f)) for f in files)),
        )
    noise = [chance.randbytes(40_000) for _ in range(max(1, size // 400_000))]
    timed("bytes that are no text", lambda: (sum(map(len, noise)), sum(len(index.search_bytes(one)) for one in noise)))
    print(f"\nGoal for text: {GOAL_MB_S:.1f} MB/s. Slowest: {min(speeds):.1f}.")


def partial_rows(index: IdentifierIndex, content: bytes) -> Callable[[], tuple[int, int]]:
    """The search of one Parquet file, to be timed."""
    return lambda: search_rows(index, "t", content)


if __name__ == "__main__":
    main()
