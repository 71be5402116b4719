/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the tools know of this process: a file in /run/l4lb, named by the network namespace
 * and the device. src/system/dpdk.ts reads it.
 */
#ifndef REGISTER_H
#define REGISTER_H

#include <linux/types.h>
#include <stdbool.h>

#include "identity.h"

/* Of the process alone; what the program does with a packet is in its own counters. */
struct traffic {
	unsigned long long received, sent, missed, send_full;
	unsigned long long up, up_full, down, down_full;
	unsigned long long answered, dropped;
};

struct registration {
	__u32 program;
	char name[16]; /* of the program, which has its ABI version */
	struct identity holder; /* of the tables */
	struct identity process; /* pid 0: none runs packets */
	char port[64];
	bool has_exception; /* the device is the host's, and not the port's own */
	struct traffic traffic;
};

/*
 * Names the file, and makes the folder if it is missing. Ends the process if another one does
 * the same for this device, or is about to: the first keeps a lock as long as it lives.
 */
void claim_registration(const char *device);
/* False if there is none, or none that can be read. */
bool read_registration(struct registration *registration);
/* False if it could not be written; errno says why. */
bool write_registration(const struct registration *registration);

#endif
