// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What a packet costs in a process of DPDK's: the program alone, on frames in memory, and the
 * whole way from net_null to net_null. That driver has no frames and takes all, so what is
 * measured is DPDK and the program. Beside each stands one that only swaps MAC addresses.
 *
 *   bench-dpdk DEVICE ROUNDS PACKETS [EAL OPTION]...
 *
 * It makes tables for the device, says "ready", and waits for a line until they are filled.
 */
#include "datapath/l4lb.h" /* before the kernel's own struct xdp_md */

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_random.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "dpdk/errors.h"
#include "dpdk/identity.h"
#include "dpdk/ports.h"
#include "dpdk/register.h"
#include "dpdk/tables.h"

#define BURST 32
#define IN_MEMORY 1024 /* frames, more than the first cache holds */
#define LENGTH 60
#define TICK_SHIFT 23

int l4lb_2(struct xdp_md *ctx);

/* From the linker, around what MAP() defines. */
extern map_ref __start_native_maps[], __stop_native_maps[];

static __thread __u64 tick;
static struct rte_mbuf *frames[IN_MEMORY];
static __u8 frame_of_all[64];
static __u32 state = 2463534242u;

__u64 ticks(void)
{
	return tick;
}

__u32 random_word(void)
{
	return rte_rand();
}

static const struct l4lb_device *device_entry(void)
{
	for (map_ref *known = __start_native_maps; known < __stop_native_maps;
	     known++)
		if (!strcmp((*known)->name, "device"))
			return (*known)->here()->values;
	fail(NULL, NULL, "the program has no map device");
}

/* UDP to 198.51.100.10, port 80. */
static void prepare_frame(void)
{
	static const __u8 behind[] = {
		2,   0,	 0,    0,  0,	 1,    0x08, 0,	 0x45, 0,  0,	46,
		0,   0,	 0x40, 0,  64,	 17,   0,    0,	 10,   0,  255, 1,
		198, 51, 100,  10, 0x12, 0x34, 0,    80, 0,    26, 0,	0,
	};
	const struct l4lb_device *device = device_entry();

	memcpy(frame_of_all, device->mac, RTE_ETHER_ADDR_LEN);
	memcpy(frame_of_all + RTE_ETHER_ADDR_LEN, behind, sizeof(behind));
}

/* From anyone. */
static void fill(struct rte_mbuf *frame)
{
	__u8 *bytes = rte_pktmbuf_mtod(frame, __u8 *);

	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	memcpy(bytes, frame_of_all, sizeof(frame_of_all));
	memcpy(bytes + 26, &state, sizeof(state));
	memcpy(bytes + 34, &state, sizeof(__u16));
	frame->data_len = frame->pkt_len = LENGTH;
}

static __attribute__((noinline)) int swap(struct xdp_md *ctx)
{
	struct rte_ether_hdr *ethernet = ctx->data;
	const struct rte_ether_addr from = ethernet->src_addr;

	ethernet->src_addr = ethernet->dst_addr;
	ethernet->dst_addr = from;
	return XDP_TX;
}

static void run(int (*program)(struct xdp_md *), struct rte_mbuf *frame)
{
	__u8 *data = rte_pktmbuf_mtod(frame, __u8 *);
	struct xdp_md ctx = {
		.data = data,
		.data_end = data + frame->data_len,
		.room = frame->buf_addr,
		.length = frame->pkt_len,
	};

	if (program(&ctx) != XDP_TX)
		fail("the tables were not filled", NULL,
		     "a packet is not sent");
	frame->data_off = ctx.data - frame->buf_addr;
	frame->data_len = frame->pkt_len = ctx.length;
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return time.tv_sec * 1e9 + time.tv_nsec;
}

/* Only the program is timed, not what makes the frames. */
static double in_memory(int (*program)(struct xdp_md *), long packets)
{
	double spent = 0;

	for (long done = 0; done < packets; done += IN_MEMORY) {
		double begun;

		for (int i = 0; i < IN_MEMORY; i++) {
			frames[i]->data_off = RTE_PKTMBUF_HEADROOM;
			fill(frames[i]);
		}
		tick = rte_rdtsc() >> TICK_SHIFT;
		begun = now();
		for (int i = 0; i < IN_MEMORY; i++)
			run(program, frames[i]);
		spent += now() - begun;
	}
	return spent / packets;
}

/* The whole way; what makes the frames is in it, for both. */
static double through(__u16 port, int (*program)(struct xdp_md *), long packets)
{
	const double begun = now();
	struct rte_mbuf *burst[BURST];

	for (long done = 0; done < packets;) {
		const __u16 count = rte_eth_rx_burst(port, 0, burst, BURST);

		tick = rte_rdtsc() >> TICK_SHIFT;
		/* All first, as a card does: a frame is not read while it is written. */
		for (__u16 i = 0; i < count; i++)
			fill(burst[i]);
		for (__u16 i = 0; i < count; i++)
			run(program, burst[i]);
		if (rte_eth_tx_burst(port, 0, burst, count) != count)
			fail(NULL, NULL, "net_null refuses frames");
		done += count;
	}
	return (now() - begun) / packets;
}

static void make_frames(void)
{
	struct rte_mempool *pool = rte_pktmbuf_pool_create(
		"bench", 2 * IN_MEMORY - 1, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE,
		SOCKET_ID_ANY);

	if (!pool || rte_pktmbuf_alloc_bulk(pool, frames, IN_MEMORY))
		fail(NULL, "more of -m", "no memory for frames");
}

int main(int argc, char **argv)
{
	struct registration is = { .has_exception = true };
	const char *device;
	struct port port;
	long rounds, packets;
	int program;

	if (argc < 4)
		wrong_usage("bench-dpdk DEVICE ROUNDS PACKETS [EAL OPTION]...");
	device = argv[1];
	rounds = atol(argv[2]);
	packets = atol(argv[3]) / IN_MEMORY * IN_MEMORY;
	argv[3] = argv[0];
	if (rte_eal_init(argc - 3, argv + 3) < 0)
		fail(NULL, NULL, "DPDK does not start");
	prepare_clock();
	port = start_port(1);
	program = load_program(0, 0);
	open_tables(program);
	view_tables(0);
	claim_registration(device);
	is.program = id_of_program(program);
	name_of_program(program, is.name);
	is.holder = is.process = identify(getpid());
	snprintf(is.port, sizeof(is.port), "%s", port.name);
	if (!write_registration(&is))
		fail(NULL, NULL, "/run/l4lb cannot be written");
	puts("ready");
	fflush(stdout);
	if (getchar() == EOF)
		return EXIT_FAILURE;
	make_frames();
	prepare_frame();
	for (long round = -1; round < rounds; round++) {
		const double all[] = {
			in_memory(swap, packets),
			in_memory(l4lb_2, packets),
			through(port.id, swap, packets),
			through(port.id, l4lb_2, packets),
		};

		/* The first one warms up. */
		if (round >= 0)
			printf("%.3f %.3f %.3f %.3f\n", all[0], all[1], all[2],
			       all[3]);
	}
	return EXIT_SUCCESS;
}
