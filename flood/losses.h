/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The contract between the program that counts lost frames and the one that reads it. */
#ifndef LOSSES_H
#define LOSSES_H

#include <linux/types.h>

/* Identifies a device: an ifindex is unique only within its namespace. */
struct watched {
	__u32 ifindex;
	__u32 namespace_inode;
};

struct losses {
	__u64 frames;
	__s32 error; /* the last reason, as a negative errno; 0: a full queue */
};

#endif
