"""Thousands of registrations against a real cloud process, with faults: none is lost, none is doubled."""
