// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/** l4lb: the other commands under one name. */
import { Command } from 'commander';

import { nameInError } from './cli/command.js';
import { VERSION } from './system/package.js';
import { disturbCommand } from './disturb.js';
import { doctorCommand } from './doctor.js';
import { explainCommand } from './explain.js';
import { floodCommand } from './flood.js';
import { loadCommand } from './load.js';
import { mapCommand } from './map-fill.js';
import { statsCommand } from './stats.js';

export function l4lbCommand(): Command {
  return new Command('l4lb')
    .description('A layer-4 load balancer in XDP.')
    .version(VERSION, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand(false)
    .showHelpAfterError('(--help explains the commands)')
    .configureOutput({ outputError: nameInError('l4lb') })
    .addCommand(loadCommand().name('load'))
    .addCommand(mapCommand().name('map'))
    .addCommand(statsCommand().name('stats'))
    .addCommand(explainCommand().name('explain'))
    .addCommand(doctorCommand().name('doctor'))
    .addCommand(disturbCommand().name('disturb'))
    .addCommand(floodCommand().name('flood'))
    .addHelpText(
      'after',
      `
Each command is a program too: l4lb-load, l4lb-map, l4lb-stats, l4lb-explain,
l4lb-doctor, l4lb-disturb, l4lb-flood.`,
    );
}
