"""A web server that answers every path with one word: `one_word.py ADDRESS PORT WORD`."""

from __future__ import annotations

import http.server
import sys


class OneWord(http.server.BaseHTTPRequestHandler):
    """The word stands in for a page."""

    def do_GET(self) -> None:
        body = sys.argv[3].encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


http.server.ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), OneWord).serve_forever()
