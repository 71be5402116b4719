#!/usr/bin/env node
import { main } from '../dist/cli/command.js';
import { doctorCommand } from '../dist/doctor.js';

await main(doctorCommand());
