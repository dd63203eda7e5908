"""Durable store-and-forward: priority buffer, media files, circuit breaker and drain."""
