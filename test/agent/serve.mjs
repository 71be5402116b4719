#!/usr/bin/env node
// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Runs commands for tests where they cannot be: in a namespace, in a virtual machine. A
// line of JSON comes in for each, and one goes out when it has ended. Many may run at
// once; our own run one after another. It ends with its input: see agent.ts.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
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

async function perform(request) {
  if (request.isTool) return runTool(request.command, request.args, request.input);
  return request.goesOn ? start(request) : run(request);
}

function say(answer) {
  write(`${JSON.stringify(answer)}\n`);
}

// Every other node that is started here has the options that are our arguments, some of
// which NODE_OPTIONS does not take.
function makeNode(options) {
  if (options.length === 0) return;
  const folder = mkdtempSync(join(tmpdir(), 'l4lb-agent-'));
  const script = `#!/bin/sh\nexec ${process.execPath} ${options.join(' ')} "$@"\n`;
  writeFileSync(join(folder, 'node'), script, { mode: 0o755 });
  process.env.PATH = `${folder}:${process.env.PATH}`;
  process.on('exit', () => rmSync(folder, { recursive: true }));
}

const others = new Map();

/** An agent in another network namespace, which says its answers for itself. */
function agentIn(namespace) {
  const known = others.get(namespace);
  if (known) return known;
  const self = new URL(import.meta.url).pathname;
  const node = [process.execPath, ...process.execArgv];
  const stdio = ['pipe', 'pipe', 'inherit'];
  const child = spawn('nsenter', [`--net=${namespace}`, ...node, self], { stdio });
  const agent = { waiting: 0, say: (line) => child.stdin.write(`${line}\n`) };
  // It goes with its namespace; if somebody waits for its answer, that is too early.
  child.on('close', () => {
    if (agent.waiting > 0) process.exit(1);
    others.delete(namespace);
  });
  createInterface(child.stdout).on('line', (line) => {
    if ('kernel' in JSON.parse(line)) return;
    agent.waiting--;
    write(`${line}\n`);
  });
  others.set(namespace, agent);
  return agent;
}

makeNode(process.argv.slice(2));
delete process.env.NODE_OPTIONS; // jest's
say({ kernel: release() });
for await (const line of createInterface(process.stdin)) {
  const { namespace, ...asked } = JSON.parse(line);
  if (namespace !== undefined) {
    const agent = agentIn(namespace);
    agent.waiting++;
    agent.say(JSON.stringify(asked));
    continue;
  }
  const { number, ...request } = asked;
  perform(request).then(
    (finished) => say({ number, ...finished }),
    (error) => say({ number, exitCode: -1, stdout: '', stderr: error.stack }),
  );
}
process.exit(0);
