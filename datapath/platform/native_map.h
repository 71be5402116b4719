/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A table in the memory of a process, which other processes may share. The process finds
 * all tables between __start_native_maps and __stop_native_maps.
 */
#ifndef PLATFORM_NATIVE_MAP_H
#define PLATFORM_NATIVE_MAP_H

#include <linux/bpf.h>
#include <linux/types.h>
#include <stddef.h>
#include <string.h>

struct native_map {
	const char *name;
	__u32 kind; /* enum bpf_map_type; a per-CPU map has one value per process */
	__u32 entries;
	__u32 key_size;
	__u32 value_size;
	/* The process sets these: */
	void *values; /* an array's values; in a hash each follows its key */
	unsigned long stride; /* bytes from one entry to the next */
	unsigned long used; /* the number of used entries of a hash */
};

#define MAP(name_, kind_, entries_, key, value)                             \
	static struct native_map name_ __attribute__((                      \
		section("native_maps"), used, aligned(sizeof(void *)))) = { \
		.name = #name_,                                             \
		.kind = kind_,                                              \
		.entries = entries_,                                        \
		.key_size = key,                                            \
		.value_size = value,                                        \
	}

static inline void *lookup(const struct native_map *map, const void *key)
{
	const __u32 at = *(const __u32 *)key;

	return at < map->entries ? map->values + at * map->stride : NULL;
}

/* The process sends nothing; it only says what would be sent. */
static inline int redirect(const struct native_map *map, __u32 number)
{
	const __u32 *device = lookup(map, &number);

	return device && *device ? XDP_REDIRECT : XDP_DROP;
}

/* Compares one entry after the other, because such tables have few entries. */
static inline void *find(const struct native_map *map, const void *key)
{
	for (unsigned long at = 0; at < map->used; at++) {
		void *entry = map->values + at * map->stride;

		if (!memcmp(entry, key, map->key_size))
			return entry + map->key_size;
	}
	return NULL;
}

#endif
