#!/usr/bin/env node
import { floodCommand } from '../dist/flood.js';
await floodCommand().main();
