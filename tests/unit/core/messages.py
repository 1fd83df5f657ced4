"""Every value that the code puts into a message: errors, lines of a run, descriptions of checks, reasons to skip.

Belongs here: finding them in the source, without running it.  A message is what the constructor of an exception, `say`,
`print`, `context.log` and the like are given.  A local name, and a function of the same module, is followed to the texts
that it stands for, so that a message that was put together before is seen as well.  Constants of the code say nothing.
"""

import ast
import builtins
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[3]
ROOMS = (
    "gradient_assets/assets",
    "gradient_assets/audit_sample.py",
    "gradient_assets/automation",
    "gradient_assets/boundary.py",
    "gradient_assets/checks",
    "gradient_assets/cohort.py",
    "gradient_assets/crosswalk",
    "gradient_assets/deid",
    "gradient_assets/diagnostics.py",
    "gradient_assets/hospitals.py",
    "gradient_assets/instance.py",
    "gradient_assets/integrity",
    "gradient_assets/pipelines",
    "gradient_assets/quarantine",
    "gradient_assets/releases",
    "gradient_assets/review",
    "gradient_assets/silence.py",
    "gradient_assets/verification",
    "gradient_assets/withdrawals",
    "resources",
)
"""What runs in a step, a check, a sensor or a worker.  `cli` speaks to the person who typed the command."""

SPEAKING = frozenset({"say", "print", "SkipReason", "Failure", "LogRecord", "RefusedRecord", "RefusedRow"})
"""Functions whose arguments are said to somebody."""

DEPTH = 3
"""How often a name or a function is followed; the deepest chain of today is two long."""


def sources() -> list[Path]:
    """The modules of all rooms."""
    paths = [ROOT / room for room in ROOMS]
    return [file for path in paths for file in ([path] if path.is_file() else sorted(path.rglob("*.py")))]


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def error_names() -> frozenset[str]:
    """Names of all exception classes: Python's, and those that a module of the project derives from one."""
    names = {name for name, one in vars(builtins).items() if isinstance(one, type) and issubclass(one, BaseException)}
    classes = [
        node
        for path in [*(ROOT / "gradient_assets").rglob("*.py"), *(ROOT / "resources").rglob("*.py")]
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.ClassDef)
    ]
    while True:
        found = {
            one.name for one in classes if any(ast.unparse(base).rpartition(".")[2] in names for base in one.bases)
        }
        if found <= names:
            return frozenset(names)
        names |= found


def fields(source: str) -> list[str]:
    """The expressions whose values stand in the messages of a module, each once, in order."""
    tree = ast.parse(source)
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    found: dict[str, None] = {}
    for node in ast.walk(tree):
        for said in _said(node):
            for field in _Fields(parents, functions).of(said):
                found[field] = None
    return list(found)


def _said(node: ast.AST) -> list[ast.expr]:
    """What a call tells somebody."""
    if not isinstance(node, ast.Call):
        return []
    name = ast.unparse(node.func)
    last = name.rpartition(".")[2]
    if last == "AssetCheckResult":
        return [keyword.value for keyword in node.keywords if keyword.arg == "description"]
    speaks = last in SPEAKING or name.startswith(("context.log.", "logging.", "warnings.warn"))
    if speaks or last in error_names():
        return [*node.args, *(keyword.value for keyword in node.keywords if keyword.arg not in ("file", "end"))]
    if isinstance(node.func, ast.IfExp):
        return node.args
    return []


class _Fields:
    """The parts of one expression that are no constant text."""

    def __init__(self, parents: dict[ast.AST, ast.AST], functions: dict[str, ast.FunctionDef]) -> None:
        self.parents = parents
        self.functions = functions

    def of(self, said: ast.expr, depth: int = 0) -> Iterator[str]:
        match said:
            case ast.Constant():
                return
            case ast.Name(id=name) | ast.Attribute(attr=name) if name.strip("_").isupper():
                return  # a constant of the code: a code, a limit, a file's name
            case ast.JoinedStr():
                for part in said.values:
                    if isinstance(part, ast.FormattedValue):
                        yield from self.of(part.value, depth)
            case ast.BinOp(op=ast.Add()):
                yield from self.of(said.left, depth)
                yield from self.of(said.right, depth)
            case ast.IfExp():
                yield from self.of(said.body, depth)
                yield from self.of(said.orelse, depth)
            case ast.Call(func=ast.Attribute(attr="join"), args=[ast.GeneratorExp(elt=each)]) if _is_text(each):
                yield from self.of(each, depth)
            case _:
                texts, is_all = self._followed(said) if depth < DEPTH else ([], False)
                if not is_all:
                    yield ast.unparse(said)
                for text in texts:
                    yield from self.of(text, depth + 1)

    def _followed(self, said: ast.expr) -> tuple[list[ast.expr], bool]:
        """The texts that a local name or a function of this module stands for, and whether it stands for nothing else."""
        values: list[ast.expr] = []
        if isinstance(said, ast.Name):
            values = list(self._assigned(said))
        elif isinstance(said, ast.Call) and (function := self._function(said)) is not None:
            returns = [one for one in ast.walk(function) if isinstance(one, ast.Return)]
            values = [one.value for one in returns if one.value is not None]
        texts = [value for value in values if _is_text(value) or self._function(value) is not None]
        return texts, bool(texts) and len(texts) == len(values)

    def _function(self, value: ast.expr) -> ast.FunctionDef | None:
        if not isinstance(value, ast.Call):
            return None
        return self.functions.get(ast.unparse(value.func).removeprefix("self."))

    def _assigned(self, said: ast.Name) -> Iterator[ast.expr]:
        node: ast.AST | None = said
        while node is not None and not isinstance(node, ast.FunctionDef):
            node = self.parents.get(node)
        for one in ast.walk(node) if node is not None else ():
            if isinstance(one, ast.Assign) and any(isinstance(t, ast.Name) and t.id == said.id for t in one.targets):
                yield one.value


def _is_text(value: ast.expr) -> bool:
    match value:
        case ast.JoinedStr() | ast.BinOp() | ast.IfExp() | ast.Constant(value=str()):
            return True
        case ast.Call(func=ast.Attribute(value=ast.Constant(value=str()), attr="join")):
            return True
    return False


def all_fields() -> dict[str, list[str]]:
    """Module → the expressions in its messages; modules without are left out."""
    found = {str(path.relative_to(ROOT)): fields(path.read_text(encoding="utf-8")) for path in sources()}
    return {path: expressions for path, expressions in found.items() if expressions}


WRITING = ("put", "create", "move")


def writes(source: str) -> list[str]:
    """The keys under which a module writes or moves objects in a bucket, as expressions, each once."""
    found: dict[str, None] = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in WRITING:
            if ast.unparse(node.func.value).endswith("vault"):
                continue  # a secret is no object in a bucket
            # The second argument of `put` and `create` is the content, that of `move` another key.
            for key in node.args[: 2 if node.func.attr == "move" else 1]:
                found[ast.unparse(key)] = None
    return list(found)


STORES = (
    "resources/buckets/object_store.py",
    "resources/buckets/remote_writes.py",
    "resources/buckets/local_folder.py",
)
"""What these methods themselves are."""


def all_writes() -> dict[str, list[str]]:
    """Module → the keys that it writes; the sample hospitals are no part of the platform."""
    paths = [*(ROOT / "gradient_assets").rglob("*.py"), *(ROOT / "resources").rglob("*.py")]
    found = {
        name: writes(path.read_text(encoding="utf-8"))
        for path in sorted(paths)
        if (name := str(path.relative_to(ROOT))) not in STORES and "samples" not in path.parts
    }
    return {path: keys for path, keys in found.items() if keys}
