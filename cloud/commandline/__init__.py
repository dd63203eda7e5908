"""Commands of `meteor-cloud` by theme. Arguments, settings and exit codes are in `cloud.cli`."""
