/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A table in the memory of a process, which other processes may share. Each thread has a
 * view of its own of every table: of a per-CPU map the views have values of their own, and
 * of any other map the same ones. The process finds the views of a thread by the functions
 * between __start_native_maps and __stop_native_maps.
 */
#ifndef PLATFORM_NATIVE_MAP_H
#define PLATFORM_NATIVE_MAP_H

#include <linux/bpf.h>
#include <linux/types.h>
#include <stddef.h>

struct native_map {
	const char *name;
	__u32 kind; /* enum bpf_map_type */
	__u32 entries;
	__u32 key_size;
	__u32 value_size;
	/* The process sets these: */
	void *values; /* an array's values; of a hash, what its find() needs */
	unsigned long stride; /* bytes from one entry to the next */
	unsigned long used; /* likewise for find() */
};

/* Returns this thread's view of one table. */
typedef struct native_map *native_map_here(void);

#define MAP(name_, kind_, entries_, key, value)      \
	static __thread struct native_map name_ = {  \
		.name = #name_,                      \
		.kind = kind_,                       \
		.entries = entries_,                 \
		.key_size = key,                     \
		.value_size = value,                 \
	};                                           \
	static struct native_map *name_##_here(void) \
	{                                            \
		return &name_;                       \
	}                                            \
	static native_map_here *const name_##_view   \
		__attribute__((section("native_maps"), used)) = name_##_here

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

/* The process provides this for hashes, since it decides where their entries are. */
void *find(const struct native_map *map, const void *key);

#endif
