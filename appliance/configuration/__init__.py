"""What the cloud may change on this station at run time."""
