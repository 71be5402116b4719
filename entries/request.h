/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a file for entries holds, and what is answered; src/system/entries.ts says the same. */
#ifndef REQUEST_H
#define REQUEST_H

#include <linux/types.h>

enum kind {
	UPDATE, /* keys, then as many values */
	DELETE, /* keys */
	LOOKUP, /* keys */
	DUMP, /* neither */
};

/* All numbers are in the host's order. Keys and values follow. */
struct block {
	__u32 kind;
	__u32 map; /* its id */
	__u32 key_size;
	__u32 value_size; /* 0 where there are no values */
	__u32 count;
};

/* The entries follow, each a key and a value for each processor that counts by itself. */
struct answer {
	__u32 key_size;
	__u32 value_size; /* of one value */
	__u32 values; /* in an entry */
	__u32 count;
};

/* Of keys and values in a block. */
#define MOST_BYTES (1 << 20)

static inline __u64 bytes_in(const struct block *block)
{
	return (__u64)block->count *
	       ((__u64)block->key_size + block->value_size);
}

#endif
