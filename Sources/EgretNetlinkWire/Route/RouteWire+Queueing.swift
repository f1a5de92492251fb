// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

extension RouteWire {
    /// Gives a link a queueing discipline of this kind at its root, without options.
    ///
    /// A kernel that does not know the kind answers `ENOENT`; one that does takes it, or misses its options, `EINVAL`.
    public static func addQueueingDiscipline(_ kind: String, link index: UInt32, sequence: UInt32) throws(WireError)
        -> [UInt8]
    {
        // RTM_NEWQDISC; `struct tcmsg`: family, padding, index, handle, parent (TC_H_ROOT), information.
        try request(36, create, sequence) { (writer) throws(WireError) in
            writer.append([0, 0, 0, 0])
            for word in [index, 0x0001_0000, UInt32.max, 0] { writer.appendHost(word) }
            // TCA_KIND.
            try writer.putString(1, kind)
        }
    }

    /// Makes a link that needs nothing but its kind, such as `ifb`. It is down. A kernel that does not know the kind
    /// answers `EOPNOTSUPP`.
    public static func createLink(_ name: String, kind: String, sequence: UInt32) throws(WireError) -> [UInt8] {
        try request(RouteMessage.newLink, create, sequence) { (writer) throws(WireError) in
            // `struct ifinfomsg`.
            writer.append([UInt8](repeating: 0, count: 16))
            try writer.putString(Ifla.name, name)
            try writer.nest(Ifla.info) { (writer) throws(WireError) in
                try writer.putString(Ifla.infoKind, kind)
            }
        }
    }
}
