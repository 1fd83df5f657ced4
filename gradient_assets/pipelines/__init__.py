"""How much at once: the four heavy stages as Beam pipelines, without Dagster.

Reading order: `steps` (what one work item becomes: the shape every stage has), `metadata`, `reports`, `thumbnails`,
`release` (the steps themselves), `shards` (what they write), `worker` and `pool` (processes that survive a crash),
`known` and `work` (who is known, what each stage should hold), `worklist` (how that reaches the workers), `beam_stage`
(the Beam pipeline), `flex_template` (the same, built in a cloud's container), `progress` (what is said meanwhile),
`attaching` (a job that outlived its process), `stage` (list, run, check, commit).

Belongs here: reading objects, applying `deid` to them, writing shards.  Which partition, and why now, is `assets`'
business; where a bucket lies, `resources`'.
"""
