#!/usr/bin/env node
const { l4lbCommand } = require('../dist/l4lb.cjs');
l4lbCommand().main();
