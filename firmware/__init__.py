"""What touches hardware, boot or root; every port ships its fake."""
