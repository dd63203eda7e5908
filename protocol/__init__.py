"""What device and cloud both speak: messages, signatures, codes, errors, limits. Pure: no I/O."""
