"""What stations report and are told: heartbeats, events, media, configuration, presence. No HTTP."""
