"""One module per state: `async def run(device) -> Trigger` works until it can name what happened."""
