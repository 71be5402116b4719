/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef OPTIONS_H
#define OPTIONS_H

#include "frames.h"

struct options {
	const char *device;
	__u32 ifindex;
	struct plan plan;
	__u32 length; /* of the frame */
	__u64 count; /* 0: until the time is over */
	__u64 nanoseconds; /* 0: until all are sent */
	__u64 rate; /* of all threads, in frames a second; 0: as fast as it goes */
	__u32 threads;
	__u32 batch;
};

enum { EXIT_USAGE = 2 };

/* Ends the process when the command line is wrong, or asks for help. */
struct options parse_options(int argc, char **argv);

#endif
