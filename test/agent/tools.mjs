// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Runs our commands in this process, one after another, with what a process of their
// own would have: arguments, input, output, exit code. To start node and to load a
// command takes longer than most commands run: a fifth of a second on a machine, and
// ten on an emulated processor.
import { Buffer } from 'node:buffer';
import fs from 'node:fs';
import { createRequire, syncBuiltinESMExports } from 'node:module';
import process from 'node:process';

const COMMANDS = {
  l4lb: 'l4lbCommand',
  'l4lb-load': 'loadCommand',
  'l4lb-map': 'mapCommand',
  'l4lb-stats': 'statsCommand',
  'l4lb-explain': 'explainCommand',
  'l4lb-doctor': 'doctorCommand',
  'l4lb-flood': 'floodCommand',
};

// Each command listens for signals and for a closed pipe, and is never taken for done.
process.setMaxListeners(0);
process.stdout.setMaxListeners(0);

const require = createRequire(import.meta.url);

/** What a command has still to read where it asks for its standard input. */
let input = Buffer.alloc(0);

const { readSync } = fs;
fs.readSync = (descriptor, chunk, ...others) => {
  if (descriptor !== 0) return readSync(descriptor, chunk, ...others);
  const length = input.copy(chunk);
  input = input.subarray(length);
  return length;
};
syncBuiltinESMExports();

/** Keeps what is written to a stream; what it returns ends that, and tells. */
function capture(stream) {
  const { write } = stream;
  let text = '';
  stream.write = (chunk) => {
    text += chunk;
    return true;
  };
  return () => {
    stream.write = write;
    return text;
  };
}

async function runNow(command, args, given) {
  // All commands are in this file; each has one of its own, too, for its program in bin/.
  const { [COMMANDS[command]]: make } = require('../../dist/l4lb.cjs');
  const { argv } = process;
  const [endOut, endErr] = [capture(process.stdout), capture(process.stderr)];
  input = Buffer.from(given);
  process.argv = [process.execPath, command, ...args];
  process.exitCode = undefined;
  await make().main(); // which catches whatever is thrown
  const exitCode = process.exitCode ?? 0;
  Object.assign(process, { argv, exitCode: undefined });
  return { exitCode, stdout: endOut(), stderr: endErr() };
}

let last = Promise.resolve();

export function runTool(command, args, given = '') {
  const turn = last.then(() => runNow(command, args, given));
  last = turn.catch(() => {});
  return turn;
}
