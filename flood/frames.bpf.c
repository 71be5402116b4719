// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Writes the frames that the kernel's live test run sends. It knows no protocols: see
 * frames.h. The kernel reuses frames as their last receiver left them, so the program
 * writes all headers anew each time.
 *
 * The plan is constant when the program is loaded. So for each `if` on it, the verifier
 * keeps one branch and removes the other, and no test is left at run time.
 */
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "frames.h"

const volatile struct plan plan __attribute__((aligned(8))) = {};
struct progress progress = {};

/* Odd, so that the products of numbers below 2^n all differ in their lowest n bits. */
#define SCATTER 0x9e3779b97f4a7c15
/* Knuth's multiplier for numbers modulo 2^64; the upper bits are the most random. */
#define RANDOM_FACTOR 6364136223846793005
#define RANDOM_TERM 1442695040888963407

static __always_inline __u64 next_number(void)
{
	const __u64 number = progress.number;

	if (plan.flows) {
		progress.number = number + 1 < plan.flows ? number + 1 : 0;
		return number * SCATTER;
	}
	progress.number = number * RANDOM_FACTOR + RANDOM_TERM;
	return number ^ number >> 32;
}

/* Volatile, so that the compiler does not replace the constant by its value here, 0. */
#define HEADERS(type, at) (*(const volatile type *)(plan.headers + (at)))

/* The frame is at least as long as the headers: frames() checked that. */
static __always_inline void write_headers(__u8 *frame, __u32 length)
{
	__u32 at;

#pragma unroll
	for (at = 0; at + 8 <= MOST_HEADER_BYTES; at += 8)
		if (at + 8 <= length)
			*(__u64 *)(frame + at) = HEADERS(__u64, at);
	at = length & ~7;
	if (length & 4) {
		*(__u32 *)(frame + at) = HEADERS(__u32, at);
		at += 4;
	}
	if (length & 2) {
		*(__u16 *)(frame + at) = HEADERS(__u16, at);
		at += 2;
	}
	if (length & 1)
		frame[at] = HEADERS(__u8, at);
}

/* The headers have zeros in place of the varied bits. Any byte order suits a sum. */
static __always_inline void write_varied(__u8 *frame, __u32 index, __u64 number,
					 __u64 *sums)
{
	const volatile struct varied *varied = &plan.varied[index];
	const __u32 at = varied->at;
	const __be32 bits = bpf_htonl(
		(__u32)(number >> varied->shift << varied->low) & varied->mask);

	*(__be32 *)(frame + at) = HEADERS(__be32, at) | bits;
#pragma unroll
	for (__u32 i = 0; i < MOST_SUMS; i++)
		if (plan.sums[i].covers & 1 << index)
			sums[i] += bits;
}

/* Three folds are enough for at most MOST_VARIED words of 32 bits and one of 16. */
static __always_inline __u16 fold_sum(__u64 sum)
{
#pragma unroll
	for (int i = 0; i < 3; i++)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static __always_inline void
write_sum(__u8 *frame, const volatile struct sum *sum, __u64 words)
{
	__u16 check = ~fold_sum(sum->rest + words);

	if (sum->never_zero && !check)
		check = 0xffff;
	*(__u16 *)(frame + sum->at) = check;
}

static __always_inline void note_time(void)
{
	if (progress.in_run % CLOCK_EVERY == 0) {
		progress.latest = bpf_ktime_get_ns();
		if (!progress.in_run)
			progress.first = progress.latest;
	}
	progress.in_run++;
}

SEC("xdp")
int frames(struct xdp_md *ctx)
{
	__u8 *frame = (void *)(long)ctx->data;
	const __u32 length = plan.length;
	__u64 sums[MOST_SUMS] = {};
	__u64 number;

	if (frame + length > (__u8 *)(long)ctx->data_end)
		return XDP_ABORTED; /* never */
	note_time();
	write_headers(frame, length);
	number = next_number();
#pragma unroll
	for (__u32 i = 0; i < MOST_VARIED; i++)
		if (i < plan.varied_count)
			write_varied(frame, i, number, sums);
#pragma unroll
	for (__u32 i = 0; i < MOST_SUMS; i++)
		if (i < plan.sum_count)
			write_sum(frame, &plan.sums[i], sums[i]);
	progress.sent++;
	return XDP_TX;
}

char license_name[] SEC("license") = "Dual BSD/GPL";
