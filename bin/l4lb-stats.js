#!/usr/bin/env node
const { statsCommand } = require('../dist/stats.cjs');
statsCommand().main();
