"""`python -m tests.unit.text.unseen score --seed N`: what the engine misses on wording that it was not written for.

Belongs here: printing.  It prints classes, never a report: whoever writes rules may know that dates like `Mon 'yy` are
missed, not in which sentence.  `examples` shows values of one class in neutral sentences (`carriers.json`).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from random import Random

from gradient_assets.deid import KnownIdentifiers, TextEngine

from .generator import Visit, draw_visit, generate, written
from .scoring import Score, run

HERE = Path(__file__).parent


def main() -> None:
    """Parse the command line and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.unit.text.unseen")
    commands = parser.add_subparsers(dest="command", required=True)
    score = commands.add_parser("score", help="score the engine on the reports of one seed")
    score.add_argument("--seed", type=int, action="append", required=True, help="may be given several times: summed up")
    score.add_argument("--count", type=int, default=600)
    score.add_argument("--replace", choices=["tags", "surrogates"], default="tags")
    score.add_argument("--words", action="store_true", help="list the clinical words lost as well")
    score.add_argument("--json", type=Path)
    shown = commands.add_parser(
        "examples", help="values of one class in neutral sentences, with what the engine finds there"
    )
    shown.add_argument("name", help="as `score` prints it, with its kind: 'PHYSICIAN name:full@cc'")
    shown.add_argument("--count", type=int, default=5)
    shown.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.command == "examples":
        print("\n".join(examples(options.name, options.count, options.seed)))  # noqa: T201  # a command's output
        return
    reports = [report for seed in options.seed for report in generate(seed, options.count)]
    result = run(reports, options.replace)
    print("\n".join(lines(result, words=options.words)))  # noqa: T201  # a command's output
    if options.json:
        options.json.write_text(json.dumps(result.as_dict(), indent=1), encoding="utf-8")


def lines(score: Score, *, words: bool = False) -> list[str]:
    """The figures as a table in Markdown."""
    total, gone = score.total
    table = [
        f"recall {score.recall:.4f} ({gone}/{total}) · patient-name leaks {score.patients[1]}/{score.patients[0]} reports · "
        f"clinical words lost {score.clinical_lost:.3%} ({score.clinical[1]}/{score.clinical[0]})",
        "hard negatives hit: " + ", ".join(f"{kind} {hit}/{n}" for kind, (n, hit) in sorted(score.hard.items())),
        "by relation to the record's columns: "
        + ", ".join(f"{k} {g / n:.4f} (n={n})" for k, (n, g) in sorted(score.known.items())),
        "",
        "| kind | n | recall |\n| --- | --- | --- |",
        *(f"| {kind} | {n} | {g / n:.4f} |" for kind, (n, g) in sorted(score.kinds.items())),
        "",
        "| missed class | missed | of |\n| --- | --- | --- |",
    ]
    missed = sorted(((n - g, n, key) for key, (n, g) in score.classes.items() if g < n), reverse=True)
    table += [f"| {kind} {form} | {lost} | {n} |" for lost, n, (kind, form) in missed]
    table += ["", "| clinical words lost by rule and place | words |\n| --- | --- |"]
    table += [f"| {rule} | {n} |" for rule, n in score.lost_rules.most_common()]
    if words:
        table += ["", "words lost: " + ", ".join(f"{word} {n}" for word, n in score.lost_words.most_common())]
    return table


def examples(name: str, count: int, seed: int) -> list[str]:
    """`count` neutral sentences with a value of the class, each with what the engine finds without knowing the patient."""
    kind, _, form = name.partition(" ")
    engine, carriers = TextEngine(), json.loads((HERE / "carriers.json").read_text(encoding="utf-8"))
    place = form.rpartition("@")[2] if "@" in form and " " not in form.rpartition("@")[2] else ""
    shown = []
    for at in range(count):
        rng = Random(f"example {seed} {at}")
        visit: Visit = draw_visit(rng, seed)
        sentence = rng.choice(carriers.get(place, carriers[""])).replace("{}", written(kind, form, visit))
        found = [
            f"{span.kind}:{sentence[span.start : span.end]!r}" for span in engine.find(sentence, KnownIdentifiers())
        ]
        shown.append(f"{sentence!r}\n    found: {', '.join(found) or 'nothing'}")
    return shown


if __name__ == "__main__":
    main()
