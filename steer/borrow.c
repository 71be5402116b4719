// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "borrow.h"

/* Both are younger than the headers of Debian 12's libc, and old enough for its kernel. */
static int get_descriptor(int process, int number)
{
	const int pidfd = syscall(SYS_pidfd_open, process, 0);
	int copy, error;

	if (pidfd < 0)
		return -errno;
	copy = syscall(SYS_pidfd_getfd, pidfd, number, 0);
	error = errno;
	close(pidfd);
	return copy < 0 ? -error : copy;
}

/* Returns the number of the process's descriptor that is this link, or -1. */
static int find_descriptor(int process, const char *wanted)
{
	char folder[32], target[32];
	struct dirent *entry;
	int number = -1;
	ssize_t length;
	DIR *all;

	snprintf(folder, sizeof(folder), "/proc/%d/fd", process);
	all = opendir(folder);
	if (!all)
		return -1; /* it has ended */
	while (number < 0 && (entry = readdir(all))) {
		length = readlinkat(dirfd(all), entry->d_name, target,
				    sizeof(target) - 1);
		if (length < 0)
			continue;
		target[length] = '\0';
		if (!strcmp(target, wanted))
			number = atoi(entry->d_name);
	}
	closedir(all);
	return number;
}

int borrow_socket(__u32 inode)
{
	int process, number, result = -ENOENT;
	struct dirent *entry;
	char wanted[32];
	DIR *all;

	snprintf(wanted, sizeof(wanted), "socket:[%u]", inode);
	all = opendir("/proc");
	if (!all)
		return -errno;
	while (result < 0 && (entry = readdir(all))) {
		if (!isdigit(entry->d_name[0]))
			continue;
		process = atoi(entry->d_name);
		number = find_descriptor(process, wanted);
		if (number >= 0)
			result = get_descriptor(process, number);
	}
	closedir(all);
	return result;
}
