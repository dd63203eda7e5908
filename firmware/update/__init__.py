"""The update agent: from a signed release to a version that works, or back to the one that did."""
