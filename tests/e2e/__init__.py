"""Journeys with the real cloud and station processes over real HTTP."""
