#!/usr/bin/env node
import { explainCommand } from '../dist/explain.js';
await explainCommand().main();
