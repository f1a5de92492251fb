// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretNetlinkWire
import EgretNftables

/// The bytes that a text of hexadecimal digits stands for; white space is passed over.
func capture(_ text: String) -> [UInt8] {
    var bytes: [UInt8] = []
    var high: UInt8?
    for character in text {
        guard let digit = character.hexDigitValue else { continue }
        if let first = high {
            bytes.append(first << 4 | UInt8(digit))
            high = nil
        } else {
            high = UInt8(digit)
        }
    }
    return bytes
}

/// Every capture, by name.
let allCaptures: [(name: String, bytes: [UInt8])] = [
    ("nft batch", NftablesCapture.batch), ("nft nat batch", NatCapture.batch),
    ("nft declarations", NftablesCapture.declarations),
    ("generation", NftablesCapture.generation),
    ("chains", NftablesCapture.chains), ("sets", NftablesCapture.sets), ("elements", NftablesCapture.elements),
    ("objects", NftablesCapture.objects), ("rules", NftablesCapture.rules), ("tables", NftablesCapture.tables),
    ("netdev rules", NftablesCapture.netdevRules), ("element rules", ElementCapture.rules),
    ("rules of led connections", ElementCapture.led), ("nft refused", NftablesCapture.refused),
    ("notifications", NftablesCapture.notifications), ("chains request", NftablesCapture.chainsRequest),
    ("createVeth", RouteCapture.createVeth), ("create bridge", RouteCapture.createBridge),
    ("set master", RouteCapture.setMaster), ("set hairpin", RouteCapture.setHairpin),
    ("links", RouteCapture.links), ("bridge", RouteCapture.bridge), ("done", RouteCapture.done),
    ("mtu refused", RouteCapture.mtuRefused), ("acknowledged", RouteCapture.acknowledged),
    ("addresses", RouteCapture.addresses), ("routes", RouteCapture.routes), ("route get", RouteCapture.routeGet),
    ("neighbours", RouteCapture.neighbours), ("add route", RouteCapture.addRoute),
    ("connections", ConntrackCapture.connections), ("event new", ConntrackCapture.eventNew),
    ("event update", ConntrackCapture.eventUpdate), ("event destroy", ConntrackCapture.eventDestroy),
    ("delete tuple", ConntrackCapture.deleteTuple),
    ("trace drop", TraceCapture.jumpAndDrop), ("trace policy", TraceCapture.policy),
    ("nft way batch", WayCapture.batch), ("add rule", WayCapture.addRule), ("rules4", WayCapture.rules),
    ("rules6", WayCapture.rules6), ("unreachable", WayCapture.unreachable),
    ("log outgoing", PacketLogCapture.outgoing), ("log incoming", PacketLogCapture.incoming),
    ("log incoming6", PacketLogCapture.incoming6), ("log udp", PacketLogCapture.udp),
]

/// Runs every decoder on a datagram and forgets what it says; for hostile bytes.
func decodeEverything(_ datagram: [UInt8]) {
    guard let messages = try? NetlinkMessage.parse(datagram) else { return }
    for message in messages { decodeEverything(message) }
}

/// Runs every decoder on a message, as what its type says and, if asked, as everything else.
func decodeEverything(_ message: NetlinkMessage, asEveryType: Bool = false) {
    var message = message
    let others: [UInt16] = [0xa00, 0xa03, 0xa06, 0xa09, 0xa0c, 0xa0f, 0xa11, 0xa12, 16, 20, 24, 28, 0x100, 0x400, 2, 3]
    for type in asEveryType ? others : [message.type] {
        message.type = type
        switch type {
        case 2, 3: _ = try? NetlinkAcknowledgement(message)
        case 0xa00, 0xa02: _ = try? NftablesWire.decodeTable(message)
        case 0xa03, 0xa05: _ = try? NftablesWire.decodeChain(message)
        case 0xa06: _ = try? NftablesWire.decodeRule(message)
        case 0xa09: _ = try? NftablesWire.decodeSet(message)
        case 0xa0c:
            for keyType in [DataType.ipv4Address, .mark, .inetService] {
                _ = try? NftablesWire.decodeElements([message], keyType: keyType, hasIntervals: true)
            }
            _ = try? NftablesWire.decodeVerdicts(message)
        case 0xa0f: _ = try? NftablesWire.decodeEvent(message)
        case 0xa11: _ = try? NftablesWire.decodeTrace(message)
        case 0xa12: _ = try? NftablesWire.decodeObject(message)
        case 16, 17: _ = try? RouteWire.decodeLink(message)
        case 20: _ = try? RouteWire.decodeAddress(message)
        case 24: _ = try? RouteWire.decodeRoute(message)
        case 28: _ = try? RouteWire.decodeNeighbour(message)
        case 36:
            _ = try? RouteWire.decodeQueueingDiscipline(message)
            _ = try? RouteWire.decodeClassQueue(message, tree: 0xe9e8_0000)
            _ = try? RouteWire.decodeClassifyingPlace(message)
            _ = try? RouteWire.decodeFairQueue(message)
        case 40: _ = try? RouteWire.decodeClass(message, tree: 0xe9e8_0000)
        case 44: _ = try? RouteWire.decodeRedirection(message, preference: 7)
        case 0x100, 0x102: _ = try? ConntrackWire.decodeEvent(message)
        case 0x400:
            if let packet = try? PacketLogWire.decode(message) { _ = PacketSummary.parse(packet.payload) }
        default: _ = try? NftablesWire.decodeEvent(message)
        }
    }
}
