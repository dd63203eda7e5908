"""The HTTP interface under /v1: one module per resource, each with its table of routes."""
