// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef CEGRETLINUX_H
#define CEGRETLINUX_H

#endif
