#!/usr/bin/env node
const { doctorCommand } = require('../dist/doctor.cjs');
doctorCommand().main();
