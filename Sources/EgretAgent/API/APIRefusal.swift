// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

import EgretAgentAPI
import EgretPolicy
import NIOHTTP1

/// Why a request is not answered as it wishes, with HTTP's status (RFC 9110 section 15).
struct APIRefusal: Error {
    var status: HTTPResponseStatus
    var error: APIError
    /// The method that the path takes, if it was another.
    var allow: String?

    init(_ status: HTTPResponseStatus, _ message: String, advice: String? = nil, allow: String? = nil) {
        self.status = status
        self.allow = allow
        error = APIError(APIRefusal.code(of: status), message.withVisibleControls, advice: advice)
    }

    /// What a service has thrown: an `APIError` says its status itself, everything else is a failure.
    init(_ thrown: any Error) {
        if let refusal = thrown as? APIRefusal {
            self = refusal
        } else if let error = thrown as? APIError {
            self.error = error
            status = APIRefusal.status(of: error.code)
        } else {
            error = APIError("failed", "\(thrown)")
            status = .internalServerError
        }
    }

    /// The status that goes with a code of `APIError`.
    static func status(of code: String) -> HTTPResponseStatus {
        switch code {
        case "invalid": .badRequest
        case "forbidden": .forbidden
        case "notFound": .notFound
        case "conflict": .conflict
        case "tooLarge": .payloadTooLarge
        default: .internalServerError
        }
    }

    private static func code(of status: HTTPResponseStatus) -> String {
        switch status {
        case .badRequest, .methodNotAllowed: "invalid"
        case .forbidden: "forbidden"
        case .notFound: "notFound"
        case .payloadTooLarge: "tooLarge"
        default: "failed"
        }
    }
}
