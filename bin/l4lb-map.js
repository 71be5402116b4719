#!/usr/bin/env node
import { mapCommand } from '../dist/map-fill.js';
await mapCommand().main();
