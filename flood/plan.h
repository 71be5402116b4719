/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef PLAN_H
#define PLAN_H

#include "frames.h"

/* Both functions end the process if the text is wrong. */
void parse_headers(struct plan *plan, const char *text);

/* Adds a run of bits, FIRST+BITS[@SUM,...], and returns the number of bits. */
__u32 vary(struct plan *plan, const char *text, __u32 *shift);

#endif
