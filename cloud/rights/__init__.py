"""What a person may ask for about their data: a copy of all of it, and its end."""
