#!/usr/bin/env node
// SIGHUP ends a process that does not listen, and it may come before the command is loaded.
process.on('SIGHUP', () => {});
const { l4lbdCommand } = require('../dist/l4lbd.cjs');
l4lbdCommand().main();
