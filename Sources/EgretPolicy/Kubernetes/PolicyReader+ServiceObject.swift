// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAddressing

extension PolicyReader {
    /// Reads a `Service`.
    mutating func readServiceObject(_ document: DocumentNode, _ metadata: ObjectMetadata) {
        let spec = document.member("spec")
        let addresses =
            spec?.member("clusterIPs")?.items.compactMap(\.string)
            ?? [spec?.member("clusterIP")?.string]
            .compactMap(\.self)
        result.services.append(
            ServiceObject(
                namespace: metadata.namespace, name: metadata.name,
                selector: spec?.member("selector").map { readLabels($0, "selector") },
                ports: (spec?.member("ports")?.items ?? []).compactMap { readServicePort($0) },
                isHeadless: addresses.contains("None"),
                addresses: addresses.compactMap { IPAddress($0) }, location: document.location
            ))
    }

    private mutating func readServicePort(_ node: DocumentNode) -> ServiceObject.Port? {
        guard let written = node.member("port") else {
            error(
                DiagnosticCode.missingField, at: node.location, "the port of the service has no number",
                "write port: and the number"
            )
            return nil
        }
        guard let number = readPortNumber(written, "port"), let transport = transport(of: node) else { return nil }
        var target: ServiceObject.Port.Target?
        if let written = node.member("targetPort") {
            if let name = written.string, UInt16(name) == nil {
                target = .name(name)
            } else {
                target = (UInt16(written.text).map { .number($0) })
                if target == nil || written.text == "0" {
                    _ = readPortNumber(written, "targetPort")
                    return nil
                }
            }
        }
        return ServiceObject.Port(name: node.member("name")?.string, transport, number, target: target)
    }
}
