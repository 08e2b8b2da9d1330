/*
 * A tunnel interface whose other end is standard input and output: `tunnel NAME`. Packets start with their IP header; each
 * comes and goes as two bytes of length (network order) and the packet. The interface ends with the program, and the
 * program with its input. Writes a length of 0 once the interface exists.
 */
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int read_all(unsigned char *to, size_t length)
{
	size_t done = 0;

	while (done < length) {
		ssize_t more = read(0, to + done, length - done);

		if (more <= 0)
			return 0;
		done += more;
	}
	return 1;
}

static int write_packet(unsigned char *packet, size_t length)
{
	unsigned char head[2] = { length >> 8, length & 0xff };

	return write(1, head, 2) == 2 && write(1, packet, length) == (ssize_t)length;
}

int main(int argc, char **argv)
{
	static unsigned char packet[65536];
	struct ifreq request = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	int tunnel = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (argc != 2 || tunnel < 0)
		return 2;
	strncpy(request.ifr_name, argv[1], IFNAMSIZ - 1);
	if (ioctl(tunnel, TUNSETIFF, &request)) {
		perror("tunnel");
		return 1;
	}
	write_packet(packet, 0);
	for (;;) {
		struct pollfd ready[2] = { { .fd = 0, .events = POLLIN }, { .fd = tunnel, .events = POLLIN } };
		unsigned char head[2];

		if (poll(ready, 2, -1) < 0)
			return 1;
		if (ready[0].revents) {
			size_t length;

			if (!read_all(head, 2))
				return 0;
			length = (head[0] << 8) | head[1];
			if (!read_all(packet, length) || write(tunnel, packet, length) != (ssize_t)length)
				return 1;
		}
		if (ready[1].revents & POLLIN) {
			ssize_t length = read(tunnel, packet, sizeof(packet));

			if (length > 0 && !write_packet(packet, length))
				return 1;
		}
	}
}
