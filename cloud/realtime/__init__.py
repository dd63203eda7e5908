"""News from the cloud to the pages that are open: the bus inside the process and the WebSocket gateway."""
