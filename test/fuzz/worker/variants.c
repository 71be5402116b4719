// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <string.h>

#include "variants.h"

#define SHORTEST 14
#define HEADERS 120 /* most changes are within so many bytes */

/* Bytes that mean something somewhere: as in ../packets.ts. */
static const __u8 telling[] = { 0,  1,	2,    4,    5,	  6,  8,  17,
				41, 43, 44,   45,   51,	  58, 59, 60,
				64, 69, 0x60, 0x7f, 0x80, 255 };

static __u32 state;

/* mulberry32, as in ../random.ts. */
static __u32 word(void)
{
	__u32 t = state += 0x6d2b79f5;

	t = (t ^ t >> 15) * (1 | t);
	t = (t + (t ^ t >> 7) * (61 | t)) ^ t;
	return t ^ t >> 14;
}

static __u32 below(__u32 bound)
{
	return (__u64)word() * bound >> 32;
}

static __u8 telling_byte(void)
{
	return telling[below(sizeof(telling))];
}

/* Pushes in bytes, or takes some out. */
static void move(struct frame *frame, __u32 at, int by, __u32 longest)
{
	__u32 rest = frame->length - at;

	if (by < 0 && (__u32)-by > rest)
		by = -(int)rest;
	if (frame->length + by > longest || frame->length + by < SHORTEST)
		return;
	if (by < 0)
		memmove(frame->bytes + at, frame->bytes + at - by, rest + by);
	else
		memmove(frame->bytes + at + by, frame->bytes + at, rest);
	frame->length += by;
}

static void change(struct frame *frame, const struct frame *other,
		   __u32 longest)
{
	static const __u8 lengths[] = { 1, 4, 8, 20, 40 };
	const __u32 head = frame->length < HEADERS ? frame->length : HEADERS;
	const __u32 at = below(head), some = lengths[below(sizeof(lengths))];
	__u8 *byte = frame->bytes + at;
	__u16 number;

	switch (below(12)) {
	case 0:
		frame->length = SHORTEST + below(frame->length - SHORTEST + 1);
		break;
	case 1:
	case 2:
		*byte ^= 1 << below(8);
		break;
	case 3:
		*byte = word();
		break;
	case 4:
	case 5:
		*byte = telling_byte();
		break;
	case 6:
	case 7: /* a number of two bytes: one more or less, or 0, or the most */
		if (at + sizeof(number) > frame->length)
			break;
		number = byte[0] << 8 | byte[1];
		number = (const __u16[]){ number - 1, number + 1, 0,
					  0xffff }[below(4)];
		byte[0] = number >> 8;
		byte[1] = number;
		break;
	case 8:
		move(frame, at < SHORTEST ? SHORTEST : at, some, longest);
		break;
	case 9:
		move(frame, at < SHORTEST ? SHORTEST : at, -(int)some, longest);
		break;
	case 10: /* what another has at the same place */
		if (at + some <= frame->length && at + some <= other->length)
			memcpy(byte, other->bytes + at, some);
		break;
	default: /* the beginning of one, and the rest of another */
		if (at < SHORTEST || at >= other->length)
			break;
		memcpy(byte, other->bytes + at, other->length - at);
		frame->length = other->length;
	}
}

void vary(const struct frame *from, const struct frame *other, __u32 number,
	  __u32 longest, struct frame *into)
{
	__u32 changes;

	state = number * 0x9e3779b1;
	into->length = from->length;
	memcpy(into->bytes, from->bytes, from->length);
	for (changes = 1 + below(3); changes; changes--)
		change(into, other, longest);
}
