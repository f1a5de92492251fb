// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretLinux
import EgretPolicy

/// What tells this machine from others, for hardware addresses that no other machine makes up.
enum MachineKey {
    /// Where the machine's own number is (machine-id(5)): made when it was installed, and the same after every restart.
    static let path = "/etc/machine-id"

    /// Reads 40 bits that are made of the machine's number.
    ///
    /// The number itself is not for others on a network to see, so these are of its digest.
    ///
    /// - Returns: The bits; `nil` where the machine has no number, or not yet.
    static func read(at path: String = MachineKey.path) -> UInt64? {
        guard let text = try? File.readText(path, limit: 64) else { return nil }
        let number = Array(text.utf8.prefix { $0 != UInt8(ascii: "\n") })
        let isNumber =
            number.count == 32
            && number.allSatisfy { byte in
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                    || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
            }
        guard isNumber, number.contains(where: { $0 != UInt8(ascii: "0") }) else { return nil }
        let digest = SHA256.digest(of: Array("egret: hardware addresses of endpoints\n".utf8) + number)
        return UInt64(digest.prefix(10), radix: 16)
    }
}
