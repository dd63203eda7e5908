"""What an owner sees in a browser: pages rendered by the server, one stylesheet, two small modules."""
