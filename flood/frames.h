/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The contract between the program that writes frames and the one that runs it: what
 * all frames have in common, which bits differ, and which checksums cover them.
 */
#ifndef FRAMES_H
#define FRAMES_H

#include <linux/types.h>

#define MOST_HEADER_BYTES 128
#define MOST_VARIED 12
#define MOST_SUMS 4

/* Bits of a word of the frame, which are those from `shift` on of a number. */
struct varied {
	__u32 at; /* the word's first byte */
	__u32 shift;
	__u32 low; /* bits of the word, read as a number, to the right of them */
	__u32 mask; /* of the word, read as a number */
};

struct sum {
	__u32 at;
	__u32 covers; /* a bit for each of the varied words */
	__u32 rest; /* the sum of all else that it covers, folded */
	__u32 never_zero; /* in UDP zero says that there is none */
};

struct plan {
	__u8 headers[MOST_HEADER_BYTES];
	__u32 length; /* of the headers */
	__u32 varied_count;
	__u32 sum_count;
	__u32 flows; /* that many numbers, again and again; 0: random ones */
	struct varied varied[MOST_VARIED];
	struct sum sums[MOST_SUMS];
};

/* What a run reads and writes; each thread has its own program, and so its own. */
struct progress {
	__u64 sent;
	__u64 number; /* of the next flow, or the last random one */
	__u64 in_run; /* frames of the present run */
	__u64 first; /* when the first of these was written */
	__u64 latest; /* and the latest of each CLOCK_EVERY */
};

#define CLOCK_EVERY 64

#endif
