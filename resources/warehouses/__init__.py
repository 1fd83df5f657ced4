"""Warehouses: tables partitioned by hospital, as Parquet files under DuckDB or in BigQuery, behind one contract.

Reading order: `warehouse_contract`, `dialect` (one SQL for both), `warehouse` (embedded, with `parquet_files`,
`duckdb_session`, `full_text`), `bigquery` (with `bigquery_tables`, `bigquery_differences`,
`bigquery_statements`, `bigquery_jobs`, `bigquery_readers`).  Which tables there are is `gradient_assets.tables`' business.
"""
