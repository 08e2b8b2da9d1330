/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The few helper and map declarations that the programs use, so that a build needs no more than kernel UAPI headers. */
#ifndef WARDLINE_HELPERS_H
#define WARDLINE_HELPERS_H

#include <linux/bpf.h>
#include <linux/types.h>

#define SEC(name) __attribute__((section(name), used))
#define INLINE static inline __attribute__((always_inline))
#define GLOBAL __attribute__((noinline))
#define NOINLINE static __attribute__((noinline))

/* BTF map definition fields, as libbpf reads them. */
#define MAP_UINT(name, value) int(*name)[value]
#define MAP_TYPE(name, type) type *name
#define MAP_ARRAY(name, value) typeof(value) *name[]

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "Wardline supports little-endian hosts only"
#endif
#define network16(x) __builtin_bswap16(x)
#define network32(x) __builtin_bswap32(x)
#define network64(x) __builtin_bswap64(x)

static void *(*bpf_map_lookup_elem)(void *map, const void *key) = (void *)BPF_FUNC_map_lookup_elem;
static long (*bpf_map_update_elem)(void *map, const void *key, const void *value,
				   __u64 flags) = (void *)BPF_FUNC_map_update_elem;
static __u64 (*bpf_ktime_get_ns)(void) = (void *)BPF_FUNC_ktime_get_ns;
static __u64 (*bpf_ktime_get_boot_ns)(void) = (void *)BPF_FUNC_ktime_get_boot_ns;
/* Ticks of the kernel, 100 to 1000 a second: one load. Wraps when cut to 32 bits. */
static __u64 (*bpf_jiffies64)(void) = (void *)BPF_FUNC_jiffies64;
/* CLOCK_MONOTONIC at the last tick: half of the cost of a precise clock. */
static __u64 (*bpf_ktime_get_coarse_ns)(void) = (void *)BPF_FUNC_ktime_get_coarse_ns;
static __u64 (*bpf_get_socket_cookie)(void *context) = (void *)BPF_FUNC_get_socket_cookie;
static long (*bpf_skb_load_bytes)(const void *skb, __u32 offset, void *to,
				  __u32 length) = (void *)BPF_FUNC_skb_load_bytes;
static __u64 (*bpf_skb_cgroup_id)(struct __sk_buff *skb) = (void *)BPF_FUNC_skb_cgroup_id;
static __u64 (*bpf_skb_ancestor_cgroup_id)(struct __sk_buff *skb,
					   int level) = (void *)BPF_FUNC_skb_ancestor_cgroup_id;
static struct bpf_sock *(*bpf_sk_fullsock)(struct bpf_sock *sk) = (void *)BPF_FUNC_sk_fullsock;
static void *(*bpf_sk_storage_get)(void *map, void *sk, void *value, __u64 flags) = (void *)BPF_FUNC_sk_storage_get;
static __u64 (*bpf_get_current_pid_tgid)(void) = (void *)BPF_FUNC_get_current_pid_tgid;
static __u64 (*bpf_get_current_uid_gid)(void) = (void *)BPF_FUNC_get_current_uid_gid;
static long (*bpf_get_current_comm)(void *buffer, __u32 size) = (void *)BPF_FUNC_get_current_comm;
static __u64 (*bpf_get_current_cgroup_id)(void) = (void *)BPF_FUNC_get_current_cgroup_id;
static __u64 (*bpf_get_current_ancestor_cgroup_id)(int level) = (void *)BPF_FUNC_get_current_ancestor_cgroup_id;
static __u64 (*bpf_get_netns_cookie)(void *context) = (void *)BPF_FUNC_get_netns_cookie;
static void *(*bpf_ringbuf_reserve)(void *ring, __u64 size, __u64 flags) = (void *)BPF_FUNC_ringbuf_reserve;
static void (*bpf_ringbuf_submit)(void *data, __u64 flags) = (void *)BPF_FUNC_ringbuf_submit;

#endif
