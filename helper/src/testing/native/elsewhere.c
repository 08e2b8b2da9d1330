/*
 * One datagram socket: connects to ADDRESS PORT, asks there COUNT times, then sends from the same socket to PORT2 of the same
 * address. Exit 0 = everything was answered and the last was sent, 1 = an answer is missing, 2 = the last was refused.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

int main(int argc, char **argv)
{
	int is_v6 = argc > 1 && strchr(argv[1], ':') != NULL;
	struct sockaddr_in to4 = { .sin_family = AF_INET };
	struct sockaddr_in6 to6 = { .sin6_family = AF_INET6 };
	struct sockaddr *to = is_v6 ? (struct sockaddr *)&to6 : (struct sockaddr *)&to4;
	socklen_t length = is_v6 ? sizeof(to6) : sizeof(to4);
	struct timeval patience = { .tv_sec = 2 };
	int fd = socket(to->sa_family, SOCK_DGRAM, 0);
	char bytes[16] = "question", answer[64];

	if (argc < 5 || fd < 0 || inet_pton(to->sa_family, argv[1], is_v6 ? (void *)&to6.sin6_addr : &to4.sin_addr) != 1)
		return 3;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	to4.sin_port = to6.sin6_port = htons(atoi(argv[2]));
	if (connect(fd, to, length))
		return 3;
	for (int i = 0; i < atoi(argv[3]); i++)
		if (send(fd, bytes, sizeof(bytes), 0) < 0 || recv(fd, answer, sizeof(answer), 0) < 0)
			return 1;
	to4.sin_port = to6.sin6_port = htons(atoi(argv[4]));
	if (sendto(fd, bytes, sizeof(bytes), 0, to, length) < 0)
		return errno == EPERM ? 2 : 3;
	return 0;
}
