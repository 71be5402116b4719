#!/usr/bin/env node
import { main } from '../dist/cli/command.js';
import { mapCommand } from '../dist/map-fill.js';

await main(mapCommand());
