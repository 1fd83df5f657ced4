"""Google's own analyzer with a catalogue built from the table specs.

Belongs here: the catalogue, the types of parameters, and which kinds of statements are read.  ZetaSQL is the open part of
GoogleSQL: it resolves names and types as BigQuery does, but has no `SEARCH`, which `known_here` puts in other words.
"""

import re
from functools import cache

from zetasql import api, types
from zetasql.core import wasm_client

from gradient_assets.tables import ALL_TABLES
from resources.warehouses.warehouse_contract import ZONES


class Compiled(wasm_client.Config):
    """The analyzer is WebAssembly that is compiled at each start, for 20 s; wasmtime keeps it in its own cache folder."""

    def __init__(self):
        super().__init__()
        self.cache = True


wasm_client.Config = Compiled

KINDS = types.TypeKind
KIND_OF = {
    "STRING": KINDS.TYPE_STRING,
    "INT64": KINDS.TYPE_INT64,
    "FLOAT64": KINDS.TYPE_DOUBLE,
    "BOOL": KINDS.TYPE_BOOL,
    "DATE": KINDS.TYPE_DATE,
    "TIMESTAMP": KINDS.TYPE_TIMESTAMP,
}
TYPE_OF = {kind: name for name, kind in KIND_OF.items()}
STATEMENTS = (
    types.ResolvedNodeKind.RESOLVED_QUERY_STMT,
    types.ResolvedNodeKind.RESOLVED_CREATE_TABLE_AS_SELECT_STMT,
    types.ResolvedNodeKind.RESOLVED_BEGIN_STMT,
    types.ResolvedNodeKind.RESOLVED_COMMIT_STMT,
    types.ResolvedNodeKind.RESOLVED_INSERT_STMT,
    types.ResolvedNodeKind.RESOLVED_DELETE_STMT,
    types.ResolvedNodeKind.RESOLVED_CREATE_ROW_ACCESS_POLICY_STMT,
)


def table(name, spec):
    builder = api.TableBuilder(name)
    for column in spec.columns:
        builder = builder.add_column(column.name, KIND_OF[column.type])
    return builder.build()


@cache
def language():
    options = types.LanguageOptions.maximum_features()
    options.supported_statement_kinds = list(STATEMENTS)
    return options


def catalogue(named):
    """`named`: `project.dataset.table` → spec, beside the zones' own tables.  BigQuery takes such a name in one pair of
    backquotes as well as in three."""
    functions = types.ZetaSQLBuiltinFunctionOptions(language_options=language())
    builder = api.CatalogBuilder("gradient").with_builtin_functions(functions)
    projects = {}
    for name, spec in named.items():
        builder = builder.add_table(table(name, spec))
        project, dataset, short = name.split(".")
        projects.setdefault(project, {}).setdefault(dataset, {})[short] = spec
    made = builder.build()
    made.catalog.extend(datasets(zones()))
    for project, held in projects.items():
        place = api.CatalogBuilder(project).build()
        place.catalog.extend(datasets(held))
        made.catalog.append(place)
    return made


def zones():
    return {zone: {spec.name: spec for spec in ALL_TABLES if spec.zone == zone} for zone in ZONES}


def datasets(held):
    """`held`: dataset → table name → spec."""
    for dataset, tables in held.items():
        builder = api.CatalogBuilder(dataset)
        for name, spec in tables.items():
            builder = builder.add_table(table(name, spec))
        yield builder.build()


class Judge:
    """The analyzer; `parameters` are those of a statement with a value of their type."""

    def __init__(self, named=None):
        self._catalogue = catalogue(named or {})

    def resolved(self, sql, parameters):
        """The resolved statement.  Raises the analyzer's own error."""
        given = [
            types.AnalyzerOptions.QueryParameter(
                name=name, type=types.Type(type_kind=KINDS.TYPE_INT64 if isinstance(value, int) else KINDS.TYPE_STRING)
            )
            for name, value in parameters.items()
        ]
        options = types.AnalyzerOptions(language_options=language(), query_parameters=given)
        return api.Analyzer(options, self._catalogue).analyze_statement(known_here(sql))

    def columns(self, sql, parameters):
        """Names of the result's columns with their types."""
        listed = self.resolved(sql, parameters).output_column_list
        return {one.name: TYPE_OF[one.column.type.type_kind] for one in listed}


def known_here(sql):
    """The statement with BigQuery's `SEARCH` as a comparison of the same types."""
    return re.sub(r"SEARCH\((`\w+`), @words\)", r"STRPOS(\1, @words) > 0", sql)
