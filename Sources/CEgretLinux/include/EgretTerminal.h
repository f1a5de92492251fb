// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef EGRET_TERMINAL_H
#define EGRET_TERMINAL_H

#include <stdint.h>

/// One signal read from a signalfd.
struct egret_signal_record {
    uint32_t number;
    int32_t code;
    uint32_t sender;
    uint32_t sender_user;
    int32_t status;
};

int32_t egret_is_terminal(int32_t descriptor);
int32_t egret_foreground_group(int32_t descriptor);
/// tcsetpgrp with SIGTTOU blocked, so that a background caller is not stopped.
int32_t egret_set_foreground_group(int32_t descriptor, int32_t group);
/// Opens a new pseudo-terminal; both ends are close-on-exec and not the caller's controlling terminal.
int32_t egret_open_pseudo_terminal(int32_t *controller, int32_t *terminal);
int32_t egret_window_size(int32_t descriptor, uint16_t *rows, uint16_t *columns);
int32_t egret_set_window_size(int32_t descriptor, uint16_t rows, uint16_t columns);

/// A non-blocking signalfd for the signals whose bits are set (bit 0 is signal 1).
int32_t egret_signal_descriptor(uint64_t signals);
/// Returns 1 and a record, or 0 if none is pending.
int32_t egret_read_signal(int32_t descriptor, struct egret_signal_record *record);
int32_t egret_get_mask(uint64_t *signals);
int32_t egret_set_mask(uint64_t signals);
/// The signals that this process ignores.
uint64_t egret_ignored_signals(void);
/// Sets a signal to be ignored, or back to its default.
int32_t egret_ignore_signal(int32_t number, int32_t ignored);
/// Ends (or stops) this process by a signal as if it had never been caught or blocked.
int32_t egret_die_by_signal(int32_t number);

#endif
