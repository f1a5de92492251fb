// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import Testing

/// A Docker whose answers do not come, as on a machine that is very busy, or when Docker ends meanwhile.
extension DockerNetworkTests {
    @Test("a Docker that answers too late, or not at all, leaves no bridge that is open")
    func slow() throws {
        try expect(
            "dkrslow",
            #"""
            up; begin --runtime docker=/run/w/docker.sock
            policy web "{ matchLabels: { egret.policy: web } }" 203.0.113.10/32 | egret apply -f - >/dev/null
            cat >proxy.py <<'X'
            import http.client, http.server, os, socket, socketserver, time
            class Engine(http.client.HTTPConnection):
                def connect(self): self.sock = socket.socket(socket.AF_UNIX); self.sock.connect("/run/w/docker.sock")
            class Handler(http.server.BaseHTTPRequestHandler):
                protocol_version = "HTTP/1.1"
                def log_message(self, *a): pass
                def address_string(self): return "-"
                def serve(self):
                    body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                    creates = self.command == "POST" and self.path.endswith("/networks/create")
                    while creates and os.path.exists("hang"): time.sleep(0.1)
                    engine = Engine("engine"); engine.request(self.command, self.path, body, dict(self.headers, Connection="close"))
                    answer = engine.getresponse(); data = answer.read()
                    if creates and os.path.exists("lose"): self.close_connection = True; return
                    self.send_response(answer.status)
                    for key, value in answer.getheaders():
                        if key.lower() not in ("transfer-encoding", "content-length", "connection"): self.send_header(key, value)
                    self.send_header("Content-Length", str(len(data))); self.end_headers()
                    if self.command != "HEAD": self.wfile.write(data)
                do_GET = do_POST = do_HEAD = do_DELETE = serve
            class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer): daemon_threads = True
            Server("/run/w/proxy.sock", Handler).serve_forever()
            X
            python3 proxy.py 2>>log & proxy=$!; until [ -S /run/w/proxy.sock ]; do sleep 0.05; done
            create() {
                DOCKER_HOST=unix:///run/w/proxy.sock egret network create shop --subnet 10.9.0.0/24 --docker 2>&1 |
                    sed 's/refuses: .*; it/refuses; it/'
            }
            remove() { egret network rm shop; closed; d network ls -q -f name=shop; egret network ls | grep shop; }
            c() { d run -d --name $1 --network shop box sleep 1000 >/dev/null; }
            echo the answer is lost; touch lose; create; closed; d network ls -f name=shop --format '{{.Name}}'
            egret network ls; egret network inspect shop
            c one; settle 1; d rm -f one >/dev/null; settle 0; remove; rm lose
            echo the answer is late; touch hang; create; closed; d network ls -q -f name=shop; egret network ls | tail -1
            kill $agent; wait $agent 2>/dev/null
            rm hang; for i in {1..100}; do d network inspect shop >/dev/null 2>&1 && break; sleep 0.1; done
            c two; reaches two 203.0.113.10; begin --runtime docker=/run/w/docker.sock; settle 1; reaches two 203.0.113.10
            create; d rm -f two >/dev/null; settle 0; remove
            echo Docker has one of that name; d network create shop >/dev/null; create; closed; d network rm shop
            create; closed; remove; kill $proxy; find state -type f -name shop; finish; cleared
            """#,
            prints: """
                the answer is lost
                egret: docker refuses; it may have made the network shop, or make it yet: the bridge shop stays closed
                       when docker answers again: egret network rm shop
                3
                shop
                NAME  MODE    SUBNETS      ENDPOINTS  PUBLISHED
                shop  docker  10.9.0.0/24          -          -
                shop  docker
                  subnet 10.9.0.0/24, gateway 10.9.0.1
                  source addresses: masquerade
                  nothing passes its bridge but what endpoints send that the agent knows
                0
                the answer is late
                egret: docker has not answered within 30 s; it may have made the network shop, or make it yet: the bridge shop stays closed
                       when docker answers again: egret network rm shop
                3
                shop  docker  10.9.0.0/24          -          -
                two does not reach 203.0.113.10
                two reaches 203.0.113.10
                egret: there is a network shop already
                       egret network rm shop
                0
                Docker has one of that name
                egret: docker has a network shop already
                       docker network rm shop, or another name
                0
                shop
                3
                0
                """)
    }
}
