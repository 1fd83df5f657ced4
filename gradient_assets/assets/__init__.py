"""The assets, one module per store of the diagram: `landing`, `identified`, `deidentified`, `public`.

Reading order: `catalogue` (what each asset is, for people), then the stores in the order of the diagram, then `context`
(what one materialization works with), `passed` (nothing is made after a check that failed).  Belongs here: what is made from
what, for which partition.  How much at once is `pipelines`' business, what is safe `deid`'s, where things lie `resources`'.
"""
