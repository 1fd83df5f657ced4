"""The log of changes, for those who read it without being counted: to import `sitecustomize` is to put its fakes in force."""

LINE_BYTES = 200
