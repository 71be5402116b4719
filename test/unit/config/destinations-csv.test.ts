// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
import { describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';

import type { ParsedDestinations } from '../../../src/config/destinations-csv.js';
import { parseDestinations } from '../../../src/config/destinations-csv.js';

const MAC = '02:00:0a:00:01:0f';

/** Reads one file, web.csv. */
function read(text: string): ParsedDestinations {
  return parseDestinations([{ name: 'web.csv', text }]);
}

/** The rows of a file without fault, as short as they can be written. */
function rowsOf(text: string): string[] {
  const { rows, problems } = read(text);
  expect(problems).toEqual([]);
  return rows.map(
    ({ address, mac, weight, place }) => `${place} ${address} ${mac ?? '-'} ${weight}`,
  );
}

function sample(name: string): string {
  const path = `../../../destination_samples/${name}.csv`;
  return readFileSync(new URL(path, import.meta.url), 'utf8');
}

test('a server on this host is told from a destination elsewhere', () => {
  const { rows, problems } = read(
    'local:10.0.1.15:80,,3\n10.0.1.15:80\nlocal:10.0.1.15:80\n',
  );
  expect(rows).toMatchObject([
    { address: '10.0.1.15', port: 80, isLocal: true, mac: undefined, weight: 3 },
    { address: '10.0.1.15', port: 80 },
  ]);
  expect(problems).toEqual(['web.csv:3: local:10.0.1.15:80 is already on web.csv:1']);
});

describe('destinations', () => {
  test.each([
    {
      file: 'a plain row',
      text: `10.0.1.15,${MAC}\n`,
      rows: [`web.csv:1 10.0.1.15 ${MAC} 1`],
    },
    {
      file: 'spaces and tabs around cells',
      text: `  10.0.1.15 ,\t${MAC}  , 3 \n`,
      rows: [`web.csv:1 10.0.1.15 ${MAC} 3`],
    },
    {
      file: 'no newline at the end',
      text: `10.0.1.15,${MAC}\n10.0.1.16,${MAC}`,
      rows: [`web.csv:1 10.0.1.15 ${MAC} 1`, `web.csv:2 10.0.1.16 ${MAC} 1`],
    },
    {
      file: 'a header row',
      text: `address, MAC, weight\n10.0.1.15,${MAC}\n`,
      rows: [`web.csv:2 10.0.1.15 ${MAC} 1`],
    },
    {
      file: 'a header row in capitals, behind a comment and a blank line',
      text: `# our web servers\n\nADDRESS,MAC\n10.0.1.15,${MAC}\n`,
      rows: [`web.csv:4 10.0.1.15 ${MAC} 1`],
    },
    {
      file: 'a header of one column',
      text: 'address\n10.0.1.15\n',
      rows: ['web.csv:2 10.0.1.15 - 1'],
    },
    {
      file: 'comments before, between and behind rows',
      text: `# first\n10.0.1.15,${MAC} # rack 1\n  # second\n10.0.1.16,${MAC}#rack 2\n# last`,
      rows: [`web.csv:2 10.0.1.15 ${MAC} 1`, `web.csv:4 10.0.1.16 ${MAC} 1`],
    },
    {
      file: 'quotes in a comment',
      text: `# the "old" one isn't\n10.0.1.15,${MAC}\n10.0.1.16, # the "new"\n`,
      rows: [`web.csv:2 10.0.1.15 ${MAC} 1`, 'web.csv:3 10.0.1.16 - 1'],
    },
    {
      file: 'blank lines and lines of spaces',
      text: `\n   \n10.0.1.15,${MAC}\n\n\t\n10.0.1.16,${MAC}\n\n`,
      rows: [`web.csv:3 10.0.1.15 ${MAC} 1`, `web.csv:6 10.0.1.16 ${MAC} 1`],
    },
    {
      file: 'a row of empty cells',
      text: `10.0.1.15,${MAC}\n , ,\n`,
      rows: [`web.csv:1 10.0.1.15 ${MAC} 1`],
    },
    {
      file: 'a byte order mark',
      text: `\ufeffaddress,MAC\n10.0.1.15,${MAC}\n`,
      rows: [`web.csv:2 10.0.1.15 ${MAC} 1`],
    },
    {
      file: 'line ends of Windows',
      text: `address,MAC\r\n# rack 1\r\n\r\n10.0.1.15,${MAC}\r\n10.0.1.16,\r\n`,
      rows: [`web.csv:4 10.0.1.15 ${MAC} 1`, 'web.csv:5 10.0.1.16 - 1'],
    },
    {
      file: 'quoted cells',
      text: `"address","MAC"\n"10.0.1.15","${MAC}","7"\n`,
      rows: [`web.csv:2 10.0.1.15 ${MAC} 7`],
    },
    {
      file: 'an empty MAC, which is resolved later',
      text: '10.0.1.15\n10.0.1.16,\n10.0.1.17,,\n10.0.1.18,,5\n',
      rows: [
        'web.csv:1 10.0.1.15 - 1',
        'web.csv:2 10.0.1.16 - 1',
        'web.csv:3 10.0.1.17 - 1',
        'web.csv:4 10.0.1.18 - 5',
      ],
    },
    {
      file: 'the least and the largest weight',
      text: '10.0.1.15,,0\n10.0.1.16,,65535\n10.0.1.17,,007\n',
      rows: [
        'web.csv:1 10.0.1.15 - 0',
        'web.csv:2 10.0.1.16 - 65535',
        'web.csv:3 10.0.1.17 - 7',
      ],
    },
    {
      file: 'a MAC in capitals and with dashes',
      text: '10.0.1.15,02-00-0A-00-01-0F\n',
      rows: [`web.csv:1 10.0.1.15 ${MAC} 1`],
    },
    {
      file: 'one MAC for two addresses, behind one router',
      text: `10.0.1.15,${MAC}\n10.0.1.16,${MAC}\n`,
      rows: [`web.csv:1 10.0.1.15 ${MAC} 1`, `web.csv:2 10.0.1.16 ${MAC} 1`],
    },
  ])('reads $file', ({ text, rows }) => {
    expect(rowsOf(text)).toEqual(rows);
  });

  test.each([
    '32_destinations',
    '128_destinations',
    '256_destinations',
    '512_destinations',
    '32_destinations_ipv6',
  ])('reads the sample %s', (name) => {
    const { rows, problems } = read(sample(name));
    expect(problems).toEqual([]);
    expect(rows).toHaveLength(parseInt(name));
    expect(rows.every(({ address }) => address.includes(':'))).toBe(name.endsWith('6'));
    expect(rows.every(({ mac, weight }) => mac !== undefined && weight === 1)).toBe(true);
  });

  test.each([
    { row: 'web-1', reason: '"web-1" is not an IP address' },
    { row: `,${MAC}`, reason: '"" is not an IP address' },
    { row: '10.0.1.256', reason: '"10.0.1.256" is not an IP address' },
    { row: '10.0.1.15/24', reason: '"10.0.1.15/24" is not an IP address' },
    { row: '2001:db8::1::2', reason: '"2001:db8::1::2" is not an IP address' },
    {
      row: '::ffff:10.0.1.15',
      reason: '"::ffff:10.0.1.15" is an IPv4 address in IPv6 form; write 10.0.1.15',
    },
    {
      row: '2001:db8::1%eth0',
      reason:
        '"2001:db8::1%eth0" names a zone, but packets have none; leave the zone out',
    },
    {
      row: 'fe80::1',
      reason:
        'fe80::1 cannot be a destination: it is a link-local address, which means another host on each link',
    },
    {
      row: 'local:127.0.0.23',
      reason:
        'a server on this host needs the port that it listens on: local:127.0.0.23:223',
    },
    {
      row: 'local:0.0.0.0:223',
      reason:
        'name one address of this host; a server that listens on all of them listens there too',
    },
    {
      row: `local:127.0.0.23:223,${MAC}`,
      reason: 'local:127.0.0.23:223 is on this host: leave its MAC out',
    },
    { row: '::1', reason: '::1 cannot be a destination: it is a loopback address' },
    { row: '::', reason: ':: cannot be a destination: it is the unspecified address' },
    {
      row: 'ff02::1',
      reason: 'ff02::1 cannot be a destination: it is a multicast address',
    },
    {
      row: `10.0.1.15;${MAC}`,
      reason: `"10.0.1.15;${MAC}" is not an IP address`,
    },
    {
      row: '127.0.0.1',
      reason: '127.0.0.1 cannot be a destination: it is a loopback address',
    },
    {
      row: '0.0.0.0',
      reason: '0.0.0.0 cannot be a destination: it stands for "this network" (0.0.0.0/8)',
    },
    {
      row: '224.0.0.5',
      reason: '224.0.0.5 cannot be a destination: it is a multicast address',
    },
    {
      row: '255.255.255.255',
      reason:
        '255.255.255.255 cannot be a destination: it is a reserved or broadcast address',
    },
    {
      row: '10.0.1.15,02:00:0a:00:01',
      reason:
        '"02:00:0a:00:01" is not a destination\'s MAC address: it is not six pairs of hex digits',
    },
    {
      row: '10.0.1.15,00:00:00:00:00:00',
      reason: '"00:00:00:00:00:00" is not a destination\'s MAC address: it is all zero',
    },
    {
      row: '10.0.1.15,ff:ff:ff:ff:ff:ff',
      reason:
        '"ff:ff:ff:ff:ff:ff" is not a destination\'s MAC address: it is a group address',
    },
    {
      row: '10.0.1.15,01:00:5e:00:00:01',
      reason:
        '"01:00:5e:00:00:01" is not a destination\'s MAC address: it is a group address',
    },
    { row: '10.0.1.15,,65536', reason: '"65536" is not a weight from 0 to 65535' },
    { row: '10.0.1.15,,100000', reason: '"100000" is not a weight from 0 to 65535' },
    { row: '10.0.1.15,,-1', reason: '"-1" is not a weight from 0 to 65535' },
    { row: '10.0.1.15,,1.5', reason: '"1.5" is not a weight from 0 to 65535' },
    { row: '10.0.1.15,,1e3', reason: '"1e3" is not a weight from 0 to 65535' },
    { row: '10.0.1.15,,much', reason: '"much" is not a weight from 0 to 65535' },
    { row: `10.0.1.15,${MAC},1,2`, reason: '4 columns, of at most 3' },
    { row: '10.0.1.15,,,', reason: '4 columns, of at most 3' },
    {
      row: 'web-1,MAC,much,more',
      reason:
        '"web-1" is not an IP address; ' +
        '"MAC" is not a destination\'s MAC address: it is not six pairs of hex digits; ' +
        '"much" is not a weight from 0 to 65535; 4 columns, of at most 3',
    },
    {
      row: 'address,MAC',
      reason:
        '"address" is not an IP address; "MAC" is not a destination\'s MAC address: it is not six pairs of hex digits',
    },
    { row: '10.0.1.15,0"2', reason: 'a quote stands inside a cell, or is never closed' },
    { row: '10.0.1.15,"02', reason: 'a quote stands inside a cell, or is never closed' },
  ])('says what is wrong with the row $row', ({ row, reason }) => {
    const { problems } = read(`# a comment\n10.0.9.9,${MAC}\n${row}`);
    expect(problems).toEqual([`web.csv:3: ${reason}`]);
  });

  test('lists every bad row of a file, each with its own line', () => {
    const text = [
      'address, MAC, weight',
      '',
      'web-1',
      `10.0.1.15,${MAC}`,
      '# a comment',
      '10.0.1.16,02:00',
      '10.0.1.17,,-1',
      '',
      '10.0.1.300',
    ].join('\n');
    const { rows, problems } = read(text);
    expect(rows.map(({ place }) => place)).toEqual(['web.csv:4']);
    expect(problems).toEqual([
      'web.csv:3: "web-1" is not an IP address',
      'web.csv:6: "02:00" is not a destination\'s MAC address: it is not six pairs of hex digits',
      'web.csv:7: "-1" is not a weight from 0 to 65535',
      'web.csv:9: "10.0.1.300" is not an IP address',
    ]);
  });

  test('has the right lines where line ends are those of Windows', () => {
    const { problems } = read(`address\r\n\r\n# x\r\nweb-1\r\n10.0.1.15\r\nweb-2\r\n`);
    expect(problems).toEqual([
      'web.csv:4: "web-1" is not an IP address',
      'web.csv:6: "web-2" is not an IP address',
    ]);
  });

  test('names both places of an address that stands twice in a file', () => {
    const { problems } = read('10.0.1.15\n10.0.1.16\n10.0.1.15,,5\n10.0.1.15\n');
    expect(problems).toEqual([
      'web.csv:3: 10.0.1.15 is already on web.csv:1',
      'web.csv:4: 10.0.1.15 is already on web.csv:1',
    ]);
  });

  test('names both places of an address that stands in two files', () => {
    const { rows, problems } = parseDestinations([
      { name: 'one.csv', text: '10.0.1.15\n10.0.1.16\n' },
      { name: 'two.csv', text: 'address\n10.0.1.17\n10.0.1.16\n' },
    ]);
    expect(problems).toEqual(['two.csv:3: 10.0.1.16 is already on one.csv:2']);
    expect(rows.map(({ place }) => place)).toEqual([
      'one.csv:1',
      'one.csv:2',
      'two.csv:2',
    ]);
  });

  test('lists the faults of every file', () => {
    const { problems } = parseDestinations([
      { name: 'one.csv', text: 'web-1\n' },
      { name: 'two.csv', text: '' },
      { name: 'stdin', text: '10.0.1.15\nweb-2\n' },
    ]);
    expect(problems).toEqual([
      'one.csv:1: "web-1" is not an IP address',
      'two.csv:1: no destination in the file; a row is: address, MAC[, weight]',
      'stdin:2: "web-2" is not an IP address',
    ]);
  });

  test.each([
    { file: 'an empty file', text: '' },
    { file: 'blank lines', text: '\n\n  \n' },
    { file: 'comments alone', text: '# one\n# two\n' },
    { file: 'a header alone', text: 'address, MAC\n' },
    { file: 'a byte order mark alone', text: '\ufeff' },
    { file: 'empty cells alone', text: ',,\n,,\n' },
  ])('says of $file that no destination is in it', ({ text }) => {
    expect(read(text)).toEqual({
      rows: [],
      problems: [
        'web.csv:1: no destination in the file; a row is: address, MAC[, weight]',
      ],
    });
  });

  test('takes no row from an object file, and finds fault with it', () => {
    const garbage = Buffer.from(Array.from({ length: 4096 }, (_, i) => (i * 167) & 255));
    const { rows, problems } = read(`\x7fELF\x02\x01\x01\0${garbage.toString('utf8')}`);
    expect(rows).toEqual([]);
    expect(problems.length).toBeGreaterThan(0);
    for (const problem of problems) expect(problem).toMatch(/^web\.csv:\d+: ./);
  });
});
