// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The command line. */
#include <errno.h>
#include <getopt.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>

#include "errors.h"
#include "options.h"
#include "plan.h"

/* The shortest Ethernet frame, without its checksum. */
#define SHORTEST 60

static const char usage[] =
	"Usage: flood -i DEVICE --headers HEX [OPTION]...\n"
	"\n"
	"Sends frames out of a device as fast as the kernel can, by a live "
	"test run of an\n"
	"XDP program. Progress is a line of JSON each second on stdout, and "
	"one at the end.\n"
	"\n"
	"  -i, --interface DEVICE\n"
	"  --headers HEX        the first bytes of a frame, at most 128; "
	"zeros follow\n"
	"  --length BYTES       length of a frame (default: that of the "
	"headers, "
	"at least 60)\n"
	"  --vary FIRST+BITS[@SUM,...]\n"
	"                       bits that differ by frame, counted from the "
	"frame's first bit,\n"
	"                       and the bytes where checksums over them begin; "
	"a u marks the\n"
	"                       checksum of UDP. Repeat it for more: "
	"208+32@24,40u 272+16@40u\n"
	"  --flows N            cycle through N values (default: random "
	"values)\n"
	"  --count N            stop after N frames\n"
	"  --seconds S          stop after S seconds; --count or --seconds is "
	"required\n"
	"  --rate N             at most N frames a second\n"
	"  --threads N          threads, each on a CPU of its own (default: "
	"1)\n"
	"  --batch N            frames that the kernel runs in one go, 1 to "
	"256 (default: 64)\n";

static __u64 parse_number(const char *option, const char *text, __u64 least,
			  __u64 most)
{
	char *end;
	unsigned long long number;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || number < least ||
	    number > most)
		wrong_usage("--%s %s: must be a whole number from %llu to %llu",
			    option, text, (unsigned long long)least,
			    (unsigned long long)most);
	return number;
}

static __u64 parse_seconds(const char *text)
{
	char *end;
	const double seconds = strtod(text, &end);

	if (end == text || *end || !(seconds >= 0.001 && seconds <= 86400))
		wrong_usage(
			"--seconds %s: must be a number from 0.001 to 86400",
			text);
	return seconds * 1e9;
}

/* Behind the headers, and in front of what cannot be done with them. */
static void finish(struct options *options, char **runs, int run_count)
{
	struct plan *plan = &options->plan;
	__u32 shift = 0, bits = 0;

	if (!options->device || !plan->length)
		wrong_usage("-i and --headers are required");
	if (!options->count && !options->nanoseconds)
		wrong_usage("--count or --seconds is required, or it would "
			    "never end");
	for (int i = 0; i < run_count; i++)
		bits += vary(plan, runs[i], &shift);
	if (bits < 32 && plan->flows > 1u << bits)
		wrong_usage("--flows %u: with %u bits there are fewer",
			    plan->flows, bits);
	if (options->count && options->count < options->threads)
		wrong_usage("--count: each thread sends at least one");
	if (options->rate && options->rate < options->threads)
		wrong_usage("--rate: each thread sends at least one a second");
	if (!options->length)
		options->length = plan->length < SHORTEST ? SHORTEST :
							    plan->length;
	if (options->length < plan->length)
		wrong_usage("--length %u: the headers are longer",
			    options->length);
	options->ifindex = if_nametoindex(options->device);
	if (!options->ifindex)
		fail(errno, "no device %s", options->device);
}

struct options parse_options(int argc, char **argv)
{
	enum {
		HEADERS,
		LENGTH,
		VARY,
		FLOWS,
		COUNT,
		SECONDS,
		RATE,
		THREADS,
		BATCH
	};
	static const struct option known[] = {
		{ "interface", required_argument, NULL, 'i' },
		{ "help", no_argument, NULL, 'h' },
		{ "headers", required_argument, NULL, HEADERS },
		{ "length", required_argument, NULL, LENGTH },
		{ "vary", required_argument, NULL, VARY },
		{ "flows", required_argument, NULL, FLOWS },
		{ "count", required_argument, NULL, COUNT },
		{ "seconds", required_argument, NULL, SECONDS },
		{ "rate", required_argument, NULL, RATE },
		{ "threads", required_argument, NULL, THREADS },
		{ "batch", required_argument, NULL, BATCH },
		{},
	};
	struct options options = { .threads = 1, .batch = 64 };
	char *runs[MOST_VARIED];
	int option, run_count = 0;

	while ((option = getopt_long(argc, argv, "hi:", known, NULL)) != -1) {
		switch (option) {
		case 'i':
			options.device = optarg;
			break;
		case HEADERS:
			parse_headers(&options.plan, optarg);
			break;
		case LENGTH:
			options.length =
				parse_number("length", optarg, 14, 65535);
			break;
		case VARY:
			if (run_count == MOST_VARIED)
				wrong_usage("--vary: given too often");
			runs[run_count++] = optarg;
			break;
		case FLOWS:
			options.plan.flows =
				parse_number("flows", optarg, 1, 1u << 31);
			break;
		case COUNT:
			options.count =
				parse_number("count", optarg, 1, 1ull << 60);
			break;
		case SECONDS:
			options.nanoseconds = parse_seconds(optarg);
			break;
		case RATE:
			options.rate =
				parse_number("rate", optarg, 1, 1u << 31);
			break;
		case THREADS:
			options.threads =
				parse_number("threads", optarg, 1, 1024);
			break;
		case BATCH:
			options.batch = parse_number("batch", optarg, 1, 256);
			break;
		case 'h':
			fputs(usage, stdout);
			exit(EXIT_SUCCESS);
		default:
			wrong_usage("unknown option, or an option without its "
				    "value");
		}
	}
	if (optind < argc)
		wrong_usage("unexpected argument \"%s\"", argv[optind]);
	finish(&options, runs, run_count);
	return options;
}
