#!/usr/bin/env node
const { l4lbdCommand } = require('../dist/l4lbd.cjs');
l4lbdCommand().main();
