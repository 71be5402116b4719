// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// Runs our commands in this process, one after another, with what a process of their
// own would have: arguments, output, exit code. An emulated processor takes ten seconds
// to start node and to load a command, and then one or two to run it.
import process from 'node:process';

const COMMANDS = {
  'l4lb-load': ['load.js', 'loadCommand'],
  'l4lb-map': ['map-fill.js', 'mapCommand'],
  'l4lb-stats': ['stats.js', 'statsCommand'],
  'l4lb-explain': ['explain.js', 'explainCommand'],
  'l4lb-doctor': ['doctor.js', 'doctorCommand'],
};

// Each command listens for signals and for a closed pipe, and is never taken for done.
process.setMaxListeners(0);
process.stdout.setMaxListeners(0);

function load(file) {
  return import(new URL(`../../dist/${file}`, import.meta.url));
}

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

async function runNow(command, args) {
  const [file, name] = COMMANDS[command];
  const [{ main }, { [name]: make }] = [await load('cli/command.js'), await load(file)];
  const { argv } = process;
  const [endOut, endErr] = [capture(process.stdout), capture(process.stderr)];
  process.argv = [process.execPath, command, ...args];
  process.exitCode = undefined;
  await main(make()); // which catches whatever is thrown
  const exitCode = process.exitCode ?? 0;
  Object.assign(process, { argv, exitCode: undefined });
  return { exitCode, stdout: endOut(), stderr: endErr() };
}

let last = Promise.resolve();

export function runTool(command, args) {
  const turn = last.then(() => runNow(command, args));
  last = turn.catch(() => {});
  return turn;
}
