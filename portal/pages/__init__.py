"""One module for each page; each answers requests and leaves words and layout to templates."""
