/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The hooks of system calls: they note who uses a socket, and refuse a TCP connection at once that the packet hooks would
 * drop. The packet hooks stay the authority, so these refuse only what is sure; else the first packet decides.
 *
 * Datagrams are not refused here: a reply of a server cannot be told from an opening before its packet exists, and a
 * dropped datagram fails at once anyway.
 */
#ifndef WARDLINE_CONNECT_H
#define WARDLINE_CONNECT_H

#include <linux/bpf.h>

#include "events.h"
#include "helpers.h"
#include "maps.h"
#include "memory.h"
#include "packet.h"
#include "policy.h"
#include "sockets.h"
#include "wardline.h"

#define REFUSE 0
#define PROCEED 1

INLINE void write_owner(struct wardline_owner *owner)
{
	owner->user_id = bpf_get_current_uid_gid();
	bpf_get_current_comm(owner->command, sizeof(owner->command));
	owner->pid = bpf_get_current_pid_tgid() >> 32;
}

/* Notes the caller as the owner of a socket that connects or sends. */
INLINE void note_caller(struct bpf_sock_addr *context)
{
	__u64 cookie = bpf_get_socket_cookie(context);
	struct wardline_recent *recent = recent_at(cookie);

	if (!recent || (recent->cookie == cookie && recent->owner.pid == (__u32)(bpf_get_current_pid_tgid() >> 32)))
		return;
	if (!claim_recent(recent, cookie))
		return;
	write_owner(&recent->owner);
	*(volatile __u64 *)&recent->cookie = cookie;
}

/* Notes the caller with a socket that was bound: a server's, which lives long and opens no connection itself. */
INLINE void note_binder(struct bpf_sock *socket)
{
	struct wardline_socket *kept = bpf_sk_storage_get(&wl_sockets, socket, 0, BPF_SK_STORAGE_GET_F_CREATE);

	if (kept)
		write_owner(&kept->owner);
}

/* The set of the calling process. */
GLOBAL __u32 find_set_of_caller(__u32 slot)
{
	return find_deepest_set(slot, bpf_get_current_ancestor_cgroup_id);
}

INLINE int is_unspecified(const struct wardline_address *a)
{
	return !a->halves[0] && (!a->halves[1] || a->halves[1] == (__u64)network32(0xffff));
}

/*
 * Whether a refusal here is what the packet hooks would do. They see addresses after translation, and let pass what stays
 * on the host. So the agent has to vouch for the network namespace: that it keeps the list of its addresses, and that
 * nothing translates outgoing connections there.
 */
INLINE int is_surely_remote(struct bpf_sock_addr *context, const struct wardline_address *remote)
{
	struct wardline_local_key key = { .netns_cookie = bpf_get_netns_cookie(context) };
	__u32 *until_seconds = bpf_map_lookup_elem(&wl_local_addresses, &key);

	if (!until_seconds || bpf_ktime_get_boot_ns() / 1000000000ULL >= *until_seconds)
		return 0;
	key.address = *remote;
	return !bpf_map_lookup_elem(&wl_local_addresses, &key);
}

INLINE void report_refused(const struct view *view, const struct wardline_address *remote, __u16 port, __u32 set,
			   __u32 decision, __u64 now)
{
	struct packet packet = {
		.key = { .remote = *remote, .remote_port = port, .protocol = IPPROTO_TCP },
		.policy_port = port,
	};
	struct report report = {
		.now = now,
		.packets = 1,
		.cgroup_id = bpf_get_current_cgroup_id(),
		.epoch = view->epoch,
		.decision = decision,
		.set = set,
		.kind = WARDLINE_EVENT_DENY,
		.denied = 1,
		.dropped = 1,
		.direction = WARDLINE_EGRESS,
		.hook = WARDLINE_HOOK_CONNECT,
	};
	struct wardline_owner owner;

	/* Its own address is not chosen yet; say so in the family of the other end. */
	if (!remote->halves[0] && remote->words[2] == network32(0xffff))
		map_ipv4(&packet.key.local, 0);
	write_owner(&owner);
	add_to_counter(view, decision, 1, 0, now);
	emit_deny_event(&packet, &report, &owner);
}

INLINE int judge_connect(struct bpf_sock_addr *context, const struct wardline_address *remote)
{
	__u16 port = network16((__u16)context->user_port);
	struct decision decision = {};
	struct view view = {};
	__u32 set;

	note_caller(context);
	if (context->protocol != IPPROTO_TCP)
		return PROCEED;
	read_view(&view);
	if (!view.enforce || is_loopback_address(remote) || is_unspecified(remote))
		return PROCEED;
	set = view.workloads ? find_set_of_caller(view.slot) : 0;
	if (unlikely(view.closed)) {
		decision.index = WARDLINE_DECISION_EMERGENCY_CLOSED;
		decision.flags = WARDLINE_RESULT_DENY;
	} else if (unlikely(is_overlay_address(remote)) && !overlay_interface()) {
		/* Where there is an overlay, only the packet tells whether it goes there. */
		decision.index = WARDLINE_DECISION_SPOOFED_OVERLAY;
		decision.flags = WARDLINE_RESULT_DENY;
	} else {
		if (!view.epoch)
			return PROCEED;
		recall_decision(view.slot, view.epoch, set, WARDLINE_EGRESS, remote, IPPROTO_TCP, port, &decision);
	}
	if (likely(!must_drop(&view, decision.flags)) || !is_surely_remote(context, remote))
		return PROCEED;
	report_refused(&view, remote, port, set, decision.index, bpf_ktime_get_coarse_ns());
	return REFUSE;
}

INLINE void read_ipv6_peer(const struct bpf_sock_addr *context, struct wardline_address *to)
{
	to->words[0] = context->user_ip6[0];
	to->words[1] = context->user_ip6[1];
	to->words[2] = context->user_ip6[2];
	to->words[3] = context->user_ip6[3];
}

#endif
