#!/usr/bin/env node
import { main } from '../dist/cli/command.js';
import { statsCommand } from '../dist/stats.js';

await main(statsCommand());
