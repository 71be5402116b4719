#!/usr/bin/env node
import { disturbCommand } from '../dist/disturb.js';
await disturbCommand().main();
