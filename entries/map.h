/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A BPF map and its entries, by bpf(2). What the kernel refuses ends the process. */
#ifndef MAP_H
#define MAP_H

#include <linux/types.h>

struct map {
	int descriptor; /* -1: not open */
	__u32 id;
	__u32 type;
	__u32 key_size;
	__u32 value_size; /* of one value */
	__u32 values; /* of an entry: one, or one for each processor */
	__u32 entry_size; /* of all its values, as the kernel has them */
	__u32 entries;
};

/* Opens the map unless it is the one that is open. */
void open_map(struct map *map, __u32 id);

/* Processors that count by themselves all get the same value. */
void update_entries(const struct map *map, const __u8 *keys, const __u8 *values,
		    __u32 count);
void delete_entries(const struct map *map, const __u8 *keys, __u32 count);

/* Both print a struct answer. A key that is not there ends the process. */
void look_up_entries(const struct map *map, const __u8 *keys, __u32 count);
void dump_entries(const struct map *map);

#endif
