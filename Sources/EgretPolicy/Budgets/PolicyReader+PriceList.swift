// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

extension PolicyReader {
    private static let priceListSchema = DocumentFields.Schema(
        name: "spec", fields: ["timezone", "prices"],
        foreign: [
            "price": "write prices: and a list", "entries": "write prices: and a list",
            "currency": "write it in every price: 0.09 USD/GB", "timeZone": "write timezone", "tz": "write timezone",
            "per": "remove it: prices are for a month", "period": "remove it: prices are for a month",
            "selects": "remove it: a price list is for every endpoint",
            "tiers": "write tiers in an entry of prices", "free": "write free in an entry of prices",
        ]
    )

    private static let priceEntrySchema = DocumentFields.Schema(
        name: "an entry of prices",
        fields: ["name", "to", "ports", "applications", "direction", "free", "price", "tiers"],
        notSupportedYet: ["when"],
        foreign: [
            "cost": "write price: 0.09 USD/GB", "prices": "write tiers: and a list",
            "allowance": "write free: 100GB", "freeTier": "write free: 100GB", "cidr": "write to: [{ cidr: ... }]",
            "group": "write to: [{ group: ... }]", "destination": "write to: and a list",
        ]
    )

    private static let tierSchema = DocumentFields.Schema(
        name: "a tier", fields: ["upTo", "price"],
        foreign: [
            "from": "write upTo in the tier before", "to": "write upTo", "until": "write upTo",
            "free": "write free beside tiers",
        ]
    )

    /// Reads a `PriceList`.
    mutating func readPriceList(_ document: DocumentFields) {
        let mistakes = result.diagnostics.count { $0.severity == .error }
        let name = readMetadata(document, of: "the price list")
        if let name { checkPriceListName(name.name, at: name.location) }
        let example = "write spec: { prices: [{ name: internet, price: 0.09 USD/GB }] }"
        guard let node = required("spec", in: document, of: "the price list", suggestion: example),
            let spec = fields(node, PolicyReader.priceListSchema)
        else { return }
        var list = PriceList(name: name?.name ?? "", entries: [], location: document.node.location)
        if let zone = spec["timezone"].flatMap({ readTimeZone($0) }) { list.zone = zone }
        let prices = required("prices", in: spec, of: "the price list", suggestion: example)
        list.entries = prices.map { readPriceEntries($0) } ?? []
        guard name != nil, result.diagnostics.count(where: { $0.severity == .error }) == mistakes else { return }
        result.priceLists.append(list)
    }

    private mutating func checkPriceListName(_ name: String, at location: SourceLocation) {
        if let problem = ObjectName.problem(withPolicyName: name) {
            result.diagnostics.append(problem.diagnostic(at: location))
        } else if let first = priceListNames.updateValue(location, forKey: name) {
            error(
                DiagnosticCode.duplicateName, at: location,
                "a price list named \(quoted(name)) is defined already at \(first)",
                "give one of the two another name")
        }
    }

    private mutating func readPriceEntries(_ node: DocumentNode) -> [PriceList.Entry] {
        guard
            let items = items(
                node, "prices", emptyMessage: "prices is empty, and an empty list prices nothing",
                emptySuggestion: "write an entry: { name: internet, price: 0.09 USD/GB }")
        else { return [] }
        var names: [String: SourceLocation] = [:]
        var entries: [PriceList.Entry] = []
        var currency: String?
        for item in items {
            guard let entry = readPriceEntry(item, &currency) else { continue }
            if let first = names.updateValue(item.location, forKey: entry.name) {
                error(
                    DiagnosticCode.duplicateName, at: item.location,
                    "a price named \(quoted(entry.name)) is in the list already, at \(first)",
                    "give one of the two another name: what is used is counted by it")
            }
            let cover = entries.first {
                $0.isForAllFarSides && $0.services.isEmpty
                    && ($0.direction == .both || $0.direction == entry.direction)
            }
            if let cover {
                warning(
                    DiagnosticCode.unreachableRule, at: item.location,
                    "the price \(quoted(entry.name)) is for nothing: \(quoted(cover.name)) before it is for everything",
                    "put it before that one")
            }
            entries.append(entry)
        }
        return entries
    }

    /// Reads an entry.
    ///
    /// - Parameters:
    ///   - node: The entry.
    ///   - currency: The currency of the list's prices so far; becomes that of the first one.
    /// - Returns: The entry; `nil` after reporting what is wrong with it.
    private mutating func readPriceEntry(_ node: DocumentNode, _ currency: inout String?) -> PriceList.Entry? {
        let mistakes = result.diagnostics.count { $0.severity == .error }
        guard let fields = fields(node, PolicyReader.priceEntrySchema) else { return nil }
        var entry = PriceList.Entry(name: "", tiers: [], location: node.location)
        let example = "write a name, such as internet: what is used is counted by it"
        if let name = required("name", in: fields, of: "the entry", suggestion: example),
            let text = string(name, "name", expected: "a name")
        {
            entry.name = text
            if text.isEmpty { error(DiagnosticCode.invalidName, at: name.location, "the name is empty", example) }
        }
        let peers = fields["to"].map { readCountedPeers($0, "a price") } ?? Peers()
        (entry.destinations, entry.domains) = (peers.destinations, peers.domains)
        entry.services = readPortsAndApplications(fields, of: "a price")
        if let direction = fields["direction"] {
            entry.direction = word(direction, "direction", as: TrafficBudget.Direction.self) ?? .egress
        }
        entry.free = fields["free"].flatMap { readVolume($0) }
        entry.tiers = readTiers(fields, &currency)
        return result.diagnostics.count(where: { $0.severity == .error }) == mistakes ? entry : nil
    }

    /// Reads `price`, which is one tier, or `tiers`.
    private mutating func readTiers(_ fields: DocumentFields, _ currency: inout String?) -> [PriceList.Tier] {
        if fields.has("price"), fields.has("tiers") {
            error(
                DiagnosticCode.contradiction, at: fields.location(of: "tiers"), "the entry has both price and tiers",
                "write the price as the last of the tiers")
            return []
        }
        guard let node = fields["tiers"] else {
            guard
                let price = required(
                    "price", in: fields, of: "the entry", suggestion: "write price: 0.09 USD/GB, or tiers"),
                let read = readListPrice(price, &currency)
            else { return [] }
            return [PriceList.Tier(price: read)]
        }
        guard
            let items = items(
                node, "tiers", emptyMessage: "tiers is empty, and nothing has a price",
                emptySuggestion: "write [{ upTo: 10TB, price: 0.09 USD/GB }, { price: 0.085 USD/GB }]")
        else { return [] }
        var tiers: [PriceList.Tier] = []
        for (index, item) in items.enumerated() {
            guard let tier = readTier(item, isLast: index == items.count - 1, &currency) else { continue }
            if let first = tiers.first, first.price.unit != tier.price.unit {
                error(
                    DiagnosticCode.contradiction, at: item.location,
                    "a tier is priced by another unit of bytes than the first, which is \(first.price)",
                    "write the prices of one entry by one unit: they are added up before they are rounded")
            }
            if let last = tiers.last?.upTo, let upTo = tier.upTo, upTo <= last {
                error(
                    DiagnosticCode.outOfRange, at: item.location,
                    "the tier ends at \(upTo), and the one before at \(last)",
                    "write tiers in the order of volume: upTo counts from the month's first byte")
            }
            tiers.append(tier)
        }
        return tiers
    }

    private mutating func readTier(
        _ node: DocumentNode, isLast: Bool, _ currency: inout String?
    ) -> PriceList.Tier? {
        guard let fields = fields(node, PolicyReader.tierSchema) else { return nil }
        if isLast, fields.has("upTo") {
            error(
                DiagnosticCode.contradiction, at: fields.location(of: "upTo"),
                "the last tier has an end, and what is beyond has no price", "write one more tier without upTo")
        }
        let upTo =
            isLast
            ? nil
            : required(
                "upTo", in: fields, of: "the tier", suggestion: "write for example upTo: 10TB; only the last has none"
            ).flatMap { readVolume($0) }
        guard
            let written = required(
                "price", in: fields, of: "the tier", suggestion: "write for example price: 0.09 USD/GB"),
            let price = readListPrice(written, &currency)
        else { return nil }
        return isLast || upTo != nil ? PriceList.Tier(upTo: upTo, price: price) : nil
    }

    private mutating func readListPrice(_ node: DocumentNode, _ currency: inout String?) -> TrafficPrice? {
        guard let price = readPrice(node) else { return nil }
        if let currency, currency != price.currency {
            error(
                DiagnosticCode.contradiction, at: node.location,
                "a price is in \(price.currency), and the first of the list in \(currency)",
                "write a list for each currency")
        }
        currency = currency ?? price.currency
        return price
    }

    private mutating func readVolume(_ node: DocumentNode) -> ByteCount? {
        if let count = ByteCount(node.text), count.bytes > 0 { return count }
        error(
            DiagnosticCode.amount, at: node.location, "\(quoted(node.text)) is no amount of bytes",
            "write a number and a unit, for example 100GB or 10TiB")
        return nil
    }
}
