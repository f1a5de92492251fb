// Copyright the Egret authors.
// SPDX-License-Identifier: Apache-2.0

#ifndef EGRET_FILTER_H
#define EGRET_FILTER_H

#include <linux/audit.h>
#include <stddef.h>
#include <stdint.h>

/// One classic BPF instruction; laid out as struct sock_filter.
struct egret_bpf_instruction {
    uint16_t code;
    uint8_t jump_true;
    uint8_t jump_false;
    uint32_t value;
};

static const uint32_t egret_audit_arch_x86_64 = AUDIT_ARCH_X86_64;
static const uint32_t egret_audit_arch_i386 = AUDIT_ARCH_I386;
static const uint32_t egret_audit_arch_aarch64 = AUDIT_ARCH_AARCH64;
static const uint32_t egret_audit_arch_arm = AUDIT_ARCH_ARM;
#if defined(__x86_64__)
static const uint32_t egret_audit_arch_native = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
static const uint32_t egret_audit_arch_native = AUDIT_ARCH_AARCH64;
#else
#error "Egret supports x86_64 and aarch64."
#endif

/// The number of a system call of this machine by its name, or -1 if it has none; only those the filter speaks of.
int32_t egret_syscall_number(const char *name);

/// Brings all threads of this process under a filter, for good. Needs no_new_privs, or CAP_SYS_ADMIN.
int32_t egret_install_filter(const struct egret_bpf_instruction *instructions, size_t count);

#endif
