#!/usr/bin/env node
import { main } from '../dist/cli/command.js';
import { floodCommand } from '../dist/flood.js';

await main(floodCommand());
