#!/usr/bin/env node
const { explainCommand } = require('../dist/explain.cjs');
explainCommand().main();
