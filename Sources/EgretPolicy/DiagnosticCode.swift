// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// The stable codes of diagnostics about documents, policies and flags.
///
/// A code keeps its meaning for ever; a retired one is not used again. Each has a section in
/// `docs/diagnostics.md`.
public enum DiagnosticCode {
    /// The text is not well-formed YAML or JSON.
    public static let syntax = Diagnostic.Code(rawValue: "EGR0001")
    /// A key stands twice in one mapping.
    public static let duplicateKey = Diagnostic.Code(rawValue: "EGR0002")
    /// The bytes are not UTF-8 text, or hold a control character.
    public static let encoding = Diagnostic.Code(rawValue: "EGR0003")
    /// The file is larger, deeper or has more values than Egret reads.
    public static let tooLarge = Diagnostic.Code(rawValue: "EGR0004")
    /// A feature of YAML that Egret does not read.
    public static let unsupportedYAML = Diagnostic.Code(rawValue: "EGR0005")
    /// The file holds no document.
    public static let noDocument = Diagnostic.Code(rawValue: "EGR0006")
    /// The file cannot be read.
    public static let unreadable = Diagnostic.Code(rawValue: "EGR0007")
    /// The `apiVersion` is not one that goes with the kind.
    public static let apiVersion = Diagnostic.Code(rawValue: "EGR0010")
    /// The `kind` is unknown.
    public static let kind = Diagnostic.Code(rawValue: "EGR0011")
    /// The field does not exist.
    public static let unknownField = Diagnostic.Code(rawValue: "EGR0012")
    /// A required field is missing.
    public static let missingField = Diagnostic.Code(rawValue: "EGR0013")
    /// The value has the wrong type.
    public static let wrongType = Diagnostic.Code(rawValue: "EGR0014")
    /// The language has it, this version of Egret does not.
    public static let notSupportedYet = Diagnostic.Code(rawValue: "EGR0015")
    /// The value is not one of those the field takes.
    public static let unknownValue = Diagnostic.Code(rawValue: "EGR0016")
    /// The number is out of range.
    public static let outOfRange = Diagnostic.Code(rawValue: "EGR0017")
    /// The name is not well formed.
    public static let invalidName = Diagnostic.Code(rawValue: "EGR0018")
    /// The name is taken.
    public static let duplicateName = Diagnostic.Code(rawValue: "EGR0019")
    /// A list or an entry says nothing.
    public static let empty = Diagnostic.Code(rawValue: "EGR0020")
    /// The text is not an address or a CIDR.
    public static let address = Diagnostic.Code(rawValue: "EGR0021")
    /// The CIDR has bits set beyond its prefix length.
    public static let hostBits = Diagnostic.Code(rawValue: "EGR0022")
    /// The exception does not fit its CIDR.
    public static let exception = Diagnostic.Code(rawValue: "EGR0023")
    /// No group has this name.
    public static let unknownGroup = Diagnostic.Code(rawValue: "EGR0024")
    /// The name means something else already.
    public static let reservedName = Diagnostic.Code(rawValue: "EGR0025")
    /// The text is not a port, a protocol or a part of one.
    public static let service = Diagnostic.Code(rawValue: "EGR0026")
    /// Two fields contradict each other.
    public static let contradiction = Diagnostic.Code(rawValue: "EGR0027")
    /// A domain name stands where only addresses and groups can.
    public static let domainName = Diagnostic.Code(rawValue: "EGR0028")
    /// The flag's value is not well formed.
    public static let flag = Diagnostic.Code(rawValue: "EGR0029")
    /// The text is not a rate or an amount.
    public static let amount = Diagnostic.Code(rawValue: "EGR0030")
    /// The text is not a domain name, nor a pattern of them that a rule can have.
    public static let domain = Diagnostic.Code(rawValue: "EGR0031")
    /// The rule opens everything, the host and metadata services included.
    public static let opensEverything = Diagnostic.Code(rawValue: "EGR0040")
    /// An earlier rule already covers everything that this one matches.
    public static let unreachableRule = Diagnostic.Code(rawValue: "EGR0041")
    /// An address that looks like a block stands without a prefix length.
    public static let missingLength = Diagnostic.Code(rawValue: "EGR0042")
    /// A field of a Kubernetes kind has no value, and is read as if it were missing.
    public static let nullField = Diagnostic.Code(rawValue: "EGR0050")
    /// A peer that this version cannot read: nothing passes by its rule.
    public static let unreadablePeer = Diagnostic.Code(rawValue: "EGR0051")
    /// Rules of a direction that the policy is not about.
    public static let directionWithoutEffect = Diagnostic.Code(rawValue: "EGR0052")
    /// A policy of another tool, which is passed over.
    public static let foreignPolicy = Diagnostic.Code(rawValue: "EGR0053")
    /// The list has more entries than Kubernetes allows.
    public static let tooManyEntries = Diagnostic.Code(rawValue: "EGR0054")
    /// No workload, service or port is named so.
    public static let unknownWorkload = Diagnostic.Code(rawValue: "EGR0055")
    /// A policy of Kubernetes where the command's workload is no pod.
    public static let podPolicy = Diagnostic.Code(rawValue: "EGR0056")

    /// A selector that asks for nothing.
    public static let emptySelector = Diagnostic.Code(rawValue: "EGR0070")
    /// The name of a port where no workload is asked for its number.
    public static let portName = Diagnostic.Code(rawValue: "EGR0071")
    /// The text is not a day of the week, or a range of them.
    public static let day = Diagnostic.Code(rawValue: "EGR0072")
    /// The text is not a range of hours.
    public static let hours = Diagnostic.Code(rawValue: "EGR0073")
    /// The time zone is unknown or cannot be read.
    public static let timeZone = Diagnostic.Code(rawValue: "EGR0074")
    /// The text is not a date, with or without a time.
    public static let localTime = Diagnostic.Code(rawValue: "EGR0075")
    /// There is no time at which the rule holds.
    public static let neverOpen = Diagnostic.Code(rawValue: "EGR0076")
    /// Days or hours stand twice in one rule.
    public static let repeatedTime = Diagnostic.Code(rawValue: "EGR0077")
    /// Two rules say opposite things of one time.
    public static let oppositeTimes = Diagnostic.Code(rawValue: "EGR0078")
    /// The feed of a group cannot be used.
    public static let feed = Diagnostic.Code(rawValue: "EGR0079")
    /// No traffic is left for the rule to decide about.
    public static let idleRule = Diagnostic.Code(rawValue: "EGR0080")
    /// The policy selects no workload.
    public static let selectsNothing = Diagnostic.Code(rawValue: "EGR0081")
    /// Two policies of one tier and priority contradict each other.
    public static let opposingPolicies = Diagnostic.Code(rawValue: "EGR0082")
    /// The workload is isolated and cannot ask for names.
    public static let noNameService = Diagnostic.Code(rawValue: "EGR0083")
    /// The assertion is not well formed, or speaks of nobody.
    public static let assertion = Diagnostic.Code(rawValue: "EGR0084")

    /// Every code, in order.
    public static let all: [Diagnostic.Code] = [
        syntax, duplicateKey, encoding, tooLarge, unsupportedYAML, noDocument, unreadable, apiVersion, kind,
        unknownField, missingField, wrongType, notSupportedYet, unknownValue, outOfRange, invalidName, duplicateName,
        empty,
        address, hostBits, exception, unknownGroup, reservedName, service, contradiction, domainName, flag,
        amount, domain,
        opensEverything, unreachableRule, missingLength,
        nullField, unreadablePeer, directionWithoutEffect, foreignPolicy, tooManyEntries, unknownWorkload, podPolicy,
        emptySelector, portName, day, hours, timeZone, localTime, neverOpen, repeatedTime, oppositeTimes, feed,
        idleRule, selectsNothing, opposingPolicies, noNameService, assertion,
    ]
}
