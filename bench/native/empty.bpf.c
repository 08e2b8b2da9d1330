// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Two cgroup_skb programs that only say yes: the floor below which no datapath on these hooks can get.
#define SECTION(name) __attribute__((section(name), used))

struct __sk_buff;

SECTION("cgroup_skb/ingress")
int empty_ingress(struct __sk_buff *skb)
{
	(void)skb;
	return 1;
}

SECTION("cgroup_skb/egress")
int empty_egress(struct __sk_buff *skb)
{
	(void)skb;
	return 1;
}

char _license[] SECTION("license") = "Dual BSD/GPL";
