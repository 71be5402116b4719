/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Records of connections, which flows.h writes and l4lb_carry_flows.c copies. */
#ifndef RECORDS_H
#define RECORDS_H

#include "l4lb.h"
#include "platform/platform.h"

#ifdef L4LB_HOST

union record {
	__u64 word;
	struct l4lb_record fields;
};

static __always_inline union record read_record(const struct l4lb_set *set,
						__u32 place)
{
	const union record record = {
		.word = read_word(&set->records[place]),
	};

	return record;
}

/* Returns the time since the last packet. `now` and the result count 4 seconds each. */
static __always_inline __u16 age(__u32 now, union record record)
{
	return now - record.fields.seen;
}

/* Tells whether no SYN may replace the record, unless it is outdated. */
static __always_inline bool is_protected(union record record)
{
	return record.fields.signature & L4LB_ESTABLISHED &&
	       !(record.fields.destination & L4LB_ENDED);
}

/* Returns how long such a record may be silent before it is outdated. There is no branch. */
static __always_inline __u32 longest_silence(union record record)
{
	const __u32 is_lasting = !!(record.fields.signature & L4LB_LASTING);

	return L4LB_YOUNG + is_lasting * (L4LB_FORGOTTEN - L4LB_YOUNG);
}

static __always_inline __u16 destination_id(union record record)
{
	return record.fields.destination & ~L4LB_ENDED;
}

/* Tells whether connections of a service may stay with this destination. */
static __always_inline bool
keeps_connections(const struct l4lb_destination *destination, __u16 service)
{
	return destination->service == service &&
	       !(destination->flags & L4LB_DESTINATION_FORGOTTEN);
}

#endif
#endif
