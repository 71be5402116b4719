#!/usr/bin/env node
const { disturbCommand } = require('../dist/disturb.cjs');
disturbCommand().main();
