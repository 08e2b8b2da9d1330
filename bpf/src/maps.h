/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Every map. Inner maps here are only shapes: the agent makes the real ones, sized for the program they hold. */
#ifndef WARDLINE_MAPS_H
#define WARDLINE_MAPS_H

#include "helpers.h"
#include "wardline.h"

/* One entry, mapped into the agent, so that a flip is one aligned 64-bit store. */
struct {
	MAP_UINT(type, BPF_MAP_TYPE_ARRAY);
	MAP_UINT(max_entries, 1);
	MAP_UINT(map_flags, BPF_F_MMAPABLE);
	MAP_TYPE(key, __u32);
	MAP_TYPE(value, struct wardline_control);
} wl_control SEC(".maps");

struct {
	MAP_UINT(type, BPF_MAP_TYPE_ARRAY);
	MAP_UINT(max_entries, 2);
	MAP_TYPE(key, __u32);
	MAP_TYPE(value, struct wardline_slot);
} wl_slots SEC(".maps");

struct {
	MAP_UINT(type, BPF_MAP_TYPE_ARRAY);
	MAP_UINT(max_entries, 1);
	MAP_TYPE(key, __u32);
	MAP_TYPE(value, struct wardline_identity);
} wl_identity SEC(".maps");

/*
 * Sizes and not types, because clang leaves the types behind a pointer in a nested shape undefined in BTF.
 * BPF_F_INNER_MAP (kernel 5.10) lets the agent install images of any length.
 */
struct tables_shape {
	MAP_UINT(type, BPF_MAP_TYPE_ARRAY);
	MAP_UINT(max_entries, 1);
	MAP_UINT(map_flags, BPF_F_MMAPABLE | BPF_F_INNER_MAP);
	MAP_UINT(key_size, sizeof(__u32));
	MAP_UINT(value_size, WARDLINE_LINE_SIZE);
};

struct hash_shape {
	MAP_UINT(type, BPF_MAP_TYPE_HASH);
	MAP_UINT(max_entries, 1);
	MAP_UINT(map_flags, BPF_F_NO_PREALLOC);
	MAP_UINT(key_size, sizeof(__u64));
	MAP_UINT(value_size, sizeof(__u32));
};

/* The tables of each slot. */
struct {
	MAP_UINT(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	MAP_UINT(max_entries, 2);
	MAP_TYPE(key, __u32);
	MAP_ARRAY(values, struct tables_shape);
} wl_tables SEC(".maps");

struct {
	MAP_UINT(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	MAP_UINT(max_entries, 2 * WARDLINE_HASHES_PER_SLOT);
	MAP_TYPE(key, __u32);
	MAP_ARRAY(values, struct hash_shape);
} wl_hashes SEC(".maps");

struct {
	MAP_UINT(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	MAP_UINT(max_entries, 2 * 16384);
	MAP_TYPE(key, __u32);
	MAP_TYPE(value, struct wardline_counter);
} wl_counters SEC(".maps");

/* The agent sets the size of this one and of the rings before it loads the object. */
struct {
	MAP_UINT(type, BPF_MAP_TYPE_LRU_HASH);
	MAP_UINT(max_entries, 65536);
	MAP_TYPE(key, struct wardline_flow_key);
	MAP_TYPE(value, struct wardline_flow);
} wl_flows SEC(".maps");

struct {
	MAP_UINT(type, BPF_MAP_TYPE_SK_STORAGE);
	MAP_UINT(map_flags, BPF_F_NO_PREALLOC);
	MAP_TYPE(key, int);
	MAP_TYPE(value, struct wardline_socket);
} wl_sockets SEC(".maps");

/* Cgroups, by id, of which the agent knows whose they are. */
struct {
	MAP_UINT(type, BPF_MAP_TYPE_HASH);
	MAP_UINT(map_flags, BPF_F_NO_PREALLOC);
	MAP_UINT(max_entries, 65536);
	MAP_TYPE(key, __u64);
	MAP_TYPE(value, __u32);
} wl_known_cgroups SEC(".maps");

/*
 * Sockets of a moment ago, at the low bits of their cookie. An insertion into a hash costs half a microsecond, memory of the
 * socket's own nearly one: as much as everything else that happens to a short connection. Mapped by nobody; the flag makes
 * the kernel put the places where cache lines begin.
 */
struct {
	MAP_UINT(type, BPF_MAP_TYPE_ARRAY);
	MAP_UINT(max_entries, WARDLINE_RECENT_COUNT);
	MAP_UINT(map_flags, BPF_F_MMAPABLE);
	MAP_TYPE(key, __u32);
	MAP_TYPE(value, struct wardline_recent);
} wl_recent SEC(".maps");

struct {
	MAP_UINT(type, BPF_MAP_TYPE_HASH);
	MAP_UINT(map_flags, BPF_F_NO_PREALLOC);
	MAP_UINT(max_entries, 4096);
	MAP_TYPE(key, struct wardline_local_key);
	MAP_TYPE(value, __u32);
} wl_local_addresses SEC(".maps");

struct {
	MAP_UINT(type, BPF_MAP_TYPE_RINGBUF);
	MAP_UINT(max_entries, 1 << 20);
} wl_flow_ring SEC(".maps");

/* Denies have a ring of their own, so that a flood of allowed flows cannot hide them. */
struct {
	MAP_UINT(type, BPF_MAP_TYPE_RINGBUF);
	MAP_UINT(max_entries, 1 << 18);
} wl_deny_ring SEC(".maps");

struct {
	MAP_UINT(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	MAP_UINT(max_entries, WARDLINE_LOSS_COUNT);
	MAP_TYPE(key, __u32);
	MAP_TYPE(value, __u64);
} wl_losses SEC(".maps");

struct {
	MAP_UINT(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	MAP_UINT(max_entries, WARDLINE_BUCKET_COUNT);
	MAP_TYPE(key, __u32);
	MAP_TYPE(value, struct wardline_bucket);
} wl_buckets SEC(".maps");

INLINE void count_loss(__u32 cause)
{
	__u64 *count = bpf_map_lookup_elem(&wl_losses, &cause);

	if (count)
		*count += 1;
}

#endif
