// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "datapath/platform/native.h"
#include "identity.h"

#define SECOND 1000000000LL
#define TICKS_A_SECOND 100 /* USER_HZ */

static long long monotonic_offset;

/* By how many nanoseconds this time namespace is ahead of the host; 0 without one. */
static long long offset_of(const char *clock)
{
	FILE *file = fopen("/proc/self/timens_offsets", "re");
	long long seconds, nanoseconds, found = 0;
	char name[16];

	if (!file)
		return 0; /* the kernel has no time namespaces */
	while (fscanf(file, "%15s %lld %lld", name, &seconds, &nanoseconds) ==
	       3)
		if (!strcmp(name, clock))
			found = seconds * SECOND + nanoseconds;
	fclose(file);
	return found;
}

void prepare_clock(void)
{
	monotonic_offset = offset_of("monotonic");
}

__u64 coarse_nanoseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return now.tv_sec * SECOND + now.tv_nsec - monotonic_offset;
}

/* When a process started; 0 if there is none. */
static unsigned long long start_of(pid_t pid)
{
	unsigned long long started = 0;
	char path[32], text[1024];
	const char *behind_name;
	size_t length;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	length = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[length] = '\0';
	behind_name = strrchr(text, ')');
	/* The 22nd field; the name, which is the second, may contain anything. */
	if (!behind_name || sscanf(behind_name + 1,
				   " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u "
				   "%*u %*u %*u %*d %*d %*d "
				   "%*d %*d %*d %llu",
				   &started) != 1)
		return 0;
	return started - offset_of("boottime") / (SECOND / TICKS_A_SECOND);
}

static unsigned long pid_namespace(void)
{
	struct stat namespace;

	return stat("/proc/self/ns/pid", &namespace) ? 0 : namespace.st_ino;
}

struct identity identify(pid_t pid)
{
	return (struct identity){
		.pid = pid,
		.started = start_of(pid),
		.pids = pid_namespace(),
	};
}

bool lives(const struct identity *process)
{
	const unsigned long long now = start_of(process->pid);

	/* The offset of a time namespace can shift the result by a tick. */
	return process->pids == pid_namespace() && now &&
	       now + 1 >= process->started && now <= process->started + 1;
}
