// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

/// A set that has one element most often, and then takes no memory but its own place: of tens of thousands of them, that is
/// what counts.
///
/// Elements come in no particular order.
package struct SmallSet<Element: Hashable> {
    /// One of the elements; `nil` if there is none.
    private var first: Element?
    /// All but that one.
    private var others: Set<Element> = []

    /// Creates a set without elements.
    package init() {}

    /// Creates a set of some elements.
    package init(_ elements: some Sequence<Element>) {
        for element in elements { insert(element) }
    }

    /// Whether there is no element.
    package var isEmpty: Bool { first == nil }

    /// How many elements there are.
    package var count: Int { isEmpty ? 0 : others.count + 1 }

    /// Whether the element is there.
    package func contains(_ element: Element) -> Bool { first == element || others.contains(element) }

    /// Puts an element in, unless it is there.
    package mutating func insert(_ element: Element) {
        if first == element { return }
        if first == nil { first = element } else { others.insert(element) }
    }

    /// Takes an element out, if it is there.
    package mutating func remove(_ element: Element) {
        if first != element {
            others.remove(element)
        } else {
            first = others.popFirst()
            // What it once held makes no room for others.
            if others.isEmpty { others = [] }
        }
    }
}

extension SmallSet: Sequence {
    /// Gives the elements, each once.
    package struct Iterator: IteratorProtocol {
        fileprivate var first: Element?
        fileprivate var others: Set<Element>.Iterator

        /// The next element; `nil` after the last.
        package mutating func next() -> Element? {
            guard let element = first else { return others.next() }
            first = nil
            return element
        }
    }

    /// An iterator over all elements.
    package func makeIterator() -> Iterator { Iterator(first: first, others: others.makeIterator()) }
}

extension SmallSet: Hashable {
    /// Whether both have the same elements, in whatever order they came.
    package static func == (left: SmallSet, right: SmallSet) -> Bool {
        left.count == right.count && left.allSatisfy { right.contains($0) }
    }

    /// Feeds the elements, as those of a set, to a hasher.
    package func hash(into hasher: inout Hasher) { hasher.combine(Set(self)) }
}

extension SmallSet: Sendable where Element: Sendable {}
