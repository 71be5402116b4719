// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Makes a plan from headers and runs of bits. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#include "errors.h"
#include "plan.h"

void parse_headers(struct plan *plan, const char *text)
{
	const size_t digits = strlen(text);

	if (digits % 2 || digits < 2 * 14 || digits > 2 * MOST_HEADER_BYTES ||
	    strspn(text, "0123456789abcdefABCDEF") != digits)
		wrong_usage("--headers: must be 14 to %d bytes as hex digits",
			    MOST_HEADER_BYTES);
	plan->length = digits / 2;
	for (__u32 i = 0; i < plan->length; i++)
		sscanf(text + 2 * i, "%2hhx", &plan->headers[i]);
}

static __u16 fold(__u64 sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static __u16 word_at(const struct plan *plan, __u32 at)
{
	__u16 word;

	memcpy(&word, plan->headers + at, sizeof(word));
	return word;
}

/* Returns the checksum at a byte. A new one sums up everything but the varied bits. */
static struct sum *find_sum(struct plan *plan, unsigned long at, bool is_udp)
{
	struct sum *sum = plan->sums;

	for (; sum < plan->sums + plan->sum_count; sum++)
		if (sum->at == at)
			return sum;
	if (plan->sum_count++ == MOST_SUMS)
		wrong_usage("--vary: there are at most %d checksums",
			    MOST_SUMS);
	if (at % 2 || at > plan->length - 2)
		wrong_usage("--vary: no checksum begins at byte %lu", at);
	sum->at = at;
	sum->rest = (__u16)~word_at(plan, at);
	sum->never_zero = is_udp;
	return sum;
}

/* Clears the word's bits in the headers, and removes them from the sums over them. */
static void add_word(struct plan *plan, struct varied word, const char *sums)
{
	const __u32 index = plan->varied_count++;
	__u16 mask[2], old[2];
	char *end;

	if (index == MOST_VARIED)
		wrong_usage("--vary: there are at most %d words", MOST_VARIED);
	for (__u32 i = 0; i < index; i++)
		if (plan->varied[i].at == word.at)
			wrong_usage("--vary: give bits that touch as one run");
	plan->varied[index] = word;
	for (int i = 0; i < 2; i++) {
		mask[i] = htons(i ? word.mask : word.mask >> 16);
		old[i] = word_at(plan, word.at + 2 * i) & mask[i];
	}
	/* Each number follows an @ or a comma. */
	while (*sums) {
		const unsigned long at = strtoul(sums + 1, &end, 10);
		struct sum *sum = find_sum(plan, at, *end == 'u');

		sum->covers |= 1 << index;
		sum->rest = fold(sum->rest + (__u64)(__u16)~old[0] +
				 (__u16)~old[1]);
		sums = end + (*end == 'u');
	}
	for (int i = 0; i < 4; i++)
		plan->headers[word.at + i] &= ~(word.mask >> (24 - 8 * i));
}

/* Accepts an empty text, or an @ and numbers with commas between; each may have a u. */
static bool are_sums(const char *text)
{
	if (!*text)
		return true;
	for (char before = '@'; *text == before; before = ',') {
		const size_t digits = strspn(++text, "0123456789");

		text += digits + (digits && text[digits] == 'u');
		if (!digits)
			return false;
	}
	return !*text;
}

/* Reads a whole number and moves `text` behind it, or not at all if there is none. */
static unsigned long take_number(const char **text)
{
	char *end = (char *)*text;
	unsigned long number = 0;

	if (*end >= '0' && *end <= '9')
		number = strtoul(*text, &end, 10);
	*text = end;
	return number;
}

/*
 * Cuts a run into words of four bytes that begin two bytes behind a multiple of four,
 * because fields behind an Ethernet header are aligned like that.
 */
__u32 vary(struct plan *plan, const char *text, __u32 *shift)
{
	const unsigned long all = plan->length * 8;
	unsigned long first, bits, left;
	const char *plus = text, *sums;

	first = take_number(&plus);
	sums = plus + 1;
	bits = *plus == '+' ? take_number(&sums) : 0;
	if (plus == text || *plus != '+' || sums == plus + 1 || !are_sums(sums))
		wrong_usage("--vary %s: must be FIRST+BITS[@SUM,...]", text);
	/* Checks each number alone first, because the sum of large numbers overflows. */
	if (first < 16 || !bits || first > all || bits > all - first)
		wrong_usage("--vary %s: the headers have no such bits", text);

	for (left = bits; left > 0;) {
		const __u32 at = (first / 8 - 2) / 4 * 4 + 2;
		const __u32 room = (at + 4) * 8 - first;
		const __u32 taken = left < room ? left : room;

		if (at + 4 > plan->length)
			wrong_usage("--vary %s: too close to the end", text);
		/* Beyond 64 bits, the same bits are used again. */
		if (*shift + taken > 64)
			*shift = 0;
		add_word(plan,
			 (struct varied){
				 .at = at,
				 .shift = *shift,
				 .low = room - taken,
				 .mask = ((1ull << taken) - 1)
					 << (room - taken),
			 },
			 sums);
		*shift += taken;
		first += taken;
		left -= taken;
	}
	return bits;
}
