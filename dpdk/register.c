// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "errors.h"
#include "register.h"

#define FOLDER "/run/l4lb"

static char path[256], next_path[sizeof(path) + 8];

/* Nobody but root may enter the folder: see src/system/lock.ts, which makes it too. */
static void make_folder(void)
{
	struct stat there;

	if (mkdir(FOLDER, 0700) && errno != EEXIST)
		fail(NULL, "ls -ld /run; df /run", FOLDER ": %s",
		     strerror(errno));
	if (lstat(FOLDER, &there) || !S_ISDIR(there.st_mode) ||
	    there.st_uid != geteuid() || there.st_mode & 077)
		fail("another program made it, or somebody who may write to "
		     "/run",
		     "look at it with ls -ld " FOLDER ", and remove it",
		     FOLDER " is not a folder that only root can enter");
}

void claim_registration(const char *device)
{
	char lock_path[sizeof(path) + 8];
	struct registration other;
	struct stat namespace;
	int lock;

	make_folder();
	if (stat("/proc/self/ns/net", &namespace))
		fail(NULL, NULL, "/proc/self/ns/net: %s", strerror(errno));
	snprintf(path, sizeof(path), FOLDER "/%lu-%s.dpdk",
		 (unsigned long)namespace.st_ino, device);
	snprintf(next_path, sizeof(next_path), "%s.new", path);
	snprintf(lock_path, sizeof(lock_path), "%s.lock", path);
	lock = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (lock < 0)
		fail(NULL, "ls -ld " FOLDER "; df /run", "%s: %s", lock_path,
		     strerror(errno));
	if (flock(lock, LOCK_EX | LOCK_NB)) {
		if (read_registration(&other) && lives(&other.process))
			fail(NULL, "kill it first, or name another --device",
			     "process %d balances for %s already",
			     other.process.pid, device);
		fail(NULL, "pgrep -a l4lb-dpdk",
		     "another l4lb-dpdk is about to balance for %s", device);
	}
}

#define IDENTITY "%d %llu %lu"
#define HEAD(name) \
	"program %u\nname " name "\nholder " IDENTITY "\nprocess " IDENTITY "\n"

bool read_registration(struct registration *registration)
{
	struct identity *holder = &registration->holder;
	struct identity *process = &registration->process;
	FILE *file = fopen(path, "re");
	int read;

	memset(registration, 0, sizeof(*registration));
	if (!file)
		return false;
	read = fscanf(file, HEAD("%15s"), &registration->program,
		      registration->name, &holder->pid, &holder->started,
		      &holder->pids, &process->pid, &process->started,
		      &process->pids);
	fclose(file);
	return read == 8;
}

/* By rename, so that nobody reads half of it. */
bool write_registration(const struct registration *registration)
{
	const struct identity *holder = &registration->holder;
	const struct identity *process = &registration->process;
	const struct traffic *traffic = &registration->traffic;
	FILE *file = fopen(next_path, "we");
	bool is_written;

	if (!file)
		return false;
	fprintf(file, HEAD("%s"), registration->program, registration->name,
		holder->pid, holder->started, holder->pids, process->pid,
		process->started, process->pids);
	fprintf(file,
		"port %s\nexception %s\n"
		"received %llu\nsent %llu\nmissed %llu\nsend_full %llu\n"
		"up %llu\nup_full %llu\ndown %llu\ndown_full %llu\n"
		"answered %llu\ndropped %llu\n",
		registration->port, registration->has_exception ? "yes" : "no",
		traffic->received, traffic->sent, traffic->missed,
		traffic->send_full, traffic->up, traffic->up_full,
		traffic->down, traffic->down_full, traffic->answered,
		traffic->dropped);
	is_written = !ferror(file);
	return !fclose(file) && is_written && !rename(next_path, path);
}
