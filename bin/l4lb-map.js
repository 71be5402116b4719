#!/usr/bin/env node
const { mapCommand } = require('../dist/map-fill.cjs');
mapCommand().main();
