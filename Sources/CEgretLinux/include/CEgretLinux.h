// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef CEGRETLINUX_H
#define CEGRETLINUX_H

// This shim exists for two reasons: the Glibc module does not export these calls, and Musl's differ from it.
// Every header below uses fixed-width integers only, so that Swift sees the same types under either C library.
//
// Convention: a function returns zero or more on success and the negated errno on failure. It retries EINTR itself,
// unless its comment says otherwise.

#include "EgretDatagrams.h"
#include "EgretDescriptors.h"
#include "EgretFilter.h"
#include "EgretIdentity.h"
#include "EgretNamespaces.h"
#include "EgretProcesses.h"
#include "EgretRelays.h"
#include "EgretSockets.h"
#include "EgretTerminal.h"
#include "EgretUnixSockets.h"

#endif
