#!/usr/bin/env node
import { main } from '../dist/cli/command.js';
import { l4lbCommand } from '../dist/l4lb.js';

await main(l4lbCommand());
