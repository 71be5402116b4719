#!/usr/bin/env node
import { doctorCommand } from '../dist/doctor.js';
await doctorCommand().main();
