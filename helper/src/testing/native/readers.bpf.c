// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Reads one packet both ways. Direction and offset come in cb[0] and cb[1]; the answer is 0 when the plain reader declined,
// 1 when both agree, 2 when they differ.
#include "helpers.h"
#include "packet.h"
#include "wardline.h"

SEC("cgroup_skb/ingress")
int compare_readers(struct __sk_buff *skb)
{
	struct packet plain = {}, any = {};
	const __u64 *left = (const __u64 *)&plain.key, *right = (const __u64 *)&any.key;
	int direction = skb->cb[0] & 1, plain_result, any_result, i;

	plain_result = read_plain_packet(skb, &plain, direction, 0);
	skb->cb[2] = 0;
	if (plain_result == READ_SLOWLY)
		return 1;
	any_result = read_any_packet(skb, &any, direction, 1, 0);
	skb->cb[2] = 1;
	for (i = 0; i < 5; i++)
		if (left[i] != right[i])
			skb->cb[2] = 2;
	if (plain_result != any_result || plain.signs != any.signs || plain.policy_port != any.policy_port)
		skb->cb[2] = 2;
	return 1;
}

char _license[] SEC("license") = "Dual BSD/GPL";
