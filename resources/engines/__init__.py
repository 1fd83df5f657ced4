"""Engines: what runs a Beam pipeline, in this process, on Prism, Flink or Dataflow.

Reading order: `waiting` (what all have in common), `beam` (choosing one, and the embedded one), `portable` (Prism and Flink),
`dataflow` (with `dataflow_service`, `dataflow_messages`).  What is in a pipeline is `gradient_assets.pipelines`' business.
"""
