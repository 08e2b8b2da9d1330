/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * XDP program that drops packets of denied sources before the kernel spends anything on them. Off unless asked for. It only
 * takes work from the other hooks: the agent enters a source when the tables deny each of its packets in both
 * directions, for every set, whatever the protocol and port.
 */
#ifndef WARDLINE_EARLY_DROP_H
#define WARDLINE_EARLY_DROP_H

#include <linux/if_ether.h>

#include "helpers.h"
#include "policy.h"
#include "wardline.h"

#define WARDLINE_MAX_EARLY_PREFIXES 131072
#define WARDLINE_EARLY_KEY_BITS 136

/* data: slot, address. One trie for both slots, so that an apply waits for no further grace period. */
struct wardline_early_key {
	__u32 prefix_bits;
	__u8 slot;
	__u8 address[16];
	__u8 pad[3];
};

/* Value: 1 = drop, 0 = a part of a denied prefix that is not denied itself. */
struct {
	MAP_UINT(type, BPF_MAP_TYPE_LPM_TRIE);
	MAP_UINT(map_flags, BPF_F_NO_PREALLOC);
	MAP_UINT(max_entries, WARDLINE_MAX_EARLY_PREFIXES);
	MAP_TYPE(key, struct wardline_early_key);
	MAP_TYPE(value, __u32);
} wl_early_sources SEC(".maps");

struct {
	MAP_UINT(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	MAP_UINT(max_entries, 1);
	MAP_TYPE(key, __u32);
	MAP_TYPE(value, __u64);
} wl_early_drops SEC(".maps");

/*
 * Fills the source of a packet that may be dropped. False for everything that other hooks let pass whatever policy says,
 * and for everything that is not plain: ICMP, extension headers, VLAN tags, groups as destinations.
 */
INLINE int read_source(struct xdp_md *context, struct wardline_early_key *key)
{
	__u8 *frame = (__u8 *)(long)context->data;
	__u8 *end = (__u8 *)(long)context->data_end;
	__u8 *ip = frame + ETH_HLEN;

	/* Shorter packets than an IPv4 header pass; the first bit of the frame marks a group. */
	if (ip + 20 > end || (frame[0] & 1))
		return 0;
	if (*(__u16 *)(frame + 12) == network16(ETH_P_IP)) {
		if ((ip[0] >> 4) != 4 || ip[9] == IPPROTO_ICMP)
			return 0;
		key->address[10] = key->address[11] = 0xff;
		__builtin_memcpy(key->address + 12, ip + 12, 4);
		return 1;
	}
	if (*(__u16 *)(frame + 12) != network16(ETH_P_IPV6) || ip + 40 > end || (ip[0] >> 4) != 6)
		return 0;
	if (ip[6] != IPPROTO_TCP && ip[6] != IPPROTO_UDP && ip[6] != IPPROTO_SCTP)
		return 0;
	__builtin_memcpy(key->address, ip + 8, 16);
	return 1;
}

INLINE int drop_early(struct xdp_md *context)
{
	struct wardline_early_key key = { .prefix_bits = WARDLINE_EARLY_KEY_BITS };
	struct view view = {};
	__u32 zero = 0;
	__u32 *denied;
	__u64 *drops;

	if (!read_source(context, &key))
		return XDP_PASS;
	read_view(&view);
	if (!view.enforce || !view.epoch)
		return XDP_PASS;
	key.slot = view.slot;
	denied = bpf_map_lookup_elem(&wl_early_sources, &key);
	if (!denied || !*denied)
		return XDP_PASS;
	drops = bpf_map_lookup_elem(&wl_early_drops, &zero);
	if (drops)
		*drops += 1;
	return XDP_DROP;
}

#endif
