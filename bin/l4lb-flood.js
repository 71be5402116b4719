#!/usr/bin/env node
const { floodCommand } = require('../dist/flood.cjs');
floodCommand().main();
