#!/usr/bin/env node
import { loadCommand } from '../dist/load.js';
await loadCommand().main();
