// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* As much as the card takes, and no more: nothing is to be found here. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct row {
	__u32 words[14];
};

struct counter {
	__u32 limit;
	__u32 seen;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 3071999);
	__type(key, __u32);
	__type(value, struct row);
} rows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counter);
} counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(max_entries, 128);
	__uint(key_size, 4);
	__uint(value_size, 4);
} events SEC(".maps");

/* A call of one's own is taken; the number comes back through it. */
static __attribute__((noinline)) __u32 mixed(const __u32 *words, __u32 by)
{
	return (words[0] ^ words[1]) * by;
}

static __always_inline __u32 arithmetic(const __u32 *data)
{
	const __u64 half = *(const __u64 *)data >> 32;
	__u32 sum = data[0] * 0x9e3779b1;

	sum += data[1] / 10;
	sum += data[2] % 7;
	sum += half * 1000;
	return sum;
}

static __always_inline int count(__u32 length)
{
	const __u32 key = 0;
	struct counter *counter = bpf_map_lookup_elem(&counters, &key);

	if (!counter)
		return XDP_PASS;
	/* Words beside each other: what is read is not what is added to. */
	__sync_fetch_and_add(&counter->seen, 1);
	__sync_fetch_and_add(&counter->bytes, length);
	return counter->limit < length ? XDP_DROP : XDP_PASS;
}

SEC("xdp")
int right(struct xdp_md *ctx)
{
	const __u32 *data = (void *)(long)ctx->data;
	const void *end = (void *)(long)ctx->data_end;
	volatile __u32 words[8];
	struct row *row = (void *)0;
	__u32 key[2];

	if ((void *)(data + 4) > end)
		return XDP_PASS;
	/* A loop over the stack, and a pointer that is kept across a call. */
	for (int i = 0; i < 8; i++)
		words[i] = data[i & 3];
	key[0] = arithmetic(data);
	key[1] = words[7];
	if (mixed(key, data[3]) & 1)
		row = bpf_map_lookup_elem(&rows, key);
	bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, key, 8);
	if (row && row->words[13])
		return XDP_DROP;
	if (bpf_xdp_adjust_head(ctx, -20))
		return XDP_DROP;
	return count(ctx->data_end - ctx->data);
}

char license_name[] SEC("license") = "Dual BSD/GPL";
