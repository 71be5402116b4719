/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Frames that are nearly like others. Equal numbers make equal variants, everywhere. */
#ifndef VARIANTS_H
#define VARIANTS_H

#include "engine.h"

/* Changes one frame a little, with pieces of another now and then. */
void vary(const struct frame *from, const struct frame *other, __u32 number,
	  __u32 longest, struct frame *into);

#endif
