// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * entries: writes and reads the entries of BPF maps, thousands in one call of the
 * kernel's. bpftool does one at a time, and takes and prints each as text.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "errors.h"
#include "map.h"
#include "request.h"

static const char usage[] =
	"Usage: entries <FILE\n"
	"\n"
	"FILE holds blocks, each a struct block of request.h with its\n"
	"keys and values. All are checked before the first one is\n"
	"done. They are done in their order, each entry by itself or\n"
	"many in one call, and the first that fails ends it. What is\n"
	"looked up or dumped is printed as a struct answer with keys\n"
	"and values.\n";

static __u8 payload[MOST_BYTES];

static bool read_whole(void *to, size_t size)
{
	return fread(to, 1, size, stdin) == size;
}

/* Returns false at the end of the file. */
static bool next_block(struct block *block)
{
	const size_t read = fread(block, 1, sizeof(*block), stdin);

	if (read != 0 && read != sizeof(*block))
		wrong_usage("the file ends in the middle of a block");
	return read != 0;
}

static void check_block(const struct block *block, const struct map *map)
{
	const bool has_keys = block->kind != DUMP;
	const bool has_values = block->kind == UPDATE;

	if (block->kind > DUMP)
		wrong_usage("a block is of no known kind");
	if (block->key_size != (has_keys ? map->key_size : 0))
		wrong_usage("keys of another size than the map has");
	if (block->value_size != (has_values ? map->value_size : 0))
		wrong_usage("values of another size than the map has");
	if (has_keys != (block->count > 0))
		wrong_usage("a block has no keys, or a dump has some");
	if (bytes_in(block) > MOST_BYTES)
		wrong_usage("a block is too large");
}

/* Nothing is written yet, so a file that is cut short or wrong changes no map. */
static void check_all(void)
{
	struct map map = { .descriptor = -1 };
	struct block block;

	while (next_block(&block)) {
		open_map(&map, block.map);
		check_block(&block, &map);
		if (!read_whole(payload, bytes_in(&block)))
			wrong_usage("the file ends in the middle of a block");
	}
	close(map.descriptor);
}

static void do_block(const struct block *block, const struct map *map)
{
	const __u8 *values = payload + (size_t)block->count * block->key_size;

	switch (block->kind) {
	case UPDATE:
		update_entries(map, payload, values, block->count);
		break;
	case DELETE:
		delete_entries(map, payload, block->count);
		break;
	case LOOKUP:
		look_up_entries(map, payload, block->count);
		break;
	default:
		dump_entries(map);
	}
}

static void do_all(void)
{
	struct map map = { .descriptor = -1 };
	struct block block;

	while (next_block(&block)) {
		open_map(&map, block.map);
		if (!read_whole(payload, bytes_in(&block)))
			wrong_usage("the file became shorter");
		do_block(&block, &map);
	}
}

int main(int count, char **arguments)
{
	struct stat file;

	if (count == 2 && !strcmp(arguments[1], "--help")) {
		fputs(usage, stdout);
		return EXIT_SUCCESS;
	}
	if (count != 1)
		wrong_usage("it takes no arguments");
	/* The writer of a pipe could be killed in the middle of it. */
	if (fstat(STDIN_FILENO, &file) || !S_ISREG(file.st_mode))
		wrong_usage("stdin is not a file");
	check_all();
	rewind(stdin);
	do_all();
	if (fflush(stdout))
		fail(errno, "the answers could not be printed");
	return EXIT_SUCCESS;
}
