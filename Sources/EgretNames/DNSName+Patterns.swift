// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

public import EgretDNSWire
public import EgretPolicy

extension DNSName {
    /// The name as it is compared with the patterns of what holds back: limits, and rules that deny. `nil` for the root.
    ///
    /// The DNS has names with any bytes, patterns have not. Such a label is `_` here: below a wildcard it is a name like others, and
    /// whoever wrote it must not escape by it.
    public var comparedName: DomainName? {
        if let name = DomainName(labels: labels) { return name }
        let other: ArraySlice<UInt8> = [UInt8(ascii: "_")]
        return DomainName(labels: labels.map { DomainName(labels: [$0]) == nil ? other : $0 })
    }
}
