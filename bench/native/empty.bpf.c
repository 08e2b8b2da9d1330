// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Programs that only say yes, one for each cgroup hook of the datapath: the floor below which nothing on these hooks can get.
#define SECTION(name) __attribute__((section(name), used))

struct __sk_buff;
struct bpf_sock;
struct bpf_sock_addr;

#define EMPTY(section, name, context)                                                                                  \
	SECTION(section) int name(struct context *ctx)                                                                 \
	{                                                                                                              \
		(void)ctx;                                                                                             \
		return 1;                                                                                              \
	}

EMPTY("cgroup_skb/ingress", empty_ingress, __sk_buff)
EMPTY("cgroup_skb/egress", empty_egress, __sk_buff)
EMPTY("cgroup/connect4", empty_connect4, bpf_sock_addr)
EMPTY("cgroup/connect6", empty_connect6, bpf_sock_addr)
EMPTY("cgroup/post_bind4", empty_post_bind4, bpf_sock)
EMPTY("cgroup/post_bind6", empty_post_bind6, bpf_sock)
EMPTY("cgroup/sendmsg4", empty_sendmsg4, bpf_sock_addr)
EMPTY("cgroup/sendmsg6", empty_sendmsg6, bpf_sock_addr)

char _license[] SECTION("license") = "Dual BSD/GPL";
