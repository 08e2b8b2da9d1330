/* Sends one echo request from a raw socket and waits for its reply: exit 0 = answered, 1 = silence, 2 = send refused. */
#include <arpa/inet.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

static unsigned short checksum(const unsigned short *words, int bytes)
{
	unsigned int sum = 0;

	for (; bytes > 1; bytes -= 2)
		sum += *words++;
	sum = (sum >> 16) + (sum & 0xffff);
	return ~(sum + (sum >> 16));
}

int main(int argc, char **argv)
{
	int is_v6 = argc > 1 && strchr(argv[1], ':') != NULL;
	struct sockaddr_in to4 = { .sin_family = AF_INET };
	struct sockaddr_in6 to6 = { .sin6_family = AF_INET6 };
	struct timeval timeout = { .tv_usec = 500000 };
	unsigned short id = getpid() & 0xffff;
	unsigned char request[16] = { is_v6 ? 128 : 8 }, reply[256];
	int fd = socket(is_v6 ? AF_INET6 : AF_INET, SOCK_RAW, is_v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
	ssize_t sent, got;

	if (argc < 2 || fd < 0)
		return 3;
	memcpy(request + 4, &id, 2);
	if (!is_v6) {
		unsigned short sum = checksum((unsigned short *)request, sizeof(request));
		memcpy(request + 2, &sum, 2);
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	if (is_v6) {
		inet_pton(AF_INET6, argv[1], &to6.sin6_addr);
		sent = sendto(fd, request, sizeof(request), 0, (struct sockaddr *)&to6, sizeof(to6));
	} else {
		inet_pton(AF_INET, argv[1], &to4.sin_addr);
		sent = sendto(fd, request, sizeof(request), 0, (struct sockaddr *)&to4, sizeof(to4));
	}
	if (sent < 0)
		return 2;
	for (;;) {
		const unsigned char *icmp = reply;

		got = recv(fd, reply, sizeof(reply), 0);
		if (got < 0)
			return 1;
		if (!is_v6)
			icmp += (reply[0] & 15) * 4;
		if (icmp[0] == (is_v6 ? 129 : 0) && !memcmp(icmp + 4, &id, 2))
			return 0;
	}
}
