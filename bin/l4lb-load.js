#!/usr/bin/env node
const { loadCommand } = require('../dist/load.cjs');
loadCommand().main();
