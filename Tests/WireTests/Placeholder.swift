// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0
