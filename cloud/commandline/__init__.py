"""Commands of `meteor-cloud` with work of their own; the parser is in `cloud.cli`."""
