// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "errors.h"

struct advice {
	int error;
	const char *cause;
	const char *next;
};

static const struct advice all_advice[] = {
	{ EPERM, "it takes root, and a BPF file system to pin the link in",
	  "as root: mount -t bpf bpf /sys/fs/bpf" },
	{ EINVAL, "the kernel is older than 5.9", "uname -r" },
	{ ENOENT, "no BPF file system is mounted there",
	  "mount -t bpf bpf /sys/fs/bpf" },
	{ E2BIG, "64 programs of this network namespace choose sockets already",
	  "bpftool link" },
	{ EOPNOTSUPP, "the kernel was built without CONFIG_BPF_STREAM_PARSER",
	  "zgrep BPF_STREAM_PARSER /proc/config.gz /boot/config-*" },
};

void wrong_usage(const char *what)
{
	fprintf(stderr, "steer: %s\n(--help explains the commands)\n", what);
	exit(EXIT_USAGE);
}

void fail(int error, const char *what)
{
	const size_t known = sizeof(all_advice) / sizeof(all_advice[0]);

	fprintf(stderr, "steer: %s: %s\n", what, strerror(error));
	for (size_t i = 0; i < known; i++)
		if (all_advice[i].error == error)
			fprintf(stderr, "  likely cause: %s\n  next: %s\n",
				all_advice[i].cause, all_advice[i].next);
	exit(EXIT_FAILURE);
}
