"""How a station becomes somebody's: claims, the certificate authority, tokens. No HTTP."""
