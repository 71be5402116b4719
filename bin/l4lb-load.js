#!/usr/bin/env node
import { main } from '../dist/cli/command.js';
import { loadCommand } from '../dist/load.js';

await main(loadCommand());
