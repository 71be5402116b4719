/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The Internet checksum, RFC 1071: of a whole header, and after a change. */
#ifndef SUMS_H
#define SUMS_H

#include "platform/platform.h"

/* Each fold at least halves the bits above 16; four are enough for 64. */
static __always_inline __u16 fold_sum(__u64 sum)
{
#pragma unroll
	for (int i = 0; i < 4; i++)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/*
 * A checksum after one word under it changed: RFC 1624, equation 3. It is 0 where the
 * new sum is 0xffff, as it would be if all were summed up afresh, and where it is 0, which
 * is wrong. An IP header and what has a pseudo header never have a sum of 0; what may,
 * has to take care of that: see echo.h.
 */
static __always_inline __u16 update_checksum(__u16 checksum, __be16 before,
					     __be16 after)
{
	return ~fold_sum((__u64)(__u16)~checksum + (__u16)~before + after);
}

#endif
