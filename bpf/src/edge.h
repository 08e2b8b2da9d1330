/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * tc programs at the interfaces: what cgroup_skb cannot see, because no socket of this host takes part. Packets to a port
 * that nobody uses, incoming ICMP, and packets that this host forwards. Everything that has a socket is left to the hook of
 * that socket's cgroup, which knows whose it is.
 *
 * A packet that passes goes on to the programs of others (EDGE_PASS says "no opinion"); nobody's drop is overruled.
 */
#ifndef WARDLINE_EDGE_H
#define WARDLINE_EDGE_H

#include "flows.h"

/* TC_ACT_UNSPEC and TCX_NEXT; TC_ACT_SHOT and TCX_DROP. */
#define EDGE_PASS -1
#define EDGE_DROP 2

/* PACKET_OTHERHOST of <linux/if_packet.h>: the frame is for another machine, and only a packet socket may see it. */
#define FOR_OTHER_HOST 3
#define DHCP_SERVER_PORT 67
#define DHCP_CLIENT_PORT 68

static long (*bpf_fib_lookup)(void *context, struct bpf_fib_lookup *question, int size,
			      __u32 flags) = (void *)BPF_FUNC_fib_lookup;
static struct bpf_sock *(*bpf_skc_lookup_tcp)(void *context, struct bpf_sock_tuple *tuple, __u32 size, __u64 netns,
					      __u64 flags) = (void *)BPF_FUNC_skc_lookup_tcp;
static struct bpf_sock *(*bpf_sk_lookup_udp)(void *context, struct bpf_sock_tuple *tuple, __u32 size, __u64 netns,
					     __u64 flags) = (void *)BPF_FUNC_sk_lookup_udp;
static long (*bpf_sk_release)(void *sk) = (void *)BPF_FUNC_sk_release;

#define WARDLINE_MAX_INNER_INTERFACES 4096
#define WARDLINE_MAX_TRANSLATED 16384
/* Seconds; as long as connection tracking keeps a UDP stream that goes both ways. */
#define WARDLINE_TIMEOUT_TRANSLATED 120

/* Interfaces that lead into a network namespace of this kernel: the sockets there meet the cgroup hooks. */
struct {
	MAP_UINT(type, BPF_MAP_TYPE_HASH);
	MAP_UINT(map_flags, BPF_F_NO_PREALLOC);
	MAP_UINT(max_entries, WARDLINE_MAX_INNER_INTERFACES);
	MAP_TYPE(key, __u32);
	MAP_TYPE(value, __u32);
} wl_inner_interfaces SEC(".maps");

/*
 * What left an interface without a socket of this namespace, as it looked after address translation: the answers come
 * back to an address of this host and must not be taken for packets to a closed port. Value: the clock of flows.
 */
struct {
	MAP_UINT(type, BPF_MAP_TYPE_LRU_HASH);
	MAP_UINT(max_entries, WARDLINE_MAX_TRANSLATED);
	MAP_TYPE(key, struct wardline_flow_key);
	MAP_TYPE(value, __u64);
} wl_translated SEC(".maps");

INLINE int is_ipv4(const struct wardline_address *a)
{
	return !a->halves[0] && a->words[2] == network32(0xffff);
}

/* Multicast, and broadcast to everybody on the link. */
INLINE int is_group_address(const struct wardline_address *a)
{
	if (is_ipv4(a))
		return (a->bytes[12] & 0xf0) == 0xe0 || a->words[3] == 0xffffffff;
	return a->bytes[0] == 0xff;
}

/* A DHCP client without an address yet listens with a packet socket, behind this hook. */
INLINE int is_address_offer(const struct packet *packet)
{
	return packet->key.protocol == IPPROTO_UDP && packet->key.local_port == DHCP_CLIENT_PORT &&
	       packet->key.remote_port == DHCP_SERVER_PORT && is_ipv4(&packet->key.local);
}

INLINE __u8 leads_inside(__u32 interface)
{
	return !!bpf_map_lookup_elem(&wl_inner_interfaces, &interface);
}

/*
 * The interface that the kernel would forward the packet to; 0 when it would not forward it: the destination is this host's
 * own, or forwarding is off, or there is no way. Where there is no way the kernel's answer is like a closed port's.
 */
NOINLINE __u32 find_way_out(struct context *context)
{
	const struct wardline_flow_key *key = &context->packet.key;
	struct bpf_fib_lookup question = {
		.l4_protocol = key->protocol,
		.sport = network16(key->remote_port),
		.dport = network16(key->local_port),
		.ifindex = context->skb->ifindex,
	};
	long answer;

	if (context->skb->protocol == network16(ETH_P_IP)) {
		question.family = 2;
		question.ipv4_src = key->remote.words[3];
		question.ipv4_dst = key->local.words[3];
	} else {
		question.family = 10;
		__builtin_memcpy(question.ipv6_src, &key->remote, 16);
		__builtin_memcpy(question.ipv6_dst, &key->local, 16);
	}
	answer = bpf_fib_lookup(context->skb, &question, sizeof(question), 0);
	if (answer == BPF_FIB_LKUP_RET_SUCCESS || answer == BPF_FIB_LKUP_RET_NO_NEIGH ||
	    answer == BPF_FIB_LKUP_RET_FRAG_NEEDED || answer == BPF_FIB_LKUP_RET_UNSUPP_LWT)
		return question.ifindex;
	return 0;
}

/* Whether a socket would take the packet: connected, listening or bound, of whatever cgroup. */
NOINLINE int has_socket(struct __sk_buff *skb, const struct packet *packet)
{
	struct bpf_sock_tuple tuple = {};
	__u32 size = sizeof(tuple.ipv4);
	struct bpf_sock *sk;

	if (skb->protocol == network16(ETH_P_IP)) {
		tuple.ipv4.saddr = packet->key.remote.words[3];
		tuple.ipv4.daddr = packet->key.local.words[3];
		tuple.ipv4.sport = network16(packet->key.remote_port);
		tuple.ipv4.dport = network16(packet->key.local_port);
	} else {
		size = sizeof(tuple.ipv6);
		__builtin_memcpy(tuple.ipv6.saddr, &packet->key.remote, 16);
		__builtin_memcpy(tuple.ipv6.daddr, &packet->key.local, 16);
		tuple.ipv6.sport = network16(packet->key.remote_port);
		tuple.ipv6.dport = network16(packet->key.local_port);
	}
	if (packet->key.protocol == IPPROTO_TCP)
		sk = bpf_skc_lookup_tcp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	else
		sk = bpf_sk_lookup_udp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	if (!sk)
		return 0;
	bpf_sk_release(sk);
	return 1;
}

/* Of the IP packet, as everywhere. */
INLINE __u32 packet_bytes(const struct context *context)
{
	return context->skb->len - context->link_bytes;
}

INLINE void count_at_edge(const struct context *context, __u32 index)
{
	add_to_counter(&context->view, index, packet_count(context->skb), packet_bytes(context), context->now);
}

/* Counts a decision, reports it when it denies, and says what happens to the packet. */
NOINLINE int settle(struct context *context, const struct decision *decision, __u8 direction)
{
	struct report report = {
		.now = context->now,
		.packets = packet_count(context->skb),
		.originator_bytes = packet_bytes(context),
		.epoch = context->view.epoch,
		.decision = decision->index,
		.kind = WARDLINE_EVENT_DENY,
		.denied = 1,
		.dropped = must_drop(&context->view, decision->flags),
		.direction = direction,
		.hook = WARDLINE_HOOK_EDGE,
	};

	count_at_edge(context, decision->index);
	if (!(decision->flags & WARDLINE_RESULT_DENY))
		return EDGE_PASS;
	emit_deny_event(&context->packet, &report, 0);
	return report.dropped ? EDGE_DROP : EDGE_PASS;
}

INLINE int settle_builtin(struct context *context, __u32 builtin)
{
	struct decision decision = { .index = builtin, .flags = builtin_flags(builtin) };

	return settle(context, &decision, WARDLINE_INGRESS);
}

/*
 * Whether the packet answers something that was let out. Only what went out explains an answer: a ping that comes in is
 * judged each time. Where a socket waits for it, its own hook judges it once more.
 */
NOINLINE int is_explained(struct context *context)
{
	struct wardline_flow *flow;
	__u64 *translated;

	if (context->packet.signs & SIGN_ICMP_ERROR)
		return quotes_live_flow(context);
	flow = bpf_map_lookup_elem(&wl_flows, &context->packet.key);
	if (flow && flow->direction == WARDLINE_EGRESS && !is_idle(context, flow) && !drops(context, flow))
		return 1;
	translated = bpf_map_lookup_elem(&wl_translated, &context->packet.key);
	return translated && (__s64)(context->now - *translated) < (__s64)(WARDLINE_TIMEOUT_TRANSLATED * SECOND_NS);
}

/* A packet for this host itself. */
INLINE int decide_local(struct context *context)
{
	struct packet *packet = &context->packet;
	struct decision decision = {};
	__u8 protocol = packet->key.protocol;

	/* Part of a conversation, or of none: the hooks of sockets judge it, and any answer of the kernel. */
	if (protocol == IPPROTO_TCP && !(packet->signs & SIGN_OPENS))
		return EDGE_PASS;
	/* No helper finds an SCTP socket. The kernel's answer to a closed port is judged on its way out. */
	if (protocol == IPPROTO_SCTP)
		return EDGE_PASS;
	if ((protocol == IPPROTO_TCP || protocol == IPPROTO_UDP) && has_socket(context->skb, packet))
		return EDGE_PASS;
	if (is_address_offer(packet))
		return EDGE_PASS;
	if (unlikely(context->view.closed))
		return settle_builtin(context, WARDLINE_DECISION_EMERGENCY_CLOSED);
	if (protocol != IPPROTO_TCP && is_explained(context))
		return EDGE_PASS;
	if (has_ports(protocol))
		packet->policy_port = packet->key.local_port;
	if (context->view.epoch)
		find_decision(context->view.slot, 0, WARDLINE_INGRESS, &packet->key.remote, protocol, packet->policy_port,
			      &decision);
	return settle(context, &decision, WARDLINE_INGRESS);
}

#include "forward.h"

INLINE int decide_at_edge(struct __sk_buff *skb, __u32 offset)
{
	struct context context = { .skb = skb, .direction = WARDLINE_INGRESS, .link_bytes = offset };
	__u32 way_out;
	int builtin;

	/* A tagged frame comes by again on the interface of its VLAN. */
	if (skb->vlan_present || skb->pkt_type == FOR_OTHER_HOST)
		return EDGE_PASS;
	context.now = bpf_ktime_get_coarse_ns();
	read_view(&context.view);
	builtin = read_packet(skb, &context.packet, WARDLINE_INGRESS, offset);
	/* ARP and the like, neighbour discovery, path MTU. */
	if (builtin == WARDLINE_DECISION_NOT_IP || (builtin >= 0 && !builtin_flags(builtin)))
		return EDGE_PASS;
	/* A forged source is dropped here whatever it asks for: also on its way to a group, or inside. */
	if (builtin == WARDLINE_DECISION_MALFORMED || builtin == WARDLINE_DECISION_SPOOFED_OVERLAY)
		return settle_builtin(&context, builtin);
	/* The sockets that joined the group have their own hook, and nobody answers for a closed port here. */
	if (is_group_address(&context.packet.key.local))
		return EDGE_PASS;
	way_out = find_way_out(&context);
	/* To a client without an address an offer looks as if it had to go back out. */
	if (way_out && !(way_out == skb->ifindex && is_address_offer(&context.packet)))
		return leads_inside(skb->ifindex) || leads_inside(way_out) ? EDGE_PASS : decide_forwarded(&context, builtin);
	/* The kernel puts fragments together, and the hook of the socket sees the whole. */
	if (builtin == WARDLINE_DECISION_FRAGMENT)
		return EDGE_PASS;
	if (builtin >= 0)
		return settle_builtin(&context, builtin);
	return decide_local(&context);
}

/* On the way out: notes what has no socket here, after address translation. Drops nothing. */
INLINE int note_translated(struct __sk_buff *skb, __u32 offset)
{
	struct packet packet = {};
	__u64 now, *noted;

	if (skb->sk || skb->vlan_present || read_packet(skb, &packet, WARDLINE_EGRESS, offset) != -1)
		return EDGE_PASS;
	/* Answers on TCP and SCTP connections are never judged at the edge, errors answer nothing. */
	if (packet.key.protocol == IPPROTO_TCP || packet.key.protocol == IPPROTO_SCTP || (packet.signs & SIGN_ICMP_ERROR))
		return EDGE_PASS;
	now = bpf_ktime_get_coarse_ns();
	noted = bpf_map_lookup_elem(&wl_translated, &packet.key);
	if (!noted)
		bpf_map_update_elem(&wl_translated, &packet.key, &now, BPF_ANY);
	else if (now - *noted > SECOND_NS)
		*noted = now;
	return EDGE_PASS;
}

#endif
