// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentAPI
import EgretDocuments

extension CNIRequest {
    /// Who the container is to policies: a pod by its name, any other by its number.
    func endpoint() throws(CNIError) -> AttachRequest {
        var labels: [String: String] = [:]
        if let configured = configuration["labels"], configured != .null {
            guard case .object(let members) = configured else { throw CNIRequest.mistake("labels", "an object") }
            for (key, value) in members {
                guard let text = value.text else { throw CNIRequest.mistake("labels.\(key)", "a string") }
                labels[key] = text
            }
        }
        if let given = configuration["args"]?["cni"]?["labels"], given != .null {
            guard case .array(let pairs) = given else { throw CNIRequest.mistake("args.cni.labels", "a list") }
            for pair in pairs {
                guard let key = pair["key"]?.text, let value = pair["value"]?.text else {
                    throw CNIRequest.mistake("args.cni.labels", "a list of objects with the strings key and value")
                }
                labels[key] = value
            }
        }
        guard let namespace = self.namespace else { throw CNIError(.invalidEnvironment, "CNI_NETNS is not set") }
        return AttachRequest(
            namespace: namespace, group: arguments["K8S_POD_NAMESPACE"] ?? network,
            name: arguments["K8S_POD_NAME"] ?? String(container.prefix(63)), labels: labels)
    }

    private static func mistake(_ field: String, _ kind: String) -> CNIError {
        CNIError(.invalidConfiguration, "\(field) is to be \(kind)")
    }
}
