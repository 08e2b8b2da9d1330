/*
 * Sends packets made by hand, as many as come on standard input: two bytes of length (network order), then the packet.
 *
 *   inject link IFNAME   puts Ethernet frames on an interface, as if a neighbour had sent them
 *   inject local IFNAME  sends IP packets of this host with a raw socket and mark 0x77
 *
 * Prints how many the kernel took or a filter refused (EPERM). Exit 1 and the error of the first one that failed otherwise.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MARK 0x77

static int raw_socket(int family)
{
	int fd = socket(family, SOCK_RAW, IPPROTO_RAW), one = 1, mark = MARK;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)) ||
	    setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &one, sizeof(one)))
		return -1;
	return fd;
}

int main(int argc, char **argv)
{
	static unsigned char packet[65536];
	struct sockaddr_ll link = { .sll_family = AF_PACKET };
	struct sockaddr_in to4 = { .sin_family = AF_INET };
	struct sockaddr_in6 to6 = { .sin6_family = AF_INET6 };
	int fd4, fd6, is_link, count = 0;
	unsigned char length_bytes[2];

	if (argc != 3)
		return 2;
	is_link = !strcmp(argv[1], "link");
	link.sll_ifindex = if_nametoindex(argv[2]);
	fd4 = is_link ? socket(AF_PACKET, SOCK_RAW, 0) : raw_socket(AF_INET);
	fd6 = is_link ? fd4 : raw_socket(AF_INET6);
	if (fd4 < 0 || fd6 < 0 || !link.sll_ifindex) {
		perror("inject: socket");
		return 1;
	}
	while (fread(length_bytes, 2, 1, stdin) == 1) {
		size_t length = (length_bytes[0] << 8) | length_bytes[1];
		ssize_t sent;

		if (fread(packet, length, 1, stdin) != 1)
			return 2;
		if (is_link) {
			sent = sendto(fd4, packet, length, 0, (struct sockaddr *)&link, sizeof(link));
		} else if (packet[0] >> 4 == 4) {
			memcpy(&to4.sin_addr, packet + 16, 4);
			sent = sendto(fd4, packet, length, 0, (struct sockaddr *)&to4, sizeof(to4));
		} else {
			memcpy(&to6.sin6_addr, packet + 24, 16);
			to6.sin6_scope_id = packet[24] >= 0xfe ? link.sll_ifindex : 0;
			sent = sendto(fd6, packet, length, 0, (struct sockaddr *)&to6, sizeof(to6));
		}
		if (sent < 0 && errno != EPERM) {
			fprintf(stderr, "inject: packet %d: %s\n", count, strerror(errno));
			return 1;
		}
		count++;
	}
	printf("%d\n", count);
	return 0;
}
