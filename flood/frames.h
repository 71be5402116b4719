/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The contract between frames.bpf.c, which writes frames, and the process that runs it:
 * what all frames have in common, which bits differ, and which checksums cover them.
 */
#ifndef FRAMES_H
#define FRAMES_H

#include <linux/types.h>

#define MOST_HEADER_BYTES 128
#define MOST_VARIED 12
#define MOST_SUMS 4

/* Bits of a word of the frame. They get a number's bits from `shift` on. */
struct varied {
	__u32 at; /* the word's first byte */
	__u32 shift;
	__u32 low; /* how many bits of the word, read as a number, are below them */
	__u32 mask; /* of these bits in the word, read as a number */
};

struct sum {
	__u32 at; /* its first byte */
	__u32 covers; /* one bit for each varied word that it covers */
	__u32 rest; /* the folded sum of everything else that it covers */
	__u32 never_zero; /* in UDP 0 means that there is no checksum */
};

struct plan {
	__u8 headers[MOST_HEADER_BYTES];
	__u32 length; /* of the headers */
	__u32 varied_count;
	__u32 sum_count;
	__u32 flows; /* cycle through this many numbers; 0: random numbers */
	struct varied varied[MOST_VARIED];
	struct sum sums[MOST_SUMS];
};

/* What a run reads and writes. Each thread's program has its own. */
struct progress {
	__u64 sent;
	__u64 number; /* the number of the next flow, or the last random number */
	__u64 in_run; /* frames written in the present run */
	__u64 first; /* when the run's first frame was written */
	__u64 latest; /* the time when last read, every CLOCK_EVERY frames */
};

#define CLOCK_EVERY 64

#endif
