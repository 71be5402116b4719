// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What can happen to entries/entries, for tests that preload this. With L4LB_STOP_AT it
 * stops once, before the first change that comes behind this share of its file; only a
 * process that writes holds a lock, as descriptor 3. With L4LB_NO_BATCHES the kernel does
 * as those before 5.6 do.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef long call(long number, long one, long two, long three, long four,
		  long five, long six);

static bool is_batch(long number, long command)
{
	return number == SYS_bpf && (command == BPF_MAP_UPDATE_BATCH ||
				     command == BPF_MAP_LOOKUP_BATCH);
}

static bool is_change(long number, long command)
{
	return number == SYS_bpf && (command == BPF_MAP_UPDATE_BATCH ||
				     command == BPF_MAP_UPDATE_ELEM ||
				     command == BPF_MAP_DELETE_ELEM);
}

static void stop_once(void)
{
	static bool has_stopped;
	const char *share = getenv("L4LB_STOP_AT");
	struct stat file;

	if (has_stopped || !share || fcntl(3, F_GETFD) < 0 ||
	    fstat(STDIN_FILENO, &file) ||
	    lseek(STDIN_FILENO, 0, SEEK_CUR) < atof(share) * file.st_size)
		return;
	has_stopped = true;
	raise(SIGSTOP);
}

/* In place of the C library's, which is declared with other arguments. */
call intercepted __asm__("syscall");

long intercepted(long number, long one, long two, long three, long four,
		 long five, long six)
{
	call *next = (call *)dlsym(RTLD_NEXT, "syscall");

	if (is_batch(number, one) && getenv("L4LB_NO_BATCHES")) {
		errno = EINVAL;
		return -1;
	}
	if (is_change(number, one))
		stop_once();
	return next(number, one, two, three, four, five, six);
}
