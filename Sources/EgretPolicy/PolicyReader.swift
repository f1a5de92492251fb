// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// Turns documents into validated policies and groups, and reports every mistake at once.
///
/// Nothing is guessed and nothing is dropped: a document with a mistake gives a diagnostic, and callers apply
/// nothing while ``Result/hasErrors``. What could be read is returned all the same, so that later checks can
/// report their own mistakes in the same go.
public struct PolicyReader {
    /// What was read.
    public struct Result: Hashable, Sendable {
        /// The policies, in the order of the documents.
        public var policies: [EgressPolicy]
        /// The destination groups, in the order of the documents.
        public var groups: [DestinationGroup]
        /// All mistakes and doubts, by file and position.
        public var diagnostics: [Diagnostic]
        /// Whether something could not be read at all: it may define any group.
        public var isIncomplete: Bool
        /// The names of groups whose documents have mistakes; rules that name them are right all the same.
        public var faultyGroupNames: Set<String> = []

        /// Creates a result.
        public init(
            policies: [EgressPolicy] = [], groups: [DestinationGroup] = [], diagnostics: [Diagnostic] = [],
            isIncomplete: Bool = false
        ) {
            self.policies = policies
            self.groups = groups
            self.diagnostics = diagnostics
            self.isIncomplete = isIncomplete
        }

        /// Whether anything is wrong, so that nothing here may be used.
        public var hasErrors: Bool { diagnostics.contains { $0.severity == .error } }
    }

    var result = Result()
    /// Places where rules name groups, for the check once every document has been read.
    var groupReferences: [(name: String, location: SourceLocation)] = []
    /// Names of groups whose document has mistakes: rules that name them are right all the same.
    var groupNames: [String: SourceLocation] = [:]
    var policyNames: [String: SourceLocation] = [:]

    /// Reads documents, usually those of several files together: groups of one file serve policies of another.
    ///
    /// - Parameters:
    ///   - documents: The documents, in order.
    ///   - isIncomplete: Whether a document could not be parsed and is missing. Group names that are unknown
    ///     are then not reported: their definitions may be in the missing part. Pass `true` only beside other
    ///     errors.
    /// - Returns: What was read, and every mistake.
    public static func read(_ documents: [DocumentNode], isIncomplete: Bool = false) -> Result {
        var reader = PolicyReader()
        for document in documents { reader.readDocument(document) }
        reader.result.isIncomplete = isIncomplete
        reader.result.faultyGroupNames = Set(reader.groupNames.keys).subtracting(reader.result.groups.map(\.name))
        if !isIncomplete { reader.checkGroupReferences() }
        if !reader.result.hasErrors {
            for policy in reader.result.policies { reader.result.diagnostics += RuleDoubts.find(in: policy) }
        }
        reader.sortDiagnostics(fileOrder: documents.map(\.location.file))
        return reader.result
    }

    private mutating func checkGroupReferences() {
        let known = BuiltInGroup.allCases.map(\.rawValue) + groupNames.keys.sorted()
        for reference in groupReferences where groupNames[reference.name] == nil {
            error(
                DiagnosticCode.unknownGroup, at: reference.location, "no group is named \(quoted(reference.name))",
                Spelling.nearest(to: reference.name, among: known).map { "did you mean \"\($0)\"?" }
                    ?? "use one of \(known.joined(separator: ", ")), or define a DestinationGroup of this name"
            )
        }
    }

    /// Sorts by file in the order given, then by position; diagnostics of one place keep their order.
    private mutating func sortDiagnostics(fileOrder: [String]) {
        var ranks: [String: Int] = [:]
        for file in fileOrder where ranks[file] == nil { ranks[file] = ranks.count }
        let keyed = result.diagnostics.enumerated().map { offset, diagnostic in
            (
                key: (
                    diagnostic.location.flatMap { ranks[$0.file] } ?? .max, diagnostic.location?.line ?? 0,
                    diagnostic.location?.column ?? 0, offset
                ),
                diagnostic: diagnostic
            )
        }
        result.diagnostics = keyed.sorted { $0.key < $1.key }.map(\.diagnostic)
    }

    /// Reports a mistake.
    mutating func error(
        _ code: Diagnostic.Code, at location: SourceLocation, _ message: String, _ suggestion: String
    ) {
        result.diagnostics.append(Diagnostic(.error, code: code, at: location, message, suggestion: suggestion))
    }

    /// Reports a doubt.
    mutating func warning(
        _ code: Diagnostic.Code, at location: SourceLocation, _ message: String, _ suggestion: String
    ) {
        result.diagnostics.append(Diagnostic(.warning, code: code, at: location, message, suggestion: suggestion))
    }
}
