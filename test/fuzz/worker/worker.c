// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Runs frames as it is told on stdin, and answers on stdout, all in the words of this
 * machine. ../worker.ts is the other end. A request is a letter and what it needs:
 *
 *   w NAME COUNT (KEY VALUE)...    writes values into a table; NAME is a byte that says
 *                                  how long it is, and its letters
 *   z NAME                         zeros into all of it
 *   e NAME                         empties a hash
 *   d NAME                         dumps it: entries, bytes of a value, all values
 *   s NAME                         dumps what is not zeros: entries, bytes of a value, and
 *                                  each with its number in front
 *   o COUNT (KEY VALUE)...         closes all sockets and opens these, where the program
 *                                  asks the kernel for sockets; tells the sequence
 *                                  number of each
 *   c NANOSECONDS                  sets the clock, where it is not the kernel's
 *   t                              tells its seconds
 *   f COUNT (LENGTH FRAME)...      runs frames: for each an action, a length, the frame.
 *                                  They are kept for the next request
 *   x SEED FIRST COUNT WHOLE       runs variants of these frames, from FIRST on: for each
 *                                  a number that stands for all that came of it, or if
 *                                  WHOLE the length, the variant itself, action, length,
 *                                  and frame
 *   .                              sends the answers so far, behind their length
 */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine.h"
#include "sockets.h"
#include "variants.h"

#define MOST_FRAMES 4096

static struct frame *frames[MOST_FRAMES];
static __u32 frame_count;
static struct frame in, out;
static __u8 *answers;
static size_t answers_length, answers_room;

void fail(const char *format, ...)
{
	va_list arguments;

	fflush(stdout);
	fputs("worker: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(EXIT_FAILURE);
}

__u32 wanted_entries(const char *name, __u32 own, int size_count, char **sizes)
{
	const size_t length = strlen(name);

	for (int i = 0; i < size_count; i++)
		if (!strncmp(sizes[i], name, length) && sizes[i][length] == '=')
			return strtoul(sizes[i] + length + 1, NULL, 10);
	return own;
}

static void take(void *into, size_t bytes)
{
	if (bytes && fread(into, bytes, 1, stdin) != 1)
		fail("a request is cut short");
}

static __u32 take_number(void)
{
	__u32 number;

	take(&number, sizeof(number));
	return number;
}

static struct table *take_table(void)
{
	char name[256] = {};
	__u8 length;
	struct table *table;

	take(&length, sizeof(length));
	take(name, length);
	table = engine_table(name);
	if (!table)
		fail("the program has no map %s", name);
	return table;
}

static void give(const void *from, size_t bytes)
{
	if (answers_length + bytes > answers_room) {
		answers_room = 2 * (answers_length + bytes);
		answers = realloc(answers, answers_room);
		if (!answers)
			fail("no memory for %zu bytes", answers_room);
	}
	memcpy(answers + answers_length, from, bytes);
	answers_length += bytes;
}

static void send_answers(void)
{
	const __u32 length = answers_length;

	if (fwrite(&length, sizeof(length), 1, stdout) != 1 ||
	    (length && fwrite(answers, length, 1, stdout) != 1) ||
	    fflush(stdout))
		fail("cannot answer: %s", strerror(errno));
	answers_length = 0;
}

static void give_number(__u32 number)
{
	give(&number, sizeof(number));
}

static void write_values(void)
{
	struct table *table = take_table();
	__u8 key[64], value[256];

	if (table->key_size > sizeof(key) || table->value_size > sizeof(value))
		fail("%s has values that are too long", table->name);
	for (__u32 left = take_number(); left; left--) {
		take(key, table->key_size);
		take(value, table->value_size);
		engine_write(table, key, value);
	}
}

static void open_sockets(void)
{
	__u8 key[SOCKET_KEY], value[SOCKET_VALUE];

	engine_close_sockets();
	for (__u32 left = take_number(); left; left--) {
		take(key, sizeof(key));
		take(value, sizeof(value));
		give_number(engine_open_socket(key, value));
	}
}

static const __u8 zeros[256];

static __u8 *read_values(struct table *table)
{
	__u8 *values = malloc((size_t)table->entries * table->value_size);

	if (!values)
		fail("no memory");
	engine_read(table, values);
	return values;
}

/* Tables are large, and little of them is written. */
static void write_zeros(void)
{
	struct table *table = take_table();
	__u8 *values = read_values(table);

	for (__u32 key = 0; key < table->entries; key++)
		if (memcmp(values + key * table->value_size, zeros,
			   table->value_size))
			engine_write(table, &key, zeros);
	free(values);
}

static void dump_sparse(void)
{
	struct table *table = take_table();
	__u8 *values = read_values(table);
	__u32 count = 0;

	for (int counts = 1; counts >= 0; counts--) {
		for (__u32 key = 0; key < table->entries; key++) {
			const __u8 *value = values + key * table->value_size;

			if (!memcmp(value, zeros, table->value_size))
				continue;
			if (counts) {
				count++;
				continue;
			}
			give_number(key);
			give(value, table->value_size);
		}
		if (counts) {
			give_number(count);
			give_number(table->value_size);
		}
	}
	free(values);
}

static void dump_values(void)
{
	struct table *table = take_table();
	__u8 *values = read_values(table);

	give_number(table->entries);
	give_number(table->value_size);
	give(values, (size_t)table->entries * table->value_size);
	free(values);
}

static void give_frame(const struct frame *frame)
{
	give_number(frame->length);
	give(frame->bytes, frame->length);
}

static void run_frames(void)
{
	frame_count = take_number();
	if (frame_count > MOST_FRAMES)
		fail("too many frames");
	for (__u32 i = 0; i < frame_count; i++) {
		const __u32 length = take_number();

		if (length > LONGEST)
			fail("a frame is too long");
		free(frames[i]);
		frames[i] = malloc(sizeof(*frames[i]));
		if (!frames[i])
			fail("no memory");
		frames[i]->length = length;
		take(frames[i]->bytes, length);
	}
	for (__u32 i = 0; i < frame_count; i++) {
		engine_run(frames[i], &out);
		give_number(out.action);
		give_frame(&out);
	}
}

/* Eight bytes at a time, of action, length and frame. */
static __u32 number_of(const struct frame *frame)
{
	const __u64 factor = 0x9e3779b97f4a7c15;
	__u64 sum = frame->action * factor ^ frame->length, word;

	for (__u32 at = 0; at < frame->length; at += sizeof(word)) {
		const __u32 left = frame->length - at;

		word = 0;
		memcpy(&word, frame->bytes + at,
		       left < sizeof(word) ? left : sizeof(word));
		sum = (sum ^ word) * factor;
		sum ^= sum >> 29;
	}
	return sum >> 32;
}

static void run_variants(__u32 longest)
{
	const __u32 seed = take_number(), first = take_number(),
		    count = take_number();
	const bool whole = take_number();

	if (!frame_count)
		fail("there are no frames to vary");
	for (__u32 number = first; number < first + count; number++) {
		const __u32 one = number % frame_count;

		vary(frames[one], frames[(one + 1) % frame_count],
		     seed + number, longest, &in);
		engine_run(&in, &out);
		if (!whole) {
			give_number(number_of(&out));
			continue;
		}
		give_frame(&in);
		give_number(out.action);
		give_frame(&out);
	}
}

int main(int argc, char **argv)
{
	__u64 nanoseconds;
	__u32 longest;
	int letter;

	if (argc < 3) {
		fputs("usage: worker OBJECT LONGEST [MAP=ENTRIES]...\n",
		      stderr);
		return 2;
	}
	longest = strtoul(argv[2], NULL, 10);
	if (longest > LONGEST)
		fail("frames are at most %u bytes long", LONGEST);
	setvbuf(stdin, NULL, _IOFBF, 1 << 20);
	engine_open(argv[1], argc - 3, argv + 3);
	while ((letter = getchar()) != EOF) {
		switch (letter) {
		case 'w':
			write_values();
			break;
		case 'o':
			open_sockets();
			break;
		case 'e':
			engine_empty(take_table());
			break;
		case 'z':
			write_zeros();
			break;
		case 'd':
			dump_values();
			break;
		case 's':
			dump_sparse();
			break;
		case 'c':
			take(&nanoseconds, sizeof(nanoseconds));
			engine_set_clock(nanoseconds);
			break;
		case 't':
			give_number(engine_seconds());
			break;
		case 'f':
			run_frames();
			break;
		case 'x':
			run_variants(longest);
			break;
		case '.':
			send_answers();
			break;
		default:
			fail("no request begins with %d", letter);
		}
	}
	return 0;
}
