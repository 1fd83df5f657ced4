"""What the platform needs where its processes run apart from each other: containers, a database server, restarts.

Reading order: `health` (is a process fit for work), `launching` (runs whose process has died), `step_output` (nothing that a
step prints reaches a container's log).
Belongs here: what Dagster loads by name from the files in `deploy`, and what probes ask.  The graph knows nothing of it.
"""
