// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * l4lb_sum: adds up what each processor has counted, and counts hot slots.
 *
 * It is never attached: bpftool runs it on frames of questions, and prints nothing of the
 * answers but writes them into a file. Without it, bpftool prints the counters of each
 * processor as text, so reading them takes longer the more processors there are.
 */
#define L4LB_HOST
#define L4LB_FRAGS /* a frame of all questions is longer than a page */
#include "sum.h"
#include "datapath/platform/platform.h"

#define BY_NUMBER(name, kind, entries, value) \
	MAP(name, kind, entries, sizeof(__u32), sizeof(value))

/* The real maps, of any size, take the place of these at load time. */
BY_NUMBER(device, BPF_MAP_TYPE_ARRAY, 1, struct l4lb_device);
BY_NUMBER(slots, BPF_MAP_TYPE_ARRAY, 1, struct l4lb_quad);
BY_NUMBER(counters, BPF_MAP_TYPE_PERCPU_ARRAY, 1, struct l4lb_counter);
BY_NUMBER(returned, BPF_MAP_TYPE_PERCPU_ARRAY, 1, struct l4lb_counter);
BY_NUMBER(verdicts, BPF_MAP_TYPE_PERCPU_ARRAY, 1, struct l4lb_counter);

/* How many slots were found for each destination. */
BY_NUMBER(shares, BPF_MAP_TYPE_ARRAY, L4LB_HOT, __u32);

/* The verifier wants a limit. Linux has fewer processors. */
#define MOST_PROCESSORS (1 << 16)

struct asked {
	struct xdp_md *ctx;
	struct sum_question question;
	struct sum_answer answer;
};

static __always_inline bool add(struct asked *asked,
				const struct l4lb_counter *counter)
{
	if (!counter)
		return false;
	asked->answer.first += counter->packets;
	asked->answer.second += counter->bytes;
	return true;
}

static long add_counter(__u32 processor, struct asked *asked)
{
	return !add(asked, bpf_map_lookup_percpu_elem(
				   &counters, &asked->question.key, processor));
}

static long add_returned(__u32 processor, struct asked *asked)
{
	return !add(asked, bpf_map_lookup_percpu_elem(
				   &returned, &asked->question.key, processor));
}

static long add_verdict(__u32 processor, struct asked *asked)
{
	return !add(asked, bpf_map_lookup_percpu_elem(
				   &verdicts, &asked->question.key, processor));
}

static long forget_share(__u32 index, void *nothing)
{
	__u32 *share = lookup(&shares, &index);

	(void)nothing;
	if (!share)
		return 1;
	*share = 0;
	return 0;
}

static __always_inline void add_share(__u32 destination)
{
	__u32 *share = lookup(&shares, &destination);

	if (share)
		*share += 1;
}

static long add_quad(__u32 index, struct asked *asked)
{
	const __u32 first = asked->question.key,
		    quad = first / L4LB_QUAD + index;
	const struct l4lb_quad *found = lookup(&slots, &quad);

	if (!found)
		return 1;
#pragma unroll
	for (int i = 0; i < L4LB_QUAD; i++) {
		const __u32 slot = quad * L4LB_QUAD + i;

		/* A service may have fewer slots than a word. */
		if (slot - first >= asked->question.number)
			continue;
		asked->answer.first += !!(found->slots[i] & L4LB_HOT);
		asked->answer.second += !!(found->slots[i] & ~L4LB_HOT);
		add_share(found->slots[i] & ~L4LB_HOT);
	}
	return 0;
}

static __always_inline void find_answer(struct asked *asked)
{
	const struct sum_question *question = &asked->question;
	/* Tools alone write what was counted for nobody, the same on all processors. */
	const __u32 processors = question->key ? MOST_PROCESSORS : 1;
	const struct l4lb_device *found;
	const __u32 only = 0;
	__u32 *share;

	switch (question->of) {
	case SUM_COUNTERS:
		bpf_loop(processors, add_counter, asked, 0);
		break;
	case SUM_RETURNED:
		bpf_loop(processors, add_returned, asked, 0);
		break;
	case SUM_VERDICTS:
		bpf_loop(MOST_PROCESSORS, add_verdict, asked, 0);
		break;
	case SUM_FORGET:
		bpf_loop(question->number, forget_share, NULL, 0);
		break;
	case SUM_SLOTS:
		bpf_loop((question->number + 2 * L4LB_QUAD - 1) / L4LB_QUAD,
			 add_quad, asked, 0);
		break;
	case SUM_SHARE:
		share = lookup(&shares, &question->key);
		if (share)
			asked->answer.first = *share;
		break;
	case SUM_GENERATION:
		found = lookup(&device, &only);
		if (found)
			asked->answer.first =
				((const volatile struct l4lb_device *)found)
					->generation;
		break;
	}
}

static long answer(__u32 index, struct xdp_md **ctx)
{
	const __u32 at = index * sizeof(struct sum_question);
	struct asked asked = {};

	if (bpf_xdp_load_bytes(*ctx, at, &asked.question,
			       sizeof(asked.question)))
		return 1;
	find_answer(&asked);
	return !!bpf_xdp_store_bytes(*ctx, at, &asked.answer,
				     sizeof(asked.answer));
}

PROGRAM
int l4lb_sum(struct xdp_md *ctx)
{
	struct xdp_md *this = ctx;

	bpf_loop(frame_length(ctx) / sizeof(struct sum_question), answer, &this,
		 0);
	return XDP_DROP;
}

LICENSE;
