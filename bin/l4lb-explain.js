#!/usr/bin/env node
import { main } from '../dist/cli/command.js';
import { explainCommand } from '../dist/explain.js';

await main(explainCommand());
