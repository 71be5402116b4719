// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * l4lb_carry_flows: carries records of connections into a `flows` of another size.
 *
 * It is never attached. l4lb-load --replace runs it before and after the swap, because
 * connections begin in between. So it adds to the records that are there, and keeps a
 * record that was seen later than the one it carries. Each run copies one set. bpftool
 * repeats the run on the same frame, which holds the number of the next set.
 *
 * The low bits of a hash choose a connection's set. With fewer sets, fewer bits count,
 * and several sets become one. With more sets, more bits count than a record's old set
 * tells, so the record is copied into every set that may be its own. This takes no room
 * from other connections, because each new set holds what one old set held. Copies in
 * the wrong sets are never seen again, and make room like ended connections. Keeping
 * the whole hash in a record would make all records half as large again, for an event
 * that is rare.
 */
#define L4LB_HOST
#include "carry.h"
#include "datapath/platform/platform.h"
#include "datapath/records.h"

/* The real maps, of any size, take the place of these at load time. */
MAP(flows_before, BPF_MAP_TYPE_ARRAY, 1, sizeof(__u32),
    sizeof(struct l4lb_set));
MAP(flows, BPF_MAP_TYPE_ARRAY, 1, sizeof(__u32), sizeof(struct l4lb_set));

/* Tells whether a record may replace another connection's: see find_room(). */
static __always_inline bool goes_before(__u32 now, union record record,
					union record there)
{
	if (is_protected(there) && age(now, there) <= longest_silence(there))
		return false;
	return is_protected(record) || age(now, record) < age(now, there);
}

/* Compares two records of one connection: tells whether `there` is as new as `record`. */
static __always_inline bool is_known(__u32 now, union record record,
				     union record there)
{
	if (age(now, record) != age(now, there))
		return age(now, there) < age(now, record);
	if (!is_protected(there))
		return true; /* it has ended */
	return is_protected(record) &&
	       longest_silence(there) >= longest_silence(record);
}

/* Returns the bits of a signature that tell connections apart: whether it lasts does not. */
static __always_inline __u32 telling_bits(union record record)
{
	const bool is_established = record.fields.signature & L4LB_ESTABLISHED;

	return is_established ? ~L4LB_LASTING : ~0;
}

/*
 * Puts a record into the set with this number. Returns whether the set holds the
 * connection afterwards. The verifier looks at it once, and not for each record of a
 * set, since it is global and takes nothing but numbers.
 */
__noinline bool put(__u32 number, __u32 now, __u64 word)
{
	const union record record = { .word = word };
	const __u32 telling = telling_bits(record);
	const __s32 empty = 1 << 16, same = 1 << 17; /* more than any age */
	struct l4lb_set *set = lookup(&flows, &number);
	__u32 place, best = L4LB_RECORDS;
	union record there, victim = {};
	__s32 best_rank = -1, rank;

	if (!set)
		return false;
#pragma unroll
	for (place = 0; place < L4LB_RECORDS; place++) {
		there = read_record(set, place);
		if (!((there.fields.signature ^ record.fields.signature) &
		      telling)) {
			if (is_known(now, record, there))
				return true;
			rank = same;
		} else if (!there.fields.signature) {
			rank = empty;
		} else if (goes_before(now, record, there)) {
			rank = age(now, there);
		} else {
			continue;
		}
		if (rank > best_rank) {
			best = place;
			best_rank = rank;
			victim = there;
		}
	}
	if (best >= L4LB_RECORDS)
		return false;
	/* Fails if the attached program has just written there. */
	return __sync_val_compare_and_swap(&set->records[best], victim.word,
					   record.word) == victim.word;
}

PROGRAM
int l4lb_carry_flows(struct xdp_md *ctx)
{
	struct carry_flows *frame = frame_start(ctx);
	/* One unit more, so that a record that another CPU writes is not in the future. */
	const __u32 now =
		(__u32)(bpf_ktime_get_ns() / 1000000000 >> L4LB_SEEN_SHIFT) + 1;
	const struct l4lb_set *from;
	union record record;
	__u32 number, key;

	if ((void *)(frame + 1) > frame_end(ctx))
		return XDP_ABORTED;
	number = frame->next++;
	key = number & frame->mask_before;
	from = lookup(&flows_before, &key);
	if (!from)
		return XDP_ABORTED;

	for (int place = 0; place < L4LB_RECORDS; place++) {
		record = read_record(from, place);
		if (!record.fields.signature ||
		    age(now, record) > now - frame->since)
			continue;
		if (!put(number & frame->mask, now, record.word))
			frame->lost++;
		else if (number <= frame->mask_before)
			frame->carried++;
	}
	return XDP_DROP;
}

LICENSE;
