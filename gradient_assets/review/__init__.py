"""Human review: redacted pictures in a local page, and what people decided about them.

Reading order: `decisions` (what is kept and applied on the next run), `listing` (which instances, what first),
`redaction` (the redacted picture, made on demand in a process of its own), `session` (one reviewer's sitting), `server` (who
may ask for what over HTTP) with `page.html`.  Not here: applying a decision, which is the work of the stages
(`pipelines.work`, `pipelines.thumbnails`, `pipelines.release`).
"""
