// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <errno.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "errors.h"
#include "map.h"
#include "request.h"

static __u64 pointer(const void *to)
{
	return (__u64)(unsigned long)to;
}

static int bpf(enum bpf_cmd command, union bpf_attr *attributes)
{
	return syscall(SYS_bpf, command, attributes, sizeof(*attributes));
}

/* What an entry of such a map takes holds a value for each of these. */
static __u32 possible_processors(void)
{
	FILE *file = fopen("/sys/devices/system/cpu/possible", "r");
	unsigned int first, last, count = 0;
	char end;

	while (file && fscanf(file, "%u", &first) == 1) {
		last = first;
		if (fscanf(file, "%c", &end) == 1 && end == '-' &&
		    fscanf(file, "%u%c", &last, &end) < 1)
			break;
		count += last - first + 1;
	}
	if (!count)
		fail(ENOENT, "could not count the processors");
	fclose(file);
	return count;
}

static bool is_per_processor(__u32 type)
{
	return type == BPF_MAP_TYPE_PERCPU_ARRAY ||
	       type == BPF_MAP_TYPE_PERCPU_HASH ||
	       type == BPF_MAP_TYPE_LRU_PERCPU_HASH;
}

void open_map(struct map *map, __u32 id)
{
	struct bpf_map_info info = {};
	union bpf_attr attributes = { .map_id = id };
	int descriptor;

	if (map->descriptor >= 0 && map->id == id)
		return;
	close(map->descriptor);
	descriptor = bpf(BPF_MAP_GET_FD_BY_ID, &attributes);
	if (descriptor < 0)
		fail_at(errno, "could not open map", id);
	memset(&attributes, 0, sizeof(attributes));
	attributes.info.bpf_fd = descriptor;
	attributes.info.info_len = sizeof(info);
	attributes.info.info = pointer(&info);
	if (bpf(BPF_OBJ_GET_INFO_BY_FD, &attributes))
		fail_at(errno, "could not look at map", id);
	*map = (struct map){
		.descriptor = descriptor,
		.id = id,
		.type = info.type,
		.key_size = info.key_size,
		.value_size = info.value_size,
		.values = 1,
		.entry_size = info.value_size,
		.entries = info.max_entries,
	};
	if (is_per_processor(info.type)) {
		map->values = possible_processors();
		map->entry_size = (info.value_size + 7) / 8 * 8 * map->values;
	}
}

static void *room(size_t count, size_t size)
{
	void *made = calloc(count, size);

	if (!made)
		fail(ENOMEM, "could not hold the entries");
	return made;
}

/* Calls the kernel for one entry. */
static int call(enum bpf_cmd command, const struct map *map, const void *key,
		const void *value)
{
	union bpf_attr attributes = {
		.map_fd = map->descriptor,
		.key = pointer(key),
		.value = pointer(value),
	};

	return bpf(command, &attributes);
}

static void update_one(const struct map *map, const __u8 *key,
		       const __u8 *value, __u8 *entry)
{
	for (__u32 i = 0; i < map->values; i++)
		memcpy(entry + i * (map->entry_size / map->values), value,
		       map->value_size);
	if (call(BPF_MAP_UPDATE_ELEM, map, key, entry))
		fail_at(errno, "could not write to map", map->id);
}

void update_entries(const struct map *map, const __u8 *keys, const __u8 *values,
		    __u32 count)
{
	union bpf_attr attributes = { .batch = {
					      .keys = pointer(keys),
					      .values = pointer(values),
					      .count = count,
					      .map_fd = map->descriptor,
				      } };
	__u8 *entry;

	/*
	 * Cards' maps and kernels before 5.6 know no batches. After any
	 * other error the same entries fail by themselves, too.
	 */
	if (map->values == 1 && !bpf(BPF_MAP_UPDATE_BATCH, &attributes))
		return;
	entry = room(1, map->entry_size);
	for (__u32 i = 0; i < count; i++)
		update_one(map, keys + i * map->key_size,
			   values + i * map->value_size, entry);
	free(entry);
}

void delete_entries(const struct map *map, const __u8 *keys, __u32 count)
{
	for (__u32 i = 0; i < count; i++)
		if (call(BPF_MAP_DELETE_ELEM, map, keys + i * map->key_size,
			 NULL))
			fail_at(errno, "could not delete from map", map->id);
}

static void print_answer(const struct map *map, __u32 count)
{
	const struct answer answer = {
		.key_size = map->key_size,
		.value_size = map->value_size,
		.values = map->values,
		.count = count,
	};

	fwrite(&answer, sizeof(answer), 1, stdout);
}

static void print_entry(FILE *to, const struct map *map, const void *key,
			const __u8 *entry)
{
	fwrite(key, map->key_size, 1, to);
	for (__u32 i = 0; i < map->values; i++)
		fwrite(entry + i * (map->entry_size / map->values),
		       map->value_size, 1, to);
}

/* Whether they are a part of an array from its first to its last. */
static bool are_neighbours(const struct map *map, const __u32 *keys,
			   __u32 count)
{
	for (__u32 i = 1; i < count; i++)
		if (keys[i] != keys[0] + i)
			return false;
	return map->type == BPF_MAP_TYPE_ARRAY;
}

/* A batch of an array begins behind the key that it is given. */
static bool look_up_neighbours(const struct map *map, const __u32 *keys,
			       __u8 *entries, __u32 count)
{
	const __u32 before = keys[0] - 1;
	__u32 *found = room(count, sizeof(*found));
	__u32 last;
	union bpf_attr attributes = { .batch = {
					      .in_batch =
						      keys[0] ?
							      pointer(&before) :
							      0,
					      .out_batch = pointer(&last),
					      .keys = pointer(found),
					      .values = pointer(entries),
					      .count = count,
					      .map_fd = map->descriptor,
				      } };
	const bool is_done = !bpf(BPF_MAP_LOOKUP_BATCH, &attributes) ||
			     errno == ENOENT; /* the map ends there */
	const bool is_whole = is_done && attributes.batch.count == count &&
			      !memcmp(found, keys, count * sizeof(*keys));

	free(found);
	return is_whole;
}

void look_up_entries(const struct map *map, const __u8 *keys, __u32 count)
{
	__u8 *entries = room(count, map->entry_size);
	const bool is_done =
		map->key_size == sizeof(__u32) &&
		are_neighbours(map, (const __u32 *)keys, count) &&
		look_up_neighbours(map, (const __u32 *)keys, entries, count);

	for (__u32 i = 0; !is_done && i < count; i++)
		if (call(BPF_MAP_LOOKUP_ELEM, map, keys + i * map->key_size,
			 entries + (size_t)i * map->entry_size))
			fail_at(errno, "could not read from map", map->id);
	print_answer(map, count);
	for (__u32 i = 0; i < count; i++)
		print_entry(stdout, map, keys + i * map->key_size,
			    entries + (size_t)i * map->entry_size);
	free(entries);
}

static void dump_array(const struct map *map)
{
	__u32 *keys = room(map->entries, sizeof(*keys));

	for (__u32 i = 0; i < map->entries; i++)
		keys[i] = i;
	look_up_entries(map, (const __u8 *)keys, map->entries);
	free(keys);
}

/* What disappears meanwhile is left out, and so is what an entry of a device map lacks. */
static void dump_others(const struct map *map)
{
	__u8 *key = room(1, map->key_size), *next = room(1, map->key_size);
	__u8 *entry = room(1, map->entry_size), *swap;
	char *text;
	size_t size;
	FILE *found = open_memstream(&text, &size);
	const __u8 *before = NULL;
	__u32 count = 0;

	while (!call(BPF_MAP_GET_NEXT_KEY, map, before, next)) {
		swap = key;
		before = key = next;
		next = swap;
		if (call(BPF_MAP_LOOKUP_ELEM, map, key, entry)) {
			if (errno == ENOENT)
				continue;
			fail_at(errno, "could not read from map", map->id);
		}
		print_entry(found, map, key, entry);
		count++;
	}
	if (errno != ENOENT)
		fail_at(errno, "could not read the keys of map", map->id);
	fclose(found);
	print_answer(map, count);
	fwrite(text, 1, size, stdout);
	free(text);
	free(entry);
	free(key);
	free(next);
}

void dump_entries(const struct map *map)
{
	if (map->type == BPF_MAP_TYPE_ARRAY ||
	    map->type == BPF_MAP_TYPE_PERCPU_ARRAY)
		dump_array(map);
	else
		dump_others(map);
}
