/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef PLAN_H
#define PLAN_H

#include "frames.h"

/* Both end the process when the text is wrong. */
void parse_headers(struct plan *plan, const char *text);

/* Adds a run of bits, FIRST+BITS[@SUM,...], and returns how many they are. */
__u32 vary(struct plan *plan, const char *text, __u32 *shift);

#endif
