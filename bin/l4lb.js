#!/usr/bin/env node
import { l4lbCommand } from '../dist/l4lb.js';
await l4lbCommand().main();
