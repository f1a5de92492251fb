// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretTesting
import Testing

/// What the page about the agent tells its readers to type.
@Suite("docs/agent.md", .serialized, .requiresRoot)
struct AgentDocumentationTests {
    /// A fenced block.
    private struct Block {
        var language: Substring
        var lines: [Substring] = []
    }

    private func blocks() throws -> [Block] {
        let path = #filePath.replacing("Tests/IntegrationTests/AgentDocumentationTests.swift", with: "docs/agent.md")
        var blocks: [Block] = []
        var isInside = false
        let text = String(decoding: try contents(of: path), as: UTF8.self)
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("```") {
                if !isInside { blocks.append(Block(language: line.dropFirst(3))) }
                isInside.toggle()
            } else if isInside {
                blocks[blocks.count - 1].lines.append(line)
            }
        }
        return blocks
    }

    /// What does what a block says, in a script: writes and applies policies, and runs commands.
    private func steps(_ block: Block) -> [String] {
        let text = block.lines.joined(separator: "\n")
        if block.language == "yaml" {
            // The first is applied by the page itself: its first line says where it is.
            let file = block.lines.first?.split(separator: ":").first.map(String.init) ?? ""
            guard file.hasPrefix("# ") else {
                return ["cat >one.yaml <<'X'\n\(text)\nX", "try egret apply -f one.yaml"]
            }
            return ["mkdir -p $(dirname \(file.dropFirst(2)))", "cat >\(file.dropFirst(2)) <<'X'\n\(text)\nX"]
        }
        // What has no prompt is what a command prints.
        return block.lines.filter { $0.hasPrefix("# ") || $0.hasPrefix("$ ") }.map { line in
            let command = String(line.dropFirst(2)).replacing(#/ {2,}#.*/#, with: "")
            if command.hasPrefix("systemctl") { return "begin" }
            // The options of an agent that listens: it takes over from the one that runs.
            if let options = command.firstMatch(of: #/^egret agent (.*)/#) { return "again \(options.1)" }
            return "try " + (command.contains("--follow") ? "follow \(command)" : command)
        }
    }

    @Test("every policy of the page is applied, and every command does what it says")
    func page() throws {
        let blocks = try blocks()
        #expect(blocks.count >= 9)
        #expect(Swift.Set(blocks.map(\.language)) == ["yaml", "console"])
        let commands = blocks.flatMap(steps)
        #expect(commands.count { $0.hasPrefix("try") } >= 14)
        let reference = #filePath.replacing(
            "Tests/IntegrationTests/AgentDocumentationTests.swift", with: "docs/policy-language.md")
        try withInternet("agdocs") { internet in
            let directory = try TemporaryDirectory()
            let before = commands.prefix { $0 != "begin" }.joined(separator: "\n")
            // The policy with budgets is about everybody: only what needs it comes after it.
            let after = commands.drop { $0 != "begin" }.dropFirst().map { command in
                (command.hasPrefix("try egret usage --by endpoint") ? "answers; try egret apply -f metered.yaml\n" : "")
                    + command
            }.joined(separator: "\n")
            let script = """
                cd \(directory.path)
                \(AgentTests.helpers)
                follow() { timeout 2 "$@"; [ $? = 124 ]; }
                try() { "$@" >out 2>&1 || { echo "$* ends with $?:"; cat out; }; }
                again() { kill $agent; wait $agent; begin "$@"; }
                # What the page takes for granted: an address, certificates, the policy with budgets, prices, a recorded run.
                ip addr add 192.0.2.1/32 dev lo
                key() { openssl req -newkey rsa:2048 -nodes -subj /CN=$1 -keyout $1.key -out $1.csr 2>/dev/null
                    openssl x509 -req -in $1.csr -CA servers.pem -CAkey servers.key -days 2 -out $1.pem \
                        -extfile <(echo subjectAltName=IP:192.0.2.1) 2>/dev/null; }
                openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=all -keyout servers.key -out servers.pem \
                    2>/dev/null
                cp servers.pem clients.pem; key server; key me
                awk '/^```yaml/ { text = ""; next } /^```/ { if (text ~ /name: metered/) print text; text = "" }
                    { text = text $0 "\\n" }' \(reference) >metered.yaml
                awk '/^```yaml/ { text = ""; next } /^```/ { if (text ~ /kind: PriceList/ && !n++) print text; text = "" }
                    { text = text $0 "\\n" }' \(reference) | sed '/^---/,$d' >prices.yaml
                cat >run.json <<'X'
                { "version": 1, "lostConnections": false, "omittedDestinations": 0, "refused": [], "reached": [
                  { "destination": "203.0.113.10", "service": "443/tcp", "sent": { "bytes": 1 }, "received": { "bytes": 1 } }
                ] }
                X
                cat >proposed.yaml <<'X'
                apiVersion: egret.dev/v1
                kind: EgressPolicy
                metadata: { name: proposed }
                spec: { egress: [{ action: allow, to: [{ cidr: 198.51.100.0/24 }] }] }
                X
                \(before)
                answers() { for port in 5432 22; do egret explain --from shop/web --to shop/db --port $port | head -1; done; }
                begin
                \(after)
                ip addr del 192.0.2.1/32 dev lo; finish
                """
            let output = try internet.script(script, timeout: .seconds(120))
            #expect(
                output.standardOutput == """
                    shop/web -> shop/db 5432/tcp: allow
                    shop/web -> shop/db 22/tcp: deny

                    """, "\(output.standardError)")
            // What endpoints hold by name outlives the agent.
            let remains = try internet.remains().split(separator: "\n").filter {
                !$0.hasSuffix(".lock") && !$0.hasPrefix("/run/egret/names-")
            }
            #expect(remains == [])
        }
    }
}
