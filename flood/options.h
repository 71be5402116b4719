/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef OPTIONS_H
#define OPTIONS_H

#include "frames.h"

struct options {
	const char *device;
	__u32 ifindex;
	struct plan plan;
	__u32 length; /* of the frame */
	__u64 count; /* frames to send; 0: until the time is over */
	__u64 nanoseconds; /* how long to send; 0: until all frames are sent */
	__u64 rate; /* frames a second of all threads; 0: as fast as possible */
	__u32 threads;
	__u32 batch;
};

enum { EXIT_USAGE = 2 };

/* Parses the command line. Ends the process if it is wrong or asks for help. */
struct options parse_options(int argc, char **argv);

#endif
