// SPDX-License-Identifier: Apache-2.0
// The least that a firewall with a verdict in user space can do: take each packet from an NFQUEUE and accept it. No policy,
// no process lookup. Real ones cost more; this is their lower bound.
//
//   queue NUMBER      prints "ready", then accepts until it is killed; on SIGTERM prints how many it saw
//
// Netlink by hand, so that it needs no library.
#include "sockets.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <linux/netlink.h>
#include <signal.h>

struct message {
	struct nlmsghdr header;
	struct nfgenmsg family;
	char attributes[128];
};

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

static void begin(struct message *message, int type, unsigned short queue)
{
	memset(message, 0, sizeof(*message));
	message->header.nlmsg_len = NLMSG_LENGTH(sizeof(message->family));
	message->header.nlmsg_type = (unsigned short)((NFNL_SUBSYS_QUEUE << 8) | type);
	message->header.nlmsg_flags = NLM_F_REQUEST;
	message->family.nfgen_family = AF_UNSPEC;
	message->family.version = NFNETLINK_V0;
	message->family.res_id = htons(queue);
}

static void add(struct message *message, unsigned short type, const void *bytes, unsigned short length)
{
	struct nlattr *attribute = (struct nlattr *)((char *)message + NLMSG_ALIGN(message->header.nlmsg_len));

	attribute->nla_type = type;
	attribute->nla_len = (unsigned short)(NLA_HDRLEN + length);
	memcpy((char *)attribute + NLA_HDRLEN, bytes, length);
	message->header.nlmsg_len = NLMSG_ALIGN(message->header.nlmsg_len) + NLA_ALIGN(attribute->nla_len);
}

static void submit(int fd, struct message *message)
{
	if (send(fd, message, message->header.nlmsg_len, 0) < 0)
		fail("netlink");
}

/* Configures, and ends the program with the kernel's reason when it refuses. */
static void configure(int fd, struct message *message)
{
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
		char rest[256];
	} answer;

	message->header.nlmsg_flags |= NLM_F_ACK;
	submit(fd, message);
	if (recv(fd, &answer, sizeof(answer), 0) < 0)
		fail("netlink");
	if (answer.header.nlmsg_type == NLMSG_ERROR && answer.error.error) {
		errno = -answer.error.error;
		fail("NFQUEUE");
	}
}

int main(int argc, char **argv)
{
	struct nfqnl_msg_config_cmd bind_command = { .command = NFQNL_CFG_CMD_BIND, .pf = htons(AF_INET) };
	struct nfqnl_msg_config_params parameters = { .copy_range = htonl(128), .copy_mode = NFQNL_COPY_PACKET };
	struct sigaction action = { .sa_handler = stop };
	struct message message;
	unsigned long long seen = 0;
	unsigned short queue;
	static char buffer[1 << 16];
	int fd;

	if (argc != 2)
		return 2;
	queue = (unsigned short)atoi(argv[1]);
	fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);
	if (fd < 0)
		fail("socket");
	begin(&message, NFQNL_MSG_CONFIG, queue);
	add(&message, NFQA_CFG_CMD, &bind_command, sizeof(bind_command));
	configure(fd, &message);
	begin(&message, NFQNL_MSG_CONFIG, queue);
	add(&message, NFQA_CFG_PARAMS, &parameters, sizeof(parameters));
	configure(fd, &message);
	sigaction(SIGTERM, &action, NULL);
	puts("ready");
	fflush(stdout);
	while (!stopped) {
		ssize_t got = recv(fd, buffer, sizeof(buffer), 0);
		struct nlmsghdr *header = (struct nlmsghdr *)buffer;

		for (; got > 0 && NLMSG_OK(header, (unsigned int)got); header = NLMSG_NEXT(header, got)) {
			struct nlattr *attribute = (struct nlattr *)((char *)NLMSG_DATA(header) + NLMSG_ALIGN(sizeof(struct nfgenmsg)));
			char *end = (char *)header + header->nlmsg_len;

			for (; (char *)attribute < end; attribute = (struct nlattr *)((char *)attribute + NLA_ALIGN(attribute->nla_len))) {
				struct nfqnl_msg_verdict_hdr verdict = { .verdict = htonl(NF_ACCEPT) };

				if ((attribute->nla_type & NLA_TYPE_MASK) != NFQA_PACKET_HDR || attribute->nla_len < NLA_HDRLEN)
					continue;
				verdict.id = ((struct nfqnl_msg_packet_hdr *)((char *)attribute + NLA_HDRLEN))->packet_id;
				begin(&message, NFQNL_MSG_VERDICT, queue);
				add(&message, NFQA_VERDICT_HDR, &verdict, sizeof(verdict));
				submit(fd, &message);
				seen++;
				break;
			}
		}
	}
	printf("{\"seen\":%llu}\n", seen);
	return 0;
}
