// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datapath/l4lb.h"
#include "errors.h"
#include "options.h"

static const char usage[] =
	"Usage: l4lb-dpdk [EAL OPTION]... -- [OPTION]...\n"
	"\n"
	"Balances in user space what one DPDK port receives, with the same "
	"program and the\n"
	"same tables as in the kernel: l4lb-map fills them, and every other "
	"tool works on\n"
	"them. Options of DPDK's own (EAL) come first; the usual ones are\n"
	"\n"
	"  -l CORES             which processors run it, a queue each, such as "
	"0 or 0-3\n"
	"  --vdev=DRIVER,...    a virtual device, such as "
	"net_tap0,iface=tapdpdk\n"
	"  -a PCI               a card, such as 0000:03:00.0; without this "
	"option none is touched\n"
	"\n"
	"and behind a -- :\n"
	"\n"
	"  --exception NAME     make this network device: what is not ours "
	"goes there, and what\n"
	"                       the host sends by it leaves by the port "
	"(default: none, and what\n"
	"                       is not ours is dropped, but for questions "
	"after --ip)\n"
	"  --device NAME        the device that names the tables for the tools "
	"(default: the\n"
	"                       exception, or else the port's own, as a tap "
	"has one)\n"
	"  --ip ADDRESS         answer for this address, by ARP or neighbour "
	"discovery; repeat it\n"
	"                       for more. With --exception the host answers "
	"for its own\n"
	"  --nap MICROSECONDS   sleep that long between looks while nothing "
	"comes (default: look\n"
	"                       again at once, which takes all of a "
	"processor)\n"
	"  --flows MIB          memory for connections of hot slots, a power "
	"of two (default: 8)\n"
	"  --blocks N           addresses that full-nat can send from "
	"(default: 4)\n"
	"  -h, --help           this text\n"
	"\n"
	"SIGINT and SIGTERM end it. Its port is gone then; its tables stay in "
	"a small process\n"
	"of their own, and the next start takes them up. l4lb-load -i NAME "
	"--status shows both.\n"
	"\n"
	"Examples:\n"
	"  l4lb-dpdk -l 0 --vdev=net_tap0,iface=tapdpdk -- --ip 10.0.0.10\n"
	"  l4lb-dpdk -l 0-1 -a 0000:03:00.0 -- --exception l4lb0\n";

static __u32 parse_number(const char *option, const char *text, __u32 least,
			  __u32 most)
{
	char *end;
	unsigned long number;

	errno = 0;
	number = strtoul(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || number < least ||
	    number > most)
		wrong_usage("--%s: must be a whole number from %u to %u",
			    option, least, most);
	return number;
}

/* As the kernel's dev_valid_name(), and nothing that a terminal would not show as it is. */
static const char *parse_name(const char *option, const char *text)
{
	if (!*text || strlen(text) >= IFNAMSIZ || !strcmp(text, ".") ||
	    !strcmp(text, ".."))
		wrong_usage("--%s: a device's name has 1 to %d characters",
			    option, IFNAMSIZ - 1);
	for (const char *at = text; *at; at++)
		if (*at <= ' ' || *at > '~' || strchr("/:,%", *at))
			wrong_usage("--%s: a device's name has no blanks, and "
				    "no / : , %%",
				    option);
	return text;
}

static void parse_own(struct options *options, const char *text)
{
	struct own_address *own = &options->own[options->own_count];

	if (options->own_count++ == MOST_OWN)
		wrong_usage("--ip: there can be %d", MOST_OWN);
	if (inet_pton(AF_INET, text, own->bytes) == 1)
		return;
	if (inet_pton(AF_INET6, text, own->bytes) != 1)
		wrong_usage("--ip: must be an address, such as 10.0.0.10 or "
			    "2001:db8::10");
	own->is_ipv6 = true;
}

#define SETS_A_MIB ((1 << 20) / sizeof(struct l4lb_set))
#define MOST_MIB 4096

static __u32 parse_sets(const char *text)
{
	const __u32 mib = parse_number("flows", text, 1, MOST_MIB);

	if (mib & (mib - 1))
		wrong_usage("--flows: must be a power of two");
	return mib * SETS_A_MIB;
}

static void parse_own_options(int argc, char **argv, struct options *options)
{
	enum { EXCEPTION, DEVICE, IP, NAP, FLOWS, BLOCKS };
	static const struct option known[] = {
		{ "exception", required_argument, NULL, EXCEPTION },
		{ "device", required_argument, NULL, DEVICE },
		{ "ip", required_argument, NULL, IP },
		{ "nap", required_argument, NULL, NAP },
		{ "flows", required_argument, NULL, FLOWS },
		{ "blocks", required_argument, NULL, BLOCKS },
		{ "help", no_argument, NULL, 'h' },
		{},
	};
	int option;

	while ((option = getopt_long(argc, argv, "h", known, NULL)) != -1) {
		switch (option) {
		case EXCEPTION:
			options->exception = parse_name("exception", optarg);
			break;
		case DEVICE:
			options->device = parse_name("device", optarg);
			break;
		case IP:
			parse_own(options, optarg);
			break;
		case NAP:
			options->nap = parse_number("nap", optarg, 1, 1000000);
			break;
		case FLOWS:
			options->sets = parse_sets(optarg);
			break;
		case BLOCKS:
			options->blocks = parse_number("blocks", optarg, 1,
						       L4LB_MOST_BLOCKS);
			break;
		case 'h':
			fputs(usage, stdout);
			exit(EXIT_SUCCESS);
		default:
			exit(EXIT_USAGE); /* getopt has said why */
		}
	}
	if (optind < argc)
		wrong_usage("word %d behind the -- is no option", optind);
}

static bool is_among(int count, char **words, const char *option)
{
	const size_t length = strlen(option);

	for (int i = 0; i < count; i++) {
		if (strncmp(words[i], option, length))
			continue;
		/* --vdev net_tap0, --vdev=net_tap0, -a 03:00.0 and -a03:00.0 */
		if (option[1] != '-' || !words[i][length] ||
		    words[i][length] == '=')
			return true;
	}
	return false;
}

static bool are_among(int count, char **words, const char *const *options)
{
	for (; *options; options++)
		if (is_among(count, words, *options))
			return true;
	return false;
}

/* What DPDK takes: a pool of frames for two ports, and its own. */
#define HUGE_PAGES 50
#define SMALL_PAGES_MIB "100"

/* Whether the kernel has huge pages of the usual size that nobody uses. */
static bool has_huge_pages(void)
{
	static const char path[] =
		"/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages";
	FILE *file = fopen(path, "re");
	unsigned long pages = 0;

	if (!file)
		return false;
	if (fscanf(file, "%lu", &pages) != 1)
		pages = 0;
	fclose(file);
	return pages >= HUGE_PAGES;
}

static const char *const names_card[] = { "-a", "--allow", "--no-pci", NULL };
static const char *const says_memory[] = {
	"-m",		"--memory",   "--no-huge",     "--in-memory",
	"--socket-mem", "--huge-dir", "--file-prefix", NULL
};

/*
 * DPDK would not make the device of a tap that is there, but take a share of its packets
 * from whoever balances them.
 */
static void refuse_taken_tap(const char *word)
{
	static const char option[] = "iface=";
	const char *name = strstr(word, option);
	char device[IF_NAMESIZE];

	if (!strstr(word, "net_tap") || !name)
		return;
	name += strlen(option);
	snprintf(device, sizeof(device), "%.*s", (int)strcspn(name, ","), name);
	if (if_nametoindex(device))
		fail("an l4lb-dpdk that still runs made it, or it is another "
		     "device",
		     "end that process (pgrep -a l4lb-dpdk), or choose another "
		     "name",
		     "there is a device %s already", device);
}

#define MOST_ADDED 16

int parse_options(int argc, char **argv, struct options *options, char ***eal)
{
	static const char *const huge[] = { "--in-memory" };
	static const char *const small[] = { "--no-huge", "--no-shconf", "-m",
					     SMALL_PAGES_MIB };
	int count = 1, of_eal;
	char **words;

	while (count < argc && strcmp(argv[count], "--"))
		count++;
	of_eal = count - 1;
	if (is_among(of_eal, argv + 1, "--help") ||
	    (of_eal == 1 && !strcmp(argv[1], "-h")) || argc == 1) {
		fputs(usage, stdout);
		exit(argc == 1 ? EXIT_USAGE : EXIT_SUCCESS);
	}
	words = calloc(count + MOST_ADDED, sizeof(*words));
	if (!words)
		fail(NULL, NULL, "no memory for the command line");
	memcpy(words, argv, count * sizeof(*words));
	for (int i = 1; i <= of_eal; i++)
		refuse_taken_tap(argv[i]);
	if (!are_among(of_eal, argv + 1, names_card))
		words[count++] = strdup("--no-pci");
	if (!is_among(of_eal, argv + 1, "--log-level")) {
		words[count++] = strdup("--log-level=lib.eal:warning");
		/* It complains that it has no flow rules, which nobody needs here. */
		words[count++] = strdup("--log-level=pmd.net.tap:critical");
	}
	if (!is_among(of_eal, argv + 1, "--no-telemetry"))
		words[count++] = strdup("--no-telemetry");
	if (!are_among(of_eal, argv + 1, says_memory)) {
		const bool are_huge = has_huge_pages();
		const char *const *more = are_huge ? huge : small;

		for (int i = are_huge ? 1 : 4; i > 0; i--)
			words[count++] = strdup(*more++);
		say(are_huge ? "uses huge pages" :
			       "uses small pages, since there are no huge ones "
			       "to be had "
			       "(sysctl vm.nr_hugepages=64): it works, a "
			       "little slower");
	}
	*eal = words;
	if (of_eal + 1 < argc) {
		argv[of_eal + 1] = argv[0]; /* for what getopt says */
		parse_own_options(argc - of_eal - 1, argv + of_eal + 1,
				  options);
	}
	return count;
}
