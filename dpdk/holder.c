// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "errors.h"
#include "holder.h"

/* A message of one byte with one descriptor. */
struct parcel {
	struct msghdr header;
	struct iovec bytes;
	char byte;
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
};

static struct msghdr *wrap(struct parcel *parcel)
{
	memset(parcel, 0, sizeof(*parcel));
	parcel->bytes = (struct iovec){ &parcel->byte, sizeof(parcel->byte) };
	parcel->header = (struct msghdr){
		.msg_iov = &parcel->bytes,
		.msg_iovlen = 1,
		.msg_control = parcel->control.bytes,
		.msg_controllen = sizeof(parcel->control.bytes),
	};
	return &parcel->header;
}

/* Leaves the terminal, the session and the folder that it was started in. */
static void settle(void)
{
	const int nothing = open("/dev/null", O_RDWR);

	if (setsid() < 0 || chdir("/") || nothing < 0)
		_exit(EXIT_FAILURE);
	for (int standard = 0; standard < 3; standard++)
		dup2(nothing, standard);
	prctl(PR_SET_NAME, "l4lb-tables");
}

static void __attribute__((noreturn)) wait_to_hold(int channel)
{
	struct parcel parcel;
	char all_well = 1;

	/* Ctrl-C is for the one that runs packets. */
	settle();
	if (recvmsg(channel, wrap(&parcel), 0) != 1 ||
	    !CMSG_FIRSTHDR(&parcel.header) ||
	    send(channel, &all_well, sizeof(all_well), MSG_NOSIGNAL) != 1)
		_exit(EXIT_SUCCESS); /* dismissed */
	close(channel);
	for (;;)
		pause();
}

struct holder start_holder(void)
{
	struct holder holder;
	int both[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, both))
		fail(NULL, NULL, "a channel to the tables' holder: %s",
		     strerror(errno));
	holder.channel = both[0];
	holder.pid = fork();
	if (holder.pid < 0)
		fail(NULL, NULL, "the tables' holder: %s", strerror(errno));
	if (!holder.pid) {
		close(both[0]);
		wait_to_hold(both[1]);
	}
	close(both[1]);
	return holder;
}

void hold(struct holder *holder, int program)
{
	struct parcel parcel;
	struct msghdr *message = wrap(&parcel);
	struct cmsghdr *control = CMSG_FIRSTHDR(message);
	char answer;

	control->cmsg_level = SOL_SOCKET;
	control->cmsg_type = SCM_RIGHTS;
	control->cmsg_len = CMSG_LEN(sizeof(program));
	memcpy(CMSG_DATA(control), &program, sizeof(program));
	if (sendmsg(holder->channel, message, MSG_NOSIGNAL) != 1 ||
	    recv(holder->channel, &answer, sizeof(answer), 0) != 1)
		fail(NULL, NULL, "the tables' holder has ended");
	close(holder->channel);
}

void dismiss(struct holder *holder)
{
	close(holder->channel);
	waitpid(holder->pid, NULL, 0);
}
