"""The cloud's database: tables, engine and migrations. What the rows mean is decided elsewhere."""
