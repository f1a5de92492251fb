// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import Testing

/// The example of a Compose project, brought up by Compose itself.
extension DockerNetworkTests {
    @Test("the Compose example: its services are held to the example's policies from start to end")
    func compose() throws {
        try expect(
            "dkrcompose",
            #"""
            up; begin --runtime docker=/run/w/docker.sock; egret network create shop --subnet 10.9.0.0/24 --docker
            egret apply -f $EXAMPLES/policies.yaml >/dev/null
            # What the example's images do is not told: these wait.
            printf 'FROM box\nCMD ["sleep", "1000"]\n' >Dockerfile
            for s in web worker; do d build -q -t registry.example/shop/$s:1.2 . >/dev/null; done
            mkdir shop; cp $EXAMPLES/compose.yaml shop; compose() { (cd shop && docker-compose "$@") >>log 2>&1 || tail log >&2; }
            compose up -d; settle 2; endpoints | sed 's/[_-]1 / /'
            name() { d ps --filter label=com.docker.compose.service=$1 --format '{{.Names}}'; }
            tls() { d exec $(name $1) nc -w2 $2 443 </dev/null >/dev/null 2>&1 && echo "$1 reaches $2" || echo "$1 does not reach $2"; }
            tls worker 203.0.113.10; tls worker 203.0.113.11; tls web 203.0.113.10
            echo scaled; compose up -d --scale worker=3; settle 4; endpoints | grep -c worker
            compose restart; settle 4; tls web 203.0.113.10
            compose down; settle 0; closed; egret network rm shop; finish; cleared
            """#.replacing("$EXAMPLES", with: DockerNetworkTests.examples),
            prints: """
                docker/shop_web shop policed
                docker/shop_worker shop policed
                worker reaches 203.0.113.10
                worker does not reach 203.0.113.11
                web does not reach 203.0.113.10
                scaled
                3
                web does not reach 203.0.113.10
                3
                """)
    }
}
