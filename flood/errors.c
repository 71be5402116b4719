// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "errors.h"
#include "options.h"

struct advice {
	int error;
	const char *cause;
	const char *next;
};

#define NO_XDP_OUT                                                        \
	"its driver cannot send XDP frames; or it is a veth whose other " \
	"end has neither GRO nor an XDP program"
#define GIVE_GRO                                                              \
	"for a veth, in the namespace of its other end: ethtool -K PEER gro " \
	"on"

static const struct advice all_advice[] = {
	{ EPERM, "sending frames needs root",
	  "run the same command with sudo" },
	{ EINVAL,
	  "the kernel is older than 5.18, or the frames are longer than a page",
	  "check uname -r, or send shorter frames" },
	{ EOPNOTSUPP, NO_XDP_OUT, GIVE_GRO },
	{ ENXIO, NO_XDP_OUT ", or is down", GIVE_GRO },
	{ ENETDOWN, "the device is down", "ip link set dev DEVICE up" },
	{ EMSGSIZE, "the frames are longer than the device's MTU allows",
	  "send shorter frames, or ip link set dev DEVICE mtu BYTES" },
	{ ENODEV,
	  "the name is mistyped, or the device is in another network namespace",
	  "ip link" },
};

void wrong_usage(const char *format, ...)
{
	va_list arguments;

	fputs("flood: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputs("\n(--help explains the options)\n", stderr);
	exit(EXIT_USAGE);
}

void fail(int error, const char *format, ...)
{
	const size_t known = sizeof(all_advice) / sizeof(all_advice[0]);
	va_list arguments;

	fputs("flood: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, ": %s\n", strerror(error));
	for (size_t i = 0; i < known; i++)
		if (all_advice[i].error == error)
			fprintf(stderr, "  likely cause: %s\n  next: %s\n",
				all_advice[i].cause, all_advice[i].next);
	exit(EXIT_FAILURE);
}
