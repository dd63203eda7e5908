"""How a sentence of a page is said in the language of its reader; both programs use it."""
