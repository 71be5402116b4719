#!/usr/bin/env node
// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Runs commands in the virtual machine for tests outside: a line of JSON comes in for
// each, and one goes out when it has ended. Many may run at once. It ends with its
// input: see vm.ts.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { release } from 'node:os';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';

import { runTool } from './tools.mjs';

// Commands that run here take the output's own way for theirs: see tools.mjs.
const write = process.stdout.write.bind(process.stdout);

// Answered with its first output; then it is on its own.
async function start({ command, args }) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'close').then(() => ({ exitCode: -1, stdout: '' }));
  const speaks = once(child.stdout, 'data').then(([data]) => ({
    exitCode: 0,
    stdout: String(data),
  }));
  const first = await Promise.race([speaks, ended]);
  child.stdout.resume();
  return { ...first, stderr: '' };
}

async function run({ command, args, input }) {
  const child = spawn(command, args);
  child.stdin.on('error', () => {}); // it need not read all of it, or any
  child.stdin.end(input);
  try {
    const [[exitCode, signal], stdout, stderr] = await Promise.all([
      once(child, 'close'),
      text(child.stdout),
      text(child.stderr),
    ]);
    return {
      exitCode: exitCode ?? -1,
      stdout,
      stderr: signal ? `${stderr}${signal}` : stderr,
    };
  } catch (error) {
    return { exitCode: -1, stdout: '', stderr: error.message };
  }
}

function perform(request) {
  if (request.isTool) return runTool(request.command, request.args);
  return request.goesOn ? start(request) : run(request);
}

function say(answer) {
  write(`${JSON.stringify(answer)}\n`);
}

// With the options that we were started with, which NODE_OPTIONS does not take.
function makeNodeQuick() {
  const folder = '/run/l4lb-vm';
  const script = `#!/bin/sh\nexec ${process.execPath} ${process.execArgv.join(' ')} "$@"\n`;
  writeFileSync(`${folder}/node`, script, { mode: 0o755 });
  process.env.PATH = `${folder}:${process.env.PATH}`;
  delete process.env.NODE_OPTIONS; // jest's
}

makeNodeQuick();
say({ kernel: release() });
for await (const line of createInterface(process.stdin)) {
  const { number, ...request } = JSON.parse(line);
  perform(request).then((finished) => say({ number, ...finished }));
}
process.exit(0);
