// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import Testing

extension AgentTests {
    @Test(
        "a link that is made again is held to its policies before it is up", arguments: ["", "--mode routed"])
    func relinking(mode: String) throws {
        try expect(
            "agrelink",
            """
            lab "\(mode)"; begin
            policy one a "$(to deny b), { action: allow }"; egret apply -f one.yaml >/dev/null
            reaches a 10.9.0.3; reaches a 10.9.0.4
            # Nobody but the commands tells the agent of anything now.
            for i in 1 2 3; do
                inside a ip link del eth0
                inside a bash -c 'until ip -br addr show eth0 2>/dev/null | grep -q "UP.*10.9.0.2"; do :; done
                    exec ping -q -i 0.002 -c 400 10.9.0.3' >pings & ping=$!
                egret network restore 2>&1; wait $ping; grep -o '[0-9]* received' pings
            done
            reaches a 10.9.0.4
            finish
            """,
            prints: """
                a does not reach 10.9.0.3
                a reaches 10.9.0.4
                egret: the link of a to br0 is gone, and the namespace is not: it gets another
                0 received
                egret: the link of a to br0 is gone, and the namespace is not: it gets another
                0 received
                egret: the link of a to br0 is gone, and the namespace is not: it gets another
                0 received
                a reaches 10.9.0.4
                """)
    }

    @Test("a bridge that is made again has its policies before anybody is on it")
    func bridgeAnew() throws {
        try expect(
            "agbridge",
            """
            lab; begin
            policy one a "$(to deny b), { action: allow }"; egret apply -f one.yaml >/dev/null
            for i in 1 2; do
                ip link del br0
                inside a ping -q -i 0.002 -w 15 10.9.0.3 >pings & ping=$!
                sleep 0.2; egret network restore 2>&1 | grep -o 'made the bridge br0 again'
                inside a timeout 60 bash -c 'until ping -c1 -W1 10.9.0.4 >/dev/null 2>&1; do sleep 0.1; done' && echo others are reached
                wait $ping; grep -o '[0-9]* received' pings
            done
            # Who cannot be held to policies is on no network.
            kill -9 $agent; wait $agent 2>/dev/null; ip link del br0
            egret network restore 2>/dev/null; reaches a 10.9.0.3; reaches a 10.9.0.4
            begin; egret network restore 2>/dev/null; reaches a 10.9.0.3; reaches a 10.9.0.4
            finish
            """,
            prints: """
                made the bridge br0 again
                others are reached
                0 received
                made the bridge br0 again
                others are reached
                0 received
                a does not reach 10.9.0.3
                a does not reach 10.9.0.4
                a does not reach 10.9.0.3
                a reaches 10.9.0.4
                """)
    }

    @Test("who waits for a link is not taken for whoever has got its namespace's name meanwhile")
    func strangers() throws {
        try expect(
            "agstranger",
            """
            lab; begin
            # Its own interface is in the way of what would be made again.
            inside a ip link del eth0; inside a ip link add eth0 type veth peer name other
            egret network restore 2>&1 | grep -o 'it gets another\\|still to be restored'
            ip netns del a; ip netns add a
            egret network restore 2>&1; ip -n a -br link | grep -c eth0
            egret network ls -o json | grep -c '"namespace" : "a"'
            ip netns del a; finish
            """,
            prints: """
                it gets another
                still to be restored
                egret: gave up a of br0: its namespace is gone
                0
                0
                """)
    }
}
