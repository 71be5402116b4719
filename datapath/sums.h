/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The Internet checksum, RFC 1071: of a whole header, and after a change. */
#ifndef SUMS_H
#define SUMS_H

#include "platform/platform.h"

/* Each fold at least halves the number of bits above 16, so four are enough for 64. */
static __always_inline __u16 fold_sum(__u64 sum)
{
#pragma unroll
	for (int i = 0; i < 4; i++)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/*
 * Returns the checksum after one word under it has changed: RFC 1624, equation 3. It
 * returns 0 if the new sum is 0xffff, which is right, and also if the new sum is 0,
 * which is wrong. The sum of an IP header is never 0, nor is a sum over a pseudo
 * header. A caller whose sum can be 0 has to take care of it: see echo.h.
 */
static __always_inline __u16 update_checksum(__u16 checksum, __be16 before,
					     __be16 after)
{
	return ~fold_sum((__u64)(__u16)~checksum + (__u16)~before + after);
}

#endif
