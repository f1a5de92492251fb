// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

extension PolicyReader {
    private static let selectorSchema = DocumentFields.Schema(
        name: "a label selector", fields: ["matchLabels", "matchExpressions"],
        foreign: [
            "labels": "write matchLabels", "matchLabel": "write matchLabels",
            "matchExpression": "write matchExpressions: and a list",
            "podSelector": "write it beside this selector, not in it",
            "namespaceSelector": "write it beside this selector, not in it",
        ]
    )

    private static let expressionSchema = DocumentFields.Schema(
        name: "an entry of matchExpressions", fields: ["key", "operator", "values"],
        foreign: ["value": "write values: and a list", "op": "write operator"]
    )

    private static let operatorWords = [
        "=": "In", "==": "In", "equals": "In", "!=": "NotIn", "notequals": "NotIn", "!": "DoesNotExist",
        "not exists": "DoesNotExist", "notexists": "DoesNotExist", "not in": "NotIn",
    ]

    /// Reads a label selector: `matchLabels`, `matchExpressions`, both or, for every object, neither.
    ///
    /// - Parameters:
    ///   - node: The selector's mapping.
    ///   - field: The field that holds it, for messages.
    ///   - readsNull: Whether a field without a value is as good as a missing one, as in Kubernetes' kinds. That is
    ///     doubtful, and reported as such.
    /// - Returns: The selector with its requirements in a fixed order, or `nil` after reporting what is wrong.
    mutating func readLabelSelector(_ node: DocumentNode, _ field: String, readsNull: Bool = false) -> LabelSelector? {
        if node.content == .null {
            error(
                DiagnosticCode.missingField, at: node.location, "\(field) has no value",
                "write \(field): {} to select all, or remove it"
            )
            return nil
        }
        var schema = PolicyReader.selectorSchema
        schema.name = field
        if field == "namespaces" {
            // As the first drafts of v1alpha1 had it.
            schema.foreign["namespaceSelector"] = "write its matchLabels here: namespaces is the selector itself"
        }
        if case .mapping(let entries) = node.content { proposeMatchLabels(for: entries, in: &schema) }
        let mistakes = result.diagnostics.count
        guard let fields = fields(node, schema) else { return nil }
        let labels = selectorPart("matchLabels", of: fields, readsNull).map { readMatchLabels($0, readsNull) } ?? []
        let expressions = selectorPart("matchExpressions", of: fields, readsNull).map { readMatchExpressions($0) } ?? []
        return hasErrors(since: mistakes) ? nil : LabelSelector(labels + expressions)
    }

    private mutating func selectorPart(_ key: String, of fields: DocumentFields, _ readsNull: Bool) -> DocumentNode? {
        readsNull ? present(key, in: fields) : fields[key]
    }

    /// Labels written directly into a selector are a common slip.
    func proposeMatchLabels(for entries: [DocumentNode.Entry], in schema: inout DocumentFields.Schema) {
        for entry in entries where !schema.fields.contains(entry.key) && schema.foreign[entry.key] == nil {
            guard Spelling.nearest(to: entry.key, among: schema.fields) == nil,
                case .string(let value) = entry.value.content
            else { continue }
            schema.foreign[entry.key] = "write matchLabels: { \(entry.key): \(value) }"
        }
    }

    private mutating func readMatchLabels(_ node: DocumentNode, _ readsNull: Bool) -> [LabelSelector.Requirement] {
        guard case .mapping(let entries) = node.content else {
            error(
                DiagnosticCode.wrongType, at: node.location,
                "matchLabels is a mapping of keys to values, and here is \(node.found)",
                node.content == .null
                    ? "write matchLabels: {} to ask for nothing, or remove it" : "write matchLabels: { app: web }"
            )
            return []
        }
        return entries.compactMap { entry in
            checkLabelKey(entry.key, at: entry.keyLocation)
            if readsNull && entry.value.content == .null {
                warning(
                    DiagnosticCode.nullField, at: entry.keyLocation,
                    "\(quoted(entry.key)) has no value, which Kubernetes reads as an empty one",
                    "write its value, or \"\"")
                return LabelSelector.Requirement(entry.key, .isIn, [""])
            }
            guard let value = readLabelValue(entry.value, "the value of \(quoted(entry.key))") else { return nil }
            return LabelSelector.Requirement(entry.key, .isIn, [value])
        }.sorted { $0.key < $1.key }
    }

    private mutating func readMatchExpressions(_ node: DocumentNode) -> [LabelSelector.Requirement] {
        guard case .sequence(let items) = node.content else {
            error(
                DiagnosticCode.wrongType, at: node.location, "matchExpressions is a list, and here is \(node.found)",
                "write matchExpressions: [{ key: app, operator: In, values: [web] }]"
            )
            return []
        }
        return items.compactMap { readExpression($0) }
    }

    private mutating func readExpression(_ node: DocumentNode) -> LabelSelector.Requirement? {
        guard let fields = fields(node, PolicyReader.expressionSchema) else { return nil }
        let owner = "the expression"
        let key = required("key", in: fields, of: owner, suggestion: "write key: and the label's key")
            .flatMap { string($0, "key", expected: "the label's key") }
        if let key { checkLabelKey(key, at: fields["key"]?.location ?? node.location) }
        let operation = required(
            "operator", in: fields, of: owner, suggestion: "write operator: In, NotIn, Exists or DoesNotExist"
        ).flatMap {
            word($0, "operator", as: LabelSelector.Requirement.Operation.self, others: PolicyReader.operatorWords)
        }
        guard let key, let operation else { return nil }
        switch operation {
        case .isIn, .isNotIn: return readComparison(fields, key, operation)
        case .exists, .doesNotExist:
            refuseValues(fields, operation)
            return LabelSelector.Requirement(key, operation)
        }
    }

    private mutating func readComparison(
        _ fields: DocumentFields, _ key: String, _ operation: LabelSelector.Requirement.Operation
    ) -> LabelSelector.Requirement? {
        let suggestion = "write values: and at least one value, or operator: Exists or DoesNotExist"
        guard
            let node = required("values", in: fields, of: "the expression", suggestion: suggestion),
            let items = items(
                node, "values", emptyMessage: "\(operation.rawValue) compares with nothing: values is empty",
                emptySuggestion: suggestion
            )
        else { return nil }
        return LabelSelector.Requirement(key, operation, items.compactMap { readLabelValue($0, "an entry of values") })
    }

    private mutating func refuseValues(_ fields: DocumentFields, _ operation: LabelSelector.Requirement.Operation) {
        guard let node = fields["values"], node.content != .null, node.content != .sequence([]) else { return }
        error(
            DiagnosticCode.contradiction, at: fields.location(of: "values"),
            "\(operation.rawValue) asks only for the key, and here are values",
            "remove values, or write operator: \(operation == .exists ? "In" : "NotIn")"
        )
    }

    /// Reports what is wrong with a label's key.
    mutating func checkLabelKey(_ key: String, at location: SourceLocation) {
        guard let problem = LabelSyntax.problem(withKey: key) else { return }
        result.diagnostics.append(problem.diagnostic(at: location))
    }

    /// The value of a label; `nil` after reporting what is no text or not well formed.
    mutating func readLabelValue(_ node: DocumentNode, _ field: String) -> String? {
        guard let value = string(node, field, expected: "a text") else { return nil }
        guard let problem = LabelSyntax.problem(withValue: value) else { return value }
        result.diagnostics.append(problem.diagnostic(at: node.location))
        return nil
    }
}
