/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A table in the memory of a process, which other processes may share. What is known of it
 * when it is compiled is constant, so that finding a value is as cheap as in an array of C.
 * Where the values are, each thread has in a view of its own: of a per-CPU map the threads have
 * values of their own, and of any other map the same ones. The process finds all tables
 * between __start_native_maps and __stop_native_maps.
 */
#ifndef PLATFORM_NATIVE_MAP_H
#define PLATFORM_NATIVE_MAP_H

#include <linux/bpf.h>
#include <linux/types.h>
#include <stddef.h>

/* The process sets it for each thread, before the first frame. */
struct native_view {
	void *values; /* an array's; of a hash, what the process's find() needs */
	unsigned long entries; /* likewise */
};

struct native_map {
	const char *name;
	__u32 kind; /* enum bpf_map_type */
	__u32 entries; /* unless the process chooses another number */
	__u32 key_size;
	__u32 value_size;
	struct native_view *(*here)(void); /* this thread's */
};

typedef const struct native_map *map_ref;

#define MAP(name_, kind_, entries_, key, value)          \
	static __thread struct native_view name_##_view; \
	static struct native_view *name_##_here(void)    \
	{                                                \
		return &name_##_view;                    \
	}                                                \
	static const struct native_map name_ = {         \
		.name = #name_,                          \
		.kind = kind_,                           \
		.entries = entries_,                     \
		.key_size = key,                         \
		.value_size = value,                     \
		.here = name_##_here,                    \
	};                                               \
	static map_ref name_##_known                     \
		__attribute__((section("native_maps"), used)) = &name_

/* Between two values, where AddressSanitizer finds whoever goes astray. */
#if __has_feature(address_sanitizer)
#define NATIVE_GAP 32
#else
#define NATIVE_GAP 0
#endif

/* Bytes from one value of an array to the next: as in an array of the kernel. */
#define STRIDE(map) ((((map)->value_size + 7UL) & ~7UL) + NATIVE_GAP)

static inline void *lookup(map_ref map, const void *key)
{
	const struct native_view *view = map->here();
	const __u32 at = *(const __u32 *)key;

	return at < view->entries ? view->values + at * STRIDE(map) : NULL;
}

/* The process sends nothing; it only says what would be sent. */
static inline int redirect(map_ref map, __u32 number)
{
	const __u32 *device = lookup(map, &number);

	return device && *device ? XDP_REDIRECT : XDP_DROP;
}

/* The process provides this for hashes, since it decides where their entries are. */
void *find(map_ref map, const void *key);

#endif
