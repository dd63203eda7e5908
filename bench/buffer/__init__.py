"""How fast, small and gentle to its disk the buffer is; `python -m bench.buffer` runs all of it."""
