# Copyright the Egret authors.
# SPDX-License-Identifier: Apache-2.0
"""Lists over TLS, good ones and others. Usage: FeedServer.py PORT CERTIFICATE KEY LOG"""

import http.server
import ssl
import sys
import time

port, certificate, key, log = int(sys.argv[1]), *sys.argv[2:5]
LIST = b"".join(b"203.0.113.%d\n" % number for number in range(100))


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        with open(log, "a") as file:
            file.write(f"{self.path} {self.headers.get('If-None-Match')} {self.headers.get('If-Modified-Since')}\n")
        getattr(self, self.path.strip("/").split("/")[0], self.missing)()
        self.close_connection = True

    def answer(self, body, status=200, length=None, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def good(self):
        if self.headers.get("If-None-Match") == '"one"':
            return self.answer(b"", 304)
        self.answer(LIST, ETag='"one"', Last_Modified="Tue, 01 Jul 2025 00:00:00 GMT")

    def kept(self):
        """The file "list" of the working directory, as it is now."""
        with open("list", "rb") as file:
            self.answer(file.read())

    def missing(self):
        self.answer(b"203.0.113.1\n", 404)

    def truncated(self):
        self.answer(LIST, length=len(LIST) + 100)

    def unending(self):
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(LIST)
        except OSError:
            pass

    def large(self):
        self.answer(LIST, length=1 << 40)

    def slow(self):
        self.send_response(200)
        self.end_headers()
        try:
            for _ in range(100):
                self.wfile.write(b"203.0.113.1\n")
                self.wfile.flush()
                time.sleep(0.2)
        except OSError:
            pass

    def silent(self):
        time.sleep(20)

    def garbage(self):
        self.answer(bytes(range(256)) * 10)

    def page(self):
        self.answer(b"<html><body>Please log in</body></html>\n", Content_Type="text/html")

    def nothing(self):
        self.answer(b"# none today\n")

    def nonsense(self):
        self.wfile.write(b"\x00\x01 this is not HTTP\r\n\r\n")

    def coded(self):
        self.answer(LIST, Content_Encoding="gzip")

    def file(self):
        self.answer(b"", 302, Location="file:///etc/hostname")

    def plain(self):
        self.answer(b"", 301, Location="http://127.0.0.1/good")

    def moved(self):
        self.answer(b"", 308, Location="/good")

    def loop(self):
        self.answer(b"", 302, Location="/loop")

    def stale(self):
        self.answer(b"", 304)


server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
