/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Verdicts that are kept: of young flows in an array of sockets that were used a moment ago, of flows that have lasted a while
 * with their connected socket. Nearly every packet of a busy host passes by one of the two, so this is the way whose cost counts:
 * one cache line to read, one to count in.
 */
#ifndef WARDLINE_SOCKETS_H
#define WARDLINE_SOCKETS_H

#include "helpers.h"
#include "maps.h"
#include "packet.h"
#include "policy.h"
#include "wardline.h"

#define SECOND_NS 1000000000ULL

struct context {
	struct __sk_buff *skb;
	/* CLOCK_MONOTONIC at the last tick; 0 = not read, because the flow was seen in this very tick. See read_clock. */
	__u64 now;
	struct view view;
	struct packet packet;
	/* What is kept with the packet's socket, and its place among the recent ones; 0 when nothing is. */
	struct wardline_socket *socket;
	struct wardline_recent *recent;
	int direction;
	/* Before the IP header: 0 but at the edge. */
	__u32 link_bytes;
};

/* Even the coarse clock costs a tenth of a packet of a known flow; most follow another in the same tick. */
INLINE void read_clock(struct context *context)
{
	if (!context->now)
		context->now = bpf_ktime_get_coarse_ns();
}

/* Packets after which a flow is worth the memory of an entry at its socket: more than a short request and its answer need. */
#define KEEP_AFTER_PACKETS 8
/*
 * Longest time for which the flow table does not hear of a socket's packets, in ticks of the kernel: 0.25 to 2.5 seconds, far
 * below every idle limit. Even a coarse clock in ns would be a quarter of the cost of a packet that passes here.
 */
#define FOLD_INTERVAL_TICKS 250

INLINE __u64 idle_limit_ns(__u8 protocol, __u32 flags)
{
	__u64 seconds = WARDLINE_TIMEOUT_OTHER;

	if (flags & WARDLINE_FLOW_ENDED)
		seconds = WARDLINE_TIMEOUT_ENDED;
	else if (protocol == IPPROTO_TCP || protocol == IPPROTO_SCTP)
		seconds = flags & (WARDLINE_FLOW_FIN_INGRESS | WARDLINE_FLOW_FIN_EGRESS) ? WARDLINE_TIMEOUT_TCP_CLOSING :
			  flags & WARDLINE_FLOW_ANSWERED ? WARDLINE_TIMEOUT_TCP_ESTABLISHED :
							   WARDLINE_TIMEOUT_TCP_OPENING;
	else if (protocol == IPPROTO_UDP)
		seconds = flags & WARDLINE_FLOW_ANSWERED ? WARDLINE_TIMEOUT_UDP_ANSWERED : WARDLINE_TIMEOUT_UDP_OPENING;
	else if (protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6)
		seconds = WARDLINE_TIMEOUT_ICMP;
	return seconds * SECOND_NS;
}

/*
 * Packets of one direction after which the flow table hears of them at the latest: what it does not know of a connection that
 * falls silent is bounded, and one in so many that goes the long way is not felt.
 */
#define FOLD_AFTER_PACKETS 1024

INLINE int same_key(const struct wardline_flow_key *a, const struct wardline_flow_key *b)
{
	const __u64 *left = (const __u64 *)a, *right = (const __u64 *)b;

	return !((left[0] ^ right[0]) | (left[1] ^ right[1]) | (left[2] ^ right[2]) | (left[3] ^ right[3]) |
		 (left[4] ^ right[4]));
}

/* What is kept with the packet's socket, if anything. */
INLINE struct wardline_socket *find_socket(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;

	/* The helper itself refuses what is not a whole socket. */
	return sk ? bpf_sk_storage_get(&wl_sockets, sk, 0, 0) : 0;
}

/* 0 when the ports, at `transport`, are those of the flow. */
INLINE __u32 differ_ports(const struct wardline_flow_key *key, const __u8 *transport, int direction)
{
	__u16 source = network16(*(const __u16 *)transport), destination = network16(*(const __u16 *)(transport + 2));

	if (direction == WARDLINE_EGRESS)
		return (source ^ key->local_port) | (destination ^ key->remote_port);
	return (source ^ key->remote_port) | (destination ^ key->local_port);
}

/*
 * Whether the packet is one in the middle of the flow with this key: TCP that opens and closes nothing, or UDP. Only
 * what the kernel builds or has already checked comes here (see keep_with_socket), so lengths are not compared again; options,
 * extension headers and fragments are left to the other way. The differences are added up, because most packets have none:
 * one branch for all.
 */
INLINE int is_middle_of(struct __sk_buff *skb, const struct wardline_flow_key *key, int direction,
			const struct wardline_control *control)
{
	const struct wardline_address *source = direction == WARDLINE_EGRESS ? &key->local : &key->remote;
	const struct wardline_address *destination = direction == WARDLINE_EGRESS ? &key->remote : &key->local;
	__u8 *ip = (__u8 *)(long)skb->data;
	__u8 *end = (__u8 *)(long)skb->data_end;
	__u32 difference;
	__u8 *transport;

	if (ip + 20 + TCP_READ_BYTES > end)
		return 0;
	if (ip[0] == 0x45) {
		transport = ip + 20;
		difference = (*(__u32 *)(ip + 12) ^ source->words[3]) | (*(__u32 *)(ip + 16) ^ destination->words[3]) |
			     (source->words[2] ^ network32(0xffff)) | source->words[1] | source->words[0] |
			     (*(__u16 *)(ip + 6) & network16(0x3fff)) | (ip[9] ^ key->protocol);
	} else {
		if ((ip[0] >> 4) != 6 || ip + 40 + TCP_READ_BYTES > end)
			return 0;
		transport = ip + 40;
		difference = (*(__u32 *)(ip + 8) ^ source->words[0]) | (*(__u32 *)(ip + 12) ^ source->words[1]) |
			     (*(__u32 *)(ip + 16) ^ source->words[2]) | (*(__u32 *)(ip + 20) ^ source->words[3]) |
			     (*(__u32 *)(ip + 24) ^ destination->words[0]) | (*(__u32 *)(ip + 28) ^ destination->words[1]) |
			     (*(__u32 *)(ip + 32) ^ destination->words[2]) | (*(__u32 *)(ip + 36) ^ destination->words[3]) |
			     (ip[6] ^ key->protocol);
		/* The same tuple on another interface is another's: see hold_to_overlay. */
		if (unlikely(is_overlay_address(&key->remote)))
			difference |= skb->ifindex ^ *(volatile __u32 *)&control->overlay_interface;
	}
	difference |= differ_ports(key, transport, direction);
	if (key->protocol == IPPROTO_TCP)
		difference |= transport[13] & (TCP_SYN | TCP_FIN | TCP_RST);
	return !difference;
}

/*
 * Lets a packet pass by a kept verdict. 0 = everything else has to be asked. A flip, the emergency brake, anything that the
 * agent changes in the control word ends all of them, and so does a deadline that passes.
 */
INLINE int passes_by(struct __sk_buff *skb, struct wardline_kept *kept, __u64 *pending, int direction)
{
	__u32 zero = 0;
	struct wardline_control *control = bpf_map_lookup_elem(&wl_control, &zero);
	struct wardline_counter *counter;
	__u32 packets, place;
	__u64 word;

	if (!control)
		return 0;
	word = *(volatile __u64 *)&control->word;
	if (!word || *(volatile __u64 *)&kept->word != word)
		return 0;
	/* The key is read after the word: who takes a place over writes the word last. */
	asm volatile("" ::: "memory");
	if (unlikely(word & WARDLINE_WORD_DEADLINE) && bpf_ktime_get_boot_ns() > *(volatile __u64 *)&control->deadline_ns)
		return 0;
	if ((__u32)bpf_jiffies64() - kept->kept_at > FOLD_INTERVAL_TICKS || !is_middle_of(skb, &kept->key, direction, control))
		return 0;
	packets = packet_count(skb);
	place = kept->counter;
	counter = counter_at(place, control->stamps[place & 1]);
	if (counter) {
		counter->packets += packets;
		counter->bytes += skb->len;
	}
	__sync_fetch_and_add(pending, packets * WARDLINE_PENDING_PACKET + skb->len);
	return 1;
}

INLINE int passes_by_socket(struct __sk_buff *skb, struct wardline_socket *socket, int direction)
{
	__u64 *pending = direction == WARDLINE_EGRESS ? &socket->pending_out : &socket->pending_in;

	return *(volatile __u64 *)pending < FOLD_AFTER_PACKETS * WARDLINE_PENDING_PACKET &&
	       passes_by(skb, &socket->kept, pending, direction);
}

/* So many packets in one direction, and the flow table hears of them: a flow that lasts gets an entry at its socket. */
INLINE int passes_by_recent(struct __sk_buff *skb, struct wardline_recent *recent, int direction)
{
	__u64 *pending = direction == WARDLINE_EGRESS ? &recent->pending_out : &recent->pending_in;

	return *(volatile __u64 *)pending < KEEP_AFTER_PACKETS * WARDLINE_PENDING_PACKET &&
	       passes_by(skb, &recent->kept, pending, direction);
}

/* The place where a socket with this cookie is, if it was used a moment ago. */
INLINE struct wardline_recent *recent_at(__u64 cookie)
{
	__u32 place = cookie & (WARDLINE_RECENT_COUNT - 1);

	return cookie ? bpf_map_lookup_elem(&wl_recent, &place) : 0;
}

INLINE struct wardline_recent *find_recent(struct __sk_buff *skb)
{
	__u64 cookie = bpf_get_socket_cookie(skb);
	struct wardline_recent *recent = recent_at(cookie);

	return recent && *(volatile __u64 *)&recent->cookie == cookie ? recent : 0;
}

/* Where the bytes of packets in this direction count. */
INLINE __u64 *bytes_of(struct wardline_flow *flow, int direction)
{
	return flow->direction == direction ? &flow->originator_bytes : &flow->responder_bytes;
}

INLINE void fold_pending(__u64 *pending, struct wardline_flow *flow, int direction)
{
	__u64 passed;

	if (!*(volatile __u64 *)pending)
		return;
	passed = __sync_lock_test_and_set(pending, 0);
	__sync_fetch_and_add(&flow->packets, passed >> WARDLINE_PENDING_BYTES_BITS);
	__sync_fetch_and_add(bytes_of(flow, direction), passed & (WARDLINE_PENDING_PACKET - 1));
}

/* What passed by a place that is taken over goes to the flow that it was of; if that is gone, its end was told before. */
NOINLINE void clear_recent(struct wardline_recent *recent)
{
	struct wardline_flow *flow;

	*(volatile __u64 *)&recent->kept.word = 0;
	if (!recent->pending_in && !recent->pending_out)
		return;
	flow = bpf_map_lookup_elem(&wl_flows, &recent->kept.key);
	if (flow) {
		fold_pending(&recent->pending_in, flow, WARDLINE_INGRESS);
		fold_pending(&recent->pending_out, flow, WARDLINE_EGRESS);
	}
	recent->pending_in = 0;
	recent->pending_out = 0;
}

/*
 * Takes the place for the socket with this cookie; whoever got 1 has to write the cookie when done. 0 = somebody else is
 * writing, and what was to be noted is not worth waiting for.
 */
INLINE int claim_recent(struct wardline_recent *recent, __u64 cookie)
{
	__u64 before = *(volatile __u64 *)&recent->cookie;

	if (before == WARDLINE_RECENT_BUSY ||
	    __sync_val_compare_and_swap(&recent->cookie, before, WARDLINE_RECENT_BUSY) != before)
		return 0;
	if (before != cookie) {
		clear_recent(recent);
		recent->owner.pid = 0;
	}
	return 1;
}

/*
 * The flow of a connected socket that the flow table has lost: entered again, with the direction that is known. Not one that
 * was silent for longer than its limit: its end was told, and the packet opens another.
 */
NOINLINE struct wardline_flow *restore_flow(struct context *context)
{
	struct wardline_socket *socket = context->socket;
	struct wardline_flow flow = {};

	if (!socket)
		return 0;
	read_clock(context);
	if ((__s64)(context->now - socket->folded_ns) >
	    (__s64)idle_limit_ns(context->packet.key.protocol, socket->flags)) {
		socket->epoch = 0;
		socket->pending_in = 0;
		socket->pending_out = 0;
		return 0;
	}
	flow.last_seen_ns = context->now;
	flow.tick = bpf_jiffies64();
	flow.packets = socket->folded_packets;
	flow.originator_bytes = socket->folded_originator_bytes;
	flow.responder_bytes = socket->folded_responder_bytes;
	flow.cgroup_id = socket->cgroup_id;
	flow.epoch = socket->epoch;
	flow.decision = socket->decision;
	flow.set = socket->set;
	flow.flags = socket->flags;
	flow.policy_port = socket->policy_port;
	flow.direction = socket->direction;
	if (bpf_map_update_elem(&wl_flows, &context->packet.key, &flow, BPF_NOEXIST))
		return 0;
	return bpf_map_lookup_elem(&wl_flows, &context->packet.key);
}

/*
 * A datagram socket is closed: nothing says goodbye for it, so its flow is told here what passed by it alone. A TCP
 * connection's closing handshake goes by the flow table.
 */
INLINE void fold_closed(struct bpf_sock *closed)
{
	struct wardline_socket *socket = bpf_sk_storage_get(&wl_sockets, closed, 0, 0);
	__u64 cookie = bpf_get_socket_cookie(closed);
	struct wardline_recent *recent = recent_at(cookie);
	struct wardline_flow *flow;

	if (socket && (socket->pending_in || socket->pending_out)) {
		flow = bpf_map_lookup_elem(&wl_flows, &socket->kept.key);
		if (flow) {
			fold_pending(&socket->pending_in, flow, WARDLINE_INGRESS);
			fold_pending(&socket->pending_out, flow, WARDLINE_EGRESS);
		}
	}
	if (recent && *(volatile __u64 *)&recent->cookie == cookie && claim_recent(recent, cookie)) {
		clear_recent(recent);
		*(volatile __u64 *)&recent->cookie = cookie;
	}
}

/* The entry of the packet's flow, with everything that its socket knows about it. */
INLINE struct wardline_flow *find_flow(struct context *context)
{
	struct wardline_flow *flow = bpf_map_lookup_elem(&wl_flows, &context->packet.key);
	struct wardline_socket *socket = context->socket;

	struct wardline_recent *recent = context->recent;

	if (socket && socket->epoch && same_key(&socket->kept.key, &context->packet.key)) {
		if (unlikely(!flow))
			flow = restore_flow(context);
		if (flow) {
			fold_pending(&socket->pending_in, flow, WARDLINE_INGRESS);
			fold_pending(&socket->pending_out, flow, WARDLINE_EGRESS);
		}
	}
	if (flow && recent && same_key(&recent->kept.key, &context->packet.key)) {
		fold_pending(&recent->pending_in, flow, WARDLINE_INGRESS);
		fold_pending(&recent->pending_out, flow, WARDLINE_EGRESS);
	}
	return flow;
}

INLINE void forget_socket(struct wardline_socket *socket)
{
	*(volatile __u64 *)&socket->kept.word = 0;
	*(volatile __u32 *)&socket->epoch = 0;
}

/* From here on the flow table follows each packet. */
INLINE void forget_kept(struct context *context)
{
	if (context->socket)
		forget_socket(context->socket);
	if (context->recent)
		*(volatile __u64 *)&context->recent->kept.word = 0;
}

/*
 * The control word as it stands, for keeping a verdict of this epoch under it; 0 when it cannot: another epoch decides by
 * now, or the emergency brake was pulled, or the deadline has passed.
 */
INLINE __u64 word_of_epoch(__u32 epoch)
{
	__u32 zero = 0;
	struct wardline_control *control = bpf_map_lookup_elem(&wl_control, &zero);
	__u64 word = control ? *(volatile __u64 *)&control->word : 0;

	if (!epoch || (word & WARDLINE_WORD_EMERGENCY_CLOSED) ||
	    ((word >> WARDLINE_WORD_EPOCH_SHIFT) & WARDLINE_WORD_EPOCH_MASK) != epoch)
		return 0;
	return word;
}

/*
 * Whether packets of the flow may pass by a kept verdict: answered, allowed, not closing, of a protocol that is_middle_of can
 * read. A raw socket sends whatever headers it likes, so its packets are always read.
 */
INLINE int may_keep(const struct context *context, const struct wardline_flow *flow, const struct bpf_sock *sk)
{
	__u8 protocol = context->packet.key.protocol;

	return sk && sk->type != SOCKET_TYPE_RAW && (protocol == IPPROTO_TCP || protocol == IPPROTO_UDP) &&
	       (flow->flags & ~WARDLINE_FLOW_OBSERVE_ONLY) == WARDLINE_FLOW_ANSWERED;
}

INLINE void write_kept(struct wardline_kept *kept, const struct wardline_flow *flow, __u64 word)
{
	kept->counter = flow->decision * 2 + (word & WARDLINE_WORD_SLOT);
	kept->kept_at = bpf_jiffies64();
	*(volatile __u64 *)&kept->word = word;
}

/* Keeps the verdict of a young flow for the packets of this socket. */
INLINE void keep_in_recent(struct context *context, const struct wardline_flow *flow, __u64 word)
{
	__u64 cookie = bpf_get_socket_cookie(context->skb);
	struct wardline_recent *recent = recent_at(cookie);
	int is_same;

	if (!recent)
		return;
	is_same = same_key(&recent->kept.key, &context->packet.key);
	/* A socket with many peers keeps one of them for a while, rather than each for a packet. */
	if (!is_same && recent->cookie == cookie && recent->kept.word == word &&
	    (__u32)bpf_jiffies64() - recent->kept.kept_at <= FOLD_INTERVAL_TICKS)
		return;
	if (!claim_recent(recent, cookie))
		return;
	/* Another CPU may be reading: it must not meet the word before the rest. */
	if (is_same)
		*(volatile __u64 *)&recent->kept.word = 0;
	else
		clear_recent(recent);
	recent->kept.key = context->packet.key;
	write_kept(&recent->kept, flow, word);
	*(volatile __u64 *)&recent->cookie = cookie;
}

/* Keeps the verdict of a flow that has lasted a while with its connected socket. Returns 1 when it did. */
INLINE int keep_with_socket(struct context *context, const struct wardline_flow *flow, struct bpf_sock *sk, __u64 word)
{
	struct wardline_socket *socket;

	/* Connected TCP and UDP sockets alike. */
	if (sk->state != BPF_TCP_ESTABLISHED)
		return 0;
	socket = bpf_sk_storage_get(&wl_sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!socket)
		return 0;
	forget_socket(socket);
	if (!same_key(&socket->kept.key, &context->packet.key)) {
		socket->kept.key = context->packet.key;
		socket->pending_in = 0;
		socket->pending_out = 0;
	}
	socket->cgroup_id = flow->cgroup_id;
	socket->decision = flow->decision;
	socket->set = flow->set;
	socket->flags = flow->flags;
	socket->policy_port = flow->policy_port;
	socket->direction = flow->direction;
	socket->folded_packets = flow->packets;
	socket->folded_originator_bytes = flow->originator_bytes;
	socket->folded_responder_bytes = flow->responder_bytes;
	socket->folded_ns = flow->last_seen_ns;
	*(volatile __u32 *)&socket->epoch = context->view.epoch;
	write_kept(&socket->kept, flow, word);
	return 1;
}

/* Keeps the verdict of an answered flow where its next packets find it. Out of line, to keep the usual way short. */
NOINLINE void keep_verdict(struct context *context, const struct wardline_flow *flow)
{
	struct bpf_sock *sk = context->skb->sk;
	__u64 word = word_of_epoch(context->view.epoch);

	if (!word || !sk)
		return;
	sk = bpf_sk_fullsock(sk);
	if (!sk || !may_keep(context, flow, sk))
		return;
	if (flow->packets < KEEP_AFTER_PACKETS || !keep_with_socket(context, flow, sk, word))
		keep_in_recent(context, flow, word);
}

#endif
