"""The stages of the workflow, one module per rule: each reads files, calls pure functions, writes files."""
