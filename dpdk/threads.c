// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_random.h>
#include <stdatomic.h>
#include <time.h>

#include "datapath/platform/native.h"
#include "own.h"
#include "tables.h"
#include "threads.h"

#define BURST 32
#define AHEAD 4 /* so many frames are fetched before they are needed */
#define EMPTY_LOOKS 1000 /* before a nap */
/* Of a full burst, when more is waiting: to send one up takes as long as to balance 50. */
#define MOST_UP 8
#define TICK_SHIFT 23 /* 8 million cycles, some milliseconds */

int l4lb_2(struct xdp_md *ctx);

/* One thread's own; only it writes there. */
static struct traffic traffic[MOST_THREADS];
static atomic_bool is_over;
static __thread __u64 tick;

__u64 ticks(void)
{
	return tick;
}

__u32 random_word(void)
{
	return rte_rand();
}

void stop_threads(void)
{
	atomic_store(&is_over, true);
}

bool is_stopping(void)
{
	return atomic_load_explicit(&is_over, memory_order_relaxed);
}

struct batch {
	struct rte_mbuf *frames[BURST];
	__u16 count;
};

static void put(struct batch *batch, struct rte_mbuf *frame)
{
	batch->frames[batch->count++] = frame;
}

/* Keeps so many bytes, and none of the buffers behind them. */
static void keep_only(struct rte_mbuf *frame, __u32 length)
{
	struct rte_mbuf *last = frame;
	__u32 left = length;

	frame->nb_segs = 1;
	for (; last->data_len < left; last = last->next) {
		left -= last->data_len;
		frame->nb_segs++;
	}
	last->data_len = left;
	frame->pkt_len = length;
	rte_pktmbuf_free(last->next);
	last->next = NULL;
}

/* The program has changed the frame's beginning and end, or only said how long it is. */
static void take_over(struct rte_mbuf *frame, const struct xdp_md *ctx)
{
	frame->data_off = ctx->data - frame->buf_addr;
	frame->pkt_len += ctx->data_end - ctx->data - frame->data_len;
	frame->data_len = ctx->data_end - ctx->data;
	if (frame->pkt_len > ctx->length)
		keep_only(frame, ctx->length);
}

static int run_program(struct rte_mbuf *frame)
{
	char *data = rte_pktmbuf_mtod(frame, char *);
	struct xdp_md ctx = {
		.data = data,
		.data_end = data + frame->data_len,
		.room = frame->buf_addr,
		.length = frame->pkt_len,
	};
	const int action = l4lb_2(&ctx);

	take_over(frame, &ctx);
	return action;
}

/* Returns how many there was no room for. */
static __u16 send_by(const struct port *port, __u16 queue,
		     const struct batch *batch)
{
	struct rte_mbuf **frames = (struct rte_mbuf **)batch->frames;
	const __u16 sent =
		rte_eth_tx_burst(port->id, queue, frames, batch->count);

	if (sent < batch->count)
		rte_pktmbuf_free_bulk(frames + sent, batch->count - sent);
	return batch->count - sent;
}

static void sort_frame(const struct work *work, struct rte_mbuf *frame,
		       struct batch *out, struct batch *up, struct traffic *own)
{
	const struct options *options = work->options;

	switch (run_program(frame)) {
	case XDP_TX:
		put(out, frame);
		return;
	case XDP_PASS:
		if (options->own_count &&
		    answer_question(frame, options->own, options->own_count,
				    &work->port.mac)) {
			own->answered++;
			put(out, frame);
			return;
		}
		if (options->exception) {
			put(up, frame);
			return;
		}
		own->dropped++;
	}
	rte_pktmbuf_free(frame);
}

/* While more frames wait than were taken, what is not ours must not keep the others waiting. */
static void send_up(const struct work *work, __u16 queue, struct batch *up,
		    bool is_busy, struct traffic *own)
{
	const __u16 most = is_busy ? MOST_UP : BURST;

	own->up += up->count;
	if (up->count > most) {
		own->up_full += up->count - most;
		rte_pktmbuf_free_bulk(up->frames + most, up->count - most);
		up->count = most;
	}
	if (up->count)
		own->up_full += send_by(&work->exception, queue, up);
}

static void take_down(const struct work *work, __u16 queue, struct traffic *own)
{
	struct batch down;

	down.count =
		rte_eth_rx_burst(work->exception.id, queue, down.frames, BURST);
	if (!down.count)
		return;
	own->down += down.count;
	own->down_full += send_by(&work->port, queue, &down);
}

static __u16 run_burst(const struct work *work, __u16 queue,
		       struct traffic *own)
{
	struct batch in, out = {}, up = {};

	in.count = rte_eth_rx_burst(work->port.id, queue, in.frames, BURST);
	if (in.count) {
		tick = rte_rdtsc() >> TICK_SHIFT;
		own->received += in.count;
	}
	for (__u16 i = 0; i < in.count && i < AHEAD; i++)
		rte_prefetch0(rte_pktmbuf_mtod(in.frames[i], void *));
	for (__u16 i = 0; i < in.count; i++) {
		if (i + AHEAD < in.count)
			rte_prefetch0(
				rte_pktmbuf_mtod(in.frames[i + AHEAD], void *));
		sort_frame(work, in.frames[i], &out, &up, own);
	}
	if (out.count) {
		const __u16 unsent = send_by(&work->port, queue, &out);

		own->sent += out.count - unsent;
		own->send_full += unsent;
	}
	if (work->options->exception) {
		send_up(work, queue, &up, in.count == BURST, own);
		take_down(work, queue, own);
	}
	return in.count;
}

int run_thread(void *argument)
{
	const unsigned int number = rte_lcore_index(-1);
	const struct work *work = argument;
	const struct timespec nap = {
		.tv_sec = work->options->nap / 1000000,
		.tv_nsec = work->options->nap % 1000000 * 1000L,
	};
	struct traffic *own = &traffic[number];
	unsigned int empty = 0;

	view_tables(number);
	while (!is_stopping()) {
		empty = run_burst(work, number, own) ? 0 : empty + 1;
		if (work->options->nap && empty > EMPTY_LOOKS)
			nanosleep(&nap, NULL);
	}
	return 0;
}

struct traffic traffic_of_threads(void)
{
	struct traffic sum = {};

	for (unsigned int i = 0; i < MOST_THREADS; i++) {
		const volatile struct traffic *own = &traffic[i];

		sum.received += own->received;
		sum.sent += own->sent;
		sum.send_full += own->send_full;
		sum.up += own->up;
		sum.up_full += own->up_full;
		sum.down += own->down;
		sum.down_full += own->down_full;
		sum.answered += own->answered;
		sum.dropped += own->dropped;
	}
	return sum;
}
