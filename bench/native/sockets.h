// SPDX-License-Identifier: Apache-2.0
// What the traffic programs of the benchmarks share.
#ifndef BENCH_SOCKETS_H
#define BENCH_SOCKETS_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

__attribute__((unused)) static unsigned long long now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (unsigned long long)ts.tv_sec * 1000000000ull + (unsigned long long)ts.tv_nsec;
}

__attribute__((unused)) static void fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

/* FAMILY is "4" or "6". Ends the program when the address is none. */
__attribute__((unused)) static socklen_t parse(const char *family, const char *address, const char *port,
					       struct sockaddr_storage *out)
{
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
	struct sockaddr_in *in4 = (struct sockaddr_in *)out;
	int is_ipv6 = strcmp(family, "6") == 0;

	memset(out, 0, sizeof(*out));
	out->ss_family = is_ipv6 ? AF_INET6 : AF_INET;
	in4->sin_port = htons((unsigned short)atoi(port));
	if (inet_pton(out->ss_family, address, is_ipv6 ? (void *)&in6->sin6_addr : (void *)&in4->sin_addr) != 1) {
		fprintf(stderr, "%s is not an address\n", address);
		exit(2);
	}
	return is_ipv6 ? sizeof(*in6) : sizeof(*in4);
}

__attribute__((unused)) static int compare(const void *left, const void *right)
{
	unsigned int a = *(const unsigned int *)left, b = *(const unsigned int *)right;

	return a < b ? -1 : a > b;
}

#endif
