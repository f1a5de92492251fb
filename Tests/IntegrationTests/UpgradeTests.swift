// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Testing

/// An agent is replaced by one of another build, which finds what the former one has left.
@Suite("an agent of another build", .serialized, .requiresRoot)
struct UpgradeTests {
    /// Shell functions: `former VERSION CHAINS` leaves a store as that version wrote it, and in those chains rules that
    /// decide the same and are not as this build writes them; `upgrade SIGNAL VERSION CHAINS BUILD`.
    private static let former = """
        cat > former.py <<'X'
        import sqlite3, sys
        version = int(sys.argv[2])
        store = sqlite3.connect(sys.argv[1], isolation_level=None)
        store.execute("BEGIN")
        for step in '''
            DROP INDEX document_text; DROP INDEX document_last; DROP INDEX document_removed;
            ALTER TABLE document RENAME TO later;
            CREATE TABLE document (
                revision INTEGER NOT NULL REFERENCES revision (number) ON DELETE CASCADE,
                place INTEGER NOT NULL, objects TEXT NOT NULL, file TEXT NOT NULL, line INTEGER NOT NULL,
                text INTEGER NOT NULL REFERENCES text (id), PRIMARY KEY (revision, place)
            ) WITHOUT ROWID;
            CREATE INDEX document_text ON document (text);
            INSERT INTO document SELECT number, row_number() OVER (PARTITION BY number ORDER BY place, later.id) - 1,
                later.objects, file, line, text
                FROM later JOIN revision ON first <= number AND (last IS NULL OR last >= number);
            DROP TABLE later; ALTER TABLE revision DROP COLUMN objects;
        '''.split(";") if version < 3 else []:
            store.execute(step)
        if version == 1:
            store.execute("ALTER TABLE revision DROP COLUMN confirm_boot")
            store.execute("ALTER TABLE revision DROP COLUMN confirm_uptime")
        store.execute(f"PRAGMA user_version = {version}")
        store.execute("COMMIT")
        X
        former() {
            python3 former.py agent/agent.sqlite $1
            [ $2 = same ] || nft list table inet egret-policy | awk -v chains=$2 '
                /^\\tchain / && $2 ~ chains { print "insert rule inet egret-policy", $2, "counter" }' | nft -f -
        }
        upgrade() {
            kill -$1 $agent; wait $agent 2>/dev/null; former $2 $3
            PATH=$PWD/$4:$PATH begin; readlink /proc/$agent/exe >>builds
        }

        """

    @Test("takes over under a flood: nothing opens, nothing is cut, nothing is forgotten")
    func upgrades() throws {
        try withInternet("upgrade") { internet in
            let directory = try TemporaryDirectory()
            let output = try internet.script(
                "cd \(directory.path)\n" + AgentTests.helpers + UpgradeTests.former + """
                    for build in one two; do mkdir $build; cp $(command -v egret) $build; echo $build >>$build/egret; done
                    lab; PATH=$PWD/one:$PATH begin
                    policy one a "$(to deny b), { action: allow }"; egret apply -f one.yaml --message first >/dev/null
                    policy two b "{ action: allow }"; egret apply -f two.yaml --message second >/dev/null
                    flood() { inside a ping -q -i 0.002 -c 7000 -W 1 $1 >flood-$1 & floods="$floods $!"; }
                    flood 10.9.0.3; flood fd00:9::3; flood 10.9.0.4; flood 203.0.113.10
                    # Two open connections, to outside and to a neighbour, that say something twenty times a second.
                    inside c socat TCP4-LISTEN:81,fork,reuseaddr SYSTEM:cat & listener=$!
                    until inside c ss -Hltn | grep -q :81; do sleep 0.05; done
                    speak() { (i=0; until [ -e stop ]; do i=$((i + 1)); echo $i; echo $i >&3; sleep 0.05; done) 3>said-$1 |
                        timeout 250 ip netns exec a socat -t 2 - TCP4:$1:$2 >heard-$1; }
                    speak 203.0.113.10 7 & one=$!; speak 10.9.0.4 81 & two=$!; sleep 0.5
                    upgrade TERM 3 same two; upgrade KILL 1 same one; upgrade TERM 2 ^g[0-9] two
                    upgrade KILL 3 ^from one; upgrade TERM 1 ^to two; upgrade KILL 3 . one
                    while kill -0 ${floods##* } 2>/dev/null; do upgrade TERM 2 ^g two; upgrade KILL 3 same one; done
                    wait $floods; touch stop; wait $one $two
                    for to in 10.9.0.3 fd00:9::3; do grep -o ', [0-9]* received' flood-$to; done
                    for to in 10.9.0.4 203.0.113.10; do
                        # Where all is made anew, packets are held back for a moment; nothing passes that is refused.
                        grep -o '[0-9.]*% packet loss' flood-$to | awk '{ print $1 + 0 < 0.2 ? "hardly a loss" : $0 }'
                        cmp said-$to heard-$to && [ $(wc -l <said-$to) -gt 20 ] && echo went on
                    done
                    sort builds | uniq | sed "s:$PWD/::"
                    egret get status | grep -E '^(revision|problem)'; egret history | grep -oE 'first|second'
                    egret diff 1 2 | grep -q '^+.*two' && echo the difference is told
                    kill $listener; finish
                    """, timeout: .seconds(300))
            #expect(
                output.standardOutput == """
                    , 0 received
                    , 0 received
                    hardly a loss
                    went on
                    hardly a loss
                    went on
                    one/egret
                    two/egret
                    revision   2
                    problem    none
                    second
                    first
                    the difference is told

                    """, "\(output.standardError)")
            let remains = try internet.remains()
            #expect(remains.split(separator: "\n").filter { !$0.hasSuffix(".lock") } == [])
        }
    }
}
