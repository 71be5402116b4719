#!/usr/bin/env node
import { main } from '../dist/cli/command.js';
import { disturbCommand } from '../dist/disturb.js';

await main(disturbCommand());
