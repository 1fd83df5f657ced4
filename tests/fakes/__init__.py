"""Stand-ins that do a part's job in memory, and switches that turn an engine off in every process of a run."""
