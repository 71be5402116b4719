#!/usr/bin/env node
import { statsCommand } from '../dist/stats.js';
await statsCommand().main();
